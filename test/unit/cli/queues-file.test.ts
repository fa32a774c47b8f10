/** The file that opens queues to namespaces and tasks: what is wrong in it is named, and a change is in force without a restart. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseQueuesFile, QueuesFile } from '../../../src/cli/queues-file.ts';
import { parseManifests } from '../../../src/resource/manifest.ts';
import { ProblemsError } from '../../../src/runtime/errors.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { DEFAULT_QUEUE } from '../../../src/task/names.ts';
import type { TaskLog } from '../../../src/task/types.ts';

const GOOD = `
queues:
  - name: default
    namespaces: ['*']
    tasks: ['*']
  - { name: heavy, namespaces: [team-a], tasks: [crunch] }
`;

const problemsOf = (text: string): readonly string[] => {
  const parsed = parseQueuesFile(text, 'queues.yaml');
  return 'problems' in parsed ? parsed.problems.map(({ at, message }) => `${at}: ${message}`) : [];
};

test('a file of queues is read', () => {
  assert.deepEqual(parseQueuesFile(GOOD, 'queues.yaml'), {
    queues: [
      { name: 'default', namespaces: ['*'], tasks: ['*'] },
      { name: 'heavy', namespaces: ['team-a'], tasks: ['crunch'] },
    ],
  });
  assert.deepEqual(parseQueuesFile('queues: []', 'queues.yaml'), { queues: [] });
});

for (const [what, text, expected] of [
  ['an empty file', '', /must hold one document|queues: is required|object/],
  ['two documents', 'queues: []\n---\nqueues: []\n', /queues\.yaml: must hold one document, not 2/],
  ['a list instead of a map', '- a\n', /must be a map of fields/],
  ['no queues', '{}', /queues: is required/],
  [
    'a bad queue name',
    'queues: [{ name: My_Queue, namespaces: [a], tasks: [a] }]',
    /queues\.yaml:1: queues\[0\]\.name: "My_Queue": must be a DNS label/,
  ],
  [
    'a bad namespace',
    'queues:\n  - name: q\n    tasks: [a]\n    namespaces: [ok, Team_A]\n',
    /queues\.yaml:4: queues\[0\]\.namespaces\[1\]: "Team_A": must be a DNS label.*or "\*" for everything/,
  ],
  [
    'a bad task',
    'queues: [{ name: q, namespaces: [a], tasks: ["Send Mail"] }]',
    /queues\[0\]\.tasks\[0\]: "Send Mail": must be lower-case/,
  ],
  [
    'a star among names',
    'queues: [{ name: q, namespaces: [a, "*"], tasks: [a] }]',
    /queues\[0\]\.namespaces: "\*" takes everything: it must stand alone/,
  ],
  ['nobody', 'queues: [{ name: q, namespaces: [], tasks: [a] }]', /namespaces: must name at least one/],
  [
    'a text instead of a list',
    'queues: [{ name: q, namespaces: a, tasks: [a] }]',
    /queues\[0\]\.namespaces: "a": must be a list/,
  ],
  ['a missing list', 'queues: [{ name: q, namespaces: [a] }]', /queues\[0\]\.tasks: is required/],
  [
    'a field that does not exist',
    'queues: [{ name: q, namespace: [a], namespaces: [a], tasks: [a] }]',
    /queues\[0\]\.namespace: is not a field: did you mean namespaces/,
  ],
  [
    'a queue twice',
    'queues: [{ name: q, namespaces: [a], tasks: [a] }, { name: q, namespaces: [b], tasks: [a] }]',
    /queues\[1\]\.name: "q": is listed before/,
  ],
  ['no YAML at all', 'queues: [', /queues\.yaml:1/],
] as const) {
  test(`${what} is refused with file, line, field, value and rule`, () => {
    assert.match(problemsOf(text).join('\n'), expected);
  });
}

class Log implements TaskLog {
  readonly lines: string[] = [];
  debug = (message: string): void => void this.lines.push(message);
  info = (message: string): void => void this.lines.push(message);
  warn = (message: string): void => void this.lines.push(message);
  error = (message: string): void => void this.lines.push(message);
}

test('a change is in force within ten seconds, and a broken file leaves the last good one in force', async () => {
  const clock = new VirtualClock(0);
  let text: string | undefined = GOOD;
  const readFile = (): string => {
    if (text === undefined) throw new Error('ENOENT: no such file');
    return text;
  };
  const file = new QueuesFile('queues.yaml', { clock, cwd: '/etc', readFile });
  const takes = (namespace: string): boolean =>
    file.policy({ namespace, name: 'a', queue: 'heavy', task: 'crunch' }) === undefined;
  const log = new Log();
  let changes = 0;
  const stop = new AbortController();
  const done = file.run(stop.signal, log, () => (changes += 1));
  assert.deepEqual([takes('team-a'), takes('team-b')], [true, false]);

  text = GOOD.replace('[team-a]', '[team-a, team-b]');
  await clock.advanceBy(10_000);
  assert.deepEqual([takes('team-a'), takes('team-b'), changes], [true, true, 1]);

  text = 'queues: [';
  await clock.advanceBy(60_000);
  assert.deepEqual([takes('team-b'), changes], [true, 1]);
  text = undefined;
  await clock.advanceBy(60_000);
  assert.deepEqual([takes('team-b'), changes], [true, 1]);
  text = GOOD;
  await clock.advanceBy(10_000);
  assert.deepEqual([takes('team-a'), takes('team-b'), changes], [true, false, 2]);
  assert.deepEqual(log.lines, [
    'the queues file has changed and is in force',
    'the queues file is wrong: the last good one stays in force',
    'the queues file is wrong: the last good one stays in force',
    'the queues file is right again',
    'the queues file has changed and is in force',
  ]);
  stop.abort();
  await done;
});

test('a file that is wrong at start is refused', () => {
  const io = { clock: new VirtualClock(0), cwd: '/etc' };
  assert.throws(
    () => new QueuesFile('q.yaml', { ...io, readFile: () => 'queues: 7' }),
    (error) =>
      error instanceof ProblemsError &&
      error.code === 'CONFIG_INVALID' &&
      /q\.yaml:1: queues: 7: must be a list/.test(error.message),
  );
  assert.throws(
    () =>
      new QueuesFile('q.yaml', {
        ...io,
        readFile: () => {
          throw new Error('ENOENT');
        },
      }),
    /q\.yaml: cannot be read: ENOENT/,
  );
});

test('the queues of the example take all of its schedules', () => {
  const example = join(import.meta.dirname, '../../../examples/harbour');
  const { policy } = new QueuesFile('queues.yaml', {
    clock: new VirtualClock(0),
    cwd: example,
    readFile: (path) => readFileSync(path, 'utf8'),
  });
  const schedules = join(example, 'schedules');
  const objects = readdirSync(schedules).flatMap(
    (file) => parseManifests(readFileSync(join(schedules, file), 'utf8'), file).objects,
  );
  assert.ok(objects.length > 0);
  for (const { namespace, name, spec } of objects)
    assert.equal(policy({ namespace, name, queue: spec.queue ?? DEFAULT_QUEUE, task: spec.task }), undefined);
});
