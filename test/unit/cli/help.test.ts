import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { EXIT_MEANINGS } from '../../../src/cli/exit-codes.ts';
import { createPlugin } from '../../../src/cli/kubectl/program.ts';
import { createProgram } from '../../../src/cli/main.ts';
import { COMMAND_SETTINGS } from '../../../src/cli/settings.ts';
import { VERSION_LINE } from '../../../src/cli/version.ts';
import { fakeIo, tidemill } from '../../support/fake-io.ts';
import { modulesOf } from '../../support/loaded-modules.ts';

/** Names of all commands that do something, such as `runs ls`. */
function leaves(command: Command, path: readonly string[] = []): readonly (readonly string[])[] {
  if (command.commands.length === 0) return [path];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

const surroundings = { io: fakeIo().io, done: () => undefined };
const commands = leaves(await createProgram(surroundings));
const verbs = leaves(createPlugin(surroundings));

describe('help', () => {
  test('all commands are there', () => {
    const wanted =
      'init, dev, consumer, scheduler, controller, run, runs ls, runs get, runs cancel, runs redrive, queues ls, queues pause, queues resume, queues purge, ' +
      'tasks ls, tasks pause, tasks resume, schedules ls, schedules next, schedules why, schedules trigger, schedules export, crd, rbac, redis-acl, doctor';
    assert.equal(commands.map((path) => path.join(' ')).join(', '), wanted);
  });

  test('all verbs of the plugin are there', () => {
    assert.deepEqual(verbs.flat(), ['trigger', 'suspend', 'resume', 'next', 'why']);
  });

  for (const path of commands) {
    test(`tidemill ${path.join(' ')} --help shows an example of itself, --json, and ends with 0`, async () => {
      const { code, stdout, stderr } = await tidemill([...path, '--help']);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      assert.match(stdout, new RegExp(`\\nExample:\\n  \\$ .*tidemill ${path.join(' ')}`));
      assert.match(stdout, /--json/);
    });
  }

  test('the help of the program lists the exit codes', async () => {
    const { code, stdout } = await tidemill(['--help']);
    assert.equal(code, 0);
    for (const { code: exit, meaning } of EXIT_MEANINGS)
      assert.match(stdout, new RegExp(`${exit} +${meaning.slice(0, 30).replace('(', '\\(')}`));
  });

  test('the help of the program is the same whether its commands are loaded or not', async () => {
    const heads = await createProgram(surroundings, () => false);
    assert.equal(heads.helpInformation(), (await createProgram(surroundings)).helpInformation());
  });

  test('the help of the program loads none of the libraries that its commands stand on', () => {
    const loaded = modulesOf('--help');
    assert.ok(
      loaded.some((url) => url.includes('/commander/')),
      loaded.join('\n'),
    );
    for (const name of ['zod', 'ioredis', 'pino', 'prom-client', 'yaml', '@kubernetes/client-node'])
      assert.deepEqual(
        loaded.filter((url) => url.includes(`/node_modules/${name}/`)),
        [],
        name,
      );
  });

  test('the help of the consumer loads neither the client of Kubernetes, nor a parser of YAML, nor that of Redis', () => {
    const loaded = modulesOf('consumer', '--help');
    assert.ok(loaded.some((url) => url.includes('/node_modules/zod/')));
    for (const name of ['yaml', '@kubernetes/client-node', 'ioredis'])
      assert.deepEqual(
        loaded.filter((url) => url.includes(`/node_modules/${name}/`)),
        [],
        name,
      );
  });

  test('--version prints version, commit and Node', async () => {
    assert.equal((await tidemill(['--version'])).stdout.trim(), VERSION_LINE);
  });

  test('every command with settings of its own is in the table that the reference is made from', () => {
    for (const name of Object.keys(COMMAND_SETTINGS)) {
      assert.ok(
        name === 'kubectl tidemill' || commands.some((path) => path.join(' ').startsWith(name)),
        name,
      );
    }
  });
});

describe('command lines that are wrong', () => {
  const cases: readonly (readonly [title: string, args: readonly string[], says: RegExp])[] = [
    ['no command', [], /Usage: tidemill/],
    ['an unknown command', ['runn'], /unknown command 'runn'[^]*Did you mean/],
    ['an unknown flag', ['crd', '--yaml'], /unknown option '--yaml'/],
    ['a missing argument', ['run'], /missing required argument 'task'/],
    ['an unknown state', ['runs', 'ls', '--state', 'gone'], /--state must be one of pending/],
    ['a bad limit', ['runs', 'ls', '--limit', '1e9'], /--limit must be a whole number from 1 to 1000/],
    ['a bad time-out', ['run', 'x', '--timeout', '5'], /--timeout must be a duration/],
    [
      'two kinds of expression',
      ['schedules', 'next', '--cron', '* * * * *', '--every', '1s'],
      /cannot be given together/,
    ],
  ];
  for (const [title, args, says] of cases) {
    test(`${title}: exit code 2 and a sentence on stderr`, async () => {
      const { code, stdout, stderr } = await tidemill(args);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.match(stderr, says);
    });
  }
});
