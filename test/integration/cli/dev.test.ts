/** `tidemill dev` as a person uses it: a real process, files that change, Ctrl-C. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { tidemill } from '../../support/fake-io.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/cli');
const SOURCES = join(import.meta.dirname, '../../../src/index.ts');

/** A copy of the fixture whose files may be changed. */
function project(): Disposable & { readonly tasks: string; readonly schedules: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-dev-'));
  cpSync(FIXTURES, folder, { recursive: true });
  cpSync(join(import.meta.dirname, '../../../node_modules/zod'), join(folder, 'node_modules/zod'), {
    recursive: true,
  });
  const tasks = join(folder, 'tasks.ts');
  writeFileSync(tasks, readFileSync(tasks, 'utf8').replace('../../../src/index.ts', SOURCES));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return { tasks, schedules: join(folder, 'schedules'), [Symbol.dispose]: remove };
}

describe('dev', () => {
  test('fires schedules of files and of code, runs IO and CPU tasks, and sums up at Ctrl-C', async () => {
    using files = project();
    await using dev = new TidemillProcess(['dev', files.schedules, '--tasks', files.tasks, '--no-watch']);
    await dev.line(/\+ team-a\/greet +every 1s → greet/);
    await dev.line(/▸ team-a\/greet +fires greet/);
    await dev.line(/· greet +greeting name=schedule/);
    await dev.line(/✔ greet +succeeded in/);
    await dev.line(/✔ tick +succeeded in/);
    dev.signal('SIGINT');
    assert.deepEqual(await dev.exited, { code: 0, signal: null });
    const text = dev.lines.join('\n');
    assert.match(text, /● stopping/);
    assert.match(text, /^team-a\/greet +[1-9]/m);
    assert.match(text, /^TASK +SUCCEEDED +FAILED/m);
  });

  test('a changed manifest is in force at once; a broken one is told and keeps the last good objects', async () => {
    using files = project();
    const manifest = join(files.schedules, 'greet.yaml');
    const good = readFileSync(manifest, 'utf8');
    await using dev = new TidemillProcess(['dev', files.schedules, '--tasks', files.tasks, '--no-watch']);
    await dev.line(/▸ team-a\/greet/);
    writeFileSync(manifest, good.replace('every: 1s', 'every: 500ms'));
    await dev.line(/\+ team-a\/greet +every 500ms/);
    writeFileSync(manifest, good.replace('every: 1s', 'every: soon'));
    await dev.line(/! .*greet\.yaml:\d+ .*"soon"/);
    const before = dev.lines.length;
    writeFileSync(manifest, good);
    await dev.line(/manifests +are all valid again/);
    assert.ok(dev.lines.length > before);
  });

  test('a queue that nobody named is worked on as soon as it is used', async () => {
    using files = project();
    writeFileSync(
      join(files.schedules, 'other.yaml'),
      'apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata: { name: other }\nspec: { task: add, every: 1s, queue: other, params: { a: 1, b: 2 } }\n',
    );
    await using dev = new TidemillProcess([
      'dev',
      files.schedules,
      '--tasks',
      files.tasks,
      '--no-watch',
      '--json',
    ]);
    const line = await dev.line(/"event":"run".*"task":"add"/);
    assert.match(line, /"outcome":"succeeded".*"schedule":"default\/other"/);
  });

  test('changed tasks start the process anew, under the same process id', async () => {
    using files = project();
    await using dev = new TidemillProcess(['dev', files.schedules, '--tasks', files.tasks, '--json']);
    await dev.line(/"event":"fired"/);
    const source = readFileSync(files.tasks, 'utf8');
    writeFileSync(
      files.tasks,
      `${source}\nexport const added = defineTask({ name: 'added', schedule: every('1s'), run: () => 1 });\n`,
    );
    await dev.line(/"event":"restarting"/);
    await dev.line(/"event":"started".*"added"/);
    await dev.line(/"event":"run","outcome":"succeeded".*"task":"added"/);
    dev.signal('SIGINT');
    assert.deepEqual(await dev.exited, { code: 0, signal: null });
    assert.match(dev.lines.at(-1) ?? '', /"event":"summary"/);
  });

  test('an exception that no task can be blamed for ends it with 1', async () => {
    using files = project();
    const source = readFileSync(files.tasks, 'utf8');
    writeFileSync(
      files.tasks,
      `${source}\nsetTimeout(() => { throw new Error('of the module'); }, 2_000);\n`,
    );
    await using dev = new TidemillProcess(['dev', '--tasks', files.tasks, '--no-watch']);
    await dev.line(/! tidemill +an exception was thrown and nobody caught it .*of the module/);
    assert.deepEqual(await dev.exited, { code: 1, signal: null });
  });

  test('runs that ignore their signal take no slot for ever, and do not hold up the end', async () => {
    using files = project();
    const source = readFileSync(files.tasks, 'utf8');
    writeFileSync(
      files.tasks,
      `${source}
export const deaf = defineTask({
  name: 'deaf', timeout: '100ms', run: () => new Promise(() => setInterval(() => undefined, 1_000)),
});
export const start = defineTask({
  name: 'start', schedule: every('1s'),
  async run({ enqueue }) { for (let nth = 0; nth < 5; nth++) await enqueue(deaf, undefined, { id: \`deaf-\${nth}\` }); },
});
`,
    );
    await using dev = new TidemillProcess([
      'dev',
      '--tasks',
      files.tasks,
      '--no-watch',
      '--concurrency',
      '5',
    ]);
    await dev.line(/! tidemill +too many runs ignore their signal/);
    const before = dev.lines.length;
    await until('another run succeeded', () =>
      dev.lines.slice(before).some((line) => /✔ tick +succeeded/.test(line)),
    );
    dev.signal('SIGINT');
    assert.deepEqual(await dev.exited, { code: 0, signal: null });
  });

  test('a tasks module that does not load ends it with 78 and the reason', async () => {
    using files = project();
    writeFileSync(files.tasks, "throw new Error('no database here');\n");
    const { code, stderr } = await tidemill(['dev', '--tasks', files.tasks, '--no-watch']);
    assert.equal(code, 78);
    assert.match(stderr, /cannot be loaded: no database here \(at .*tasks\.ts:1:\d+\)/);
  });

  test('a mistake that is saved is told with its line, and the next save starts the tasks again', async () => {
    using files = project();
    await using dev = new TidemillProcess(['dev', files.schedules, '--tasks', files.tasks]);
    await dev.line(/▸ team-a\/greet/);
    const source = readFileSync(files.tasks, 'utf8');
    writeFileSync(files.tasks, `export const = 1;\n${source}`);
    await dev.line(/error: tasks module .*\(at .*tasks\.ts:1\)/);
    await dev.line(/● waiting +for a change/);
    const before = dev.lines.length;
    writeFileSync(files.tasks, source);
    await until('the tasks run again', () =>
      dev.lines.slice(before).some((line) => /✔ greet +succeeded/.test(line)),
    );
    dev.signal('SIGINT');
    assert.deepEqual(await dev.exited, { code: 0, signal: null });
  });

  test('tasks that are broken from the start are waited for, and Ctrl-C ends that with 78', async () => {
    using files = project();
    writeFileSync(files.tasks, 'enum Kind { One }\n');
    await using dev = new TidemillProcess(['dev', '--tasks', files.tasks]);
    await dev.line(/error: .*tasks\.ts:1\); Node only strips types/);
    await dev.line(/● waiting/);
    dev.signal('SIGINT');
    assert.deepEqual(await dev.exited, { code: 78, signal: null });
  });

  test('a path that leads to no tasks module ends it, watch or not', async () => {
    const { code, stderr } = await tidemill(['dev', '--tasks', '/nowhere/tasks.ts']);
    assert.equal(code, 78);
    assert.match(stderr, /cannot be loaded/);
  });

  test('a schedule of a task that is not there is told at the start and at each change, and mended once', async () => {
    using files = project();
    const manifest = join(files.schedules, 'greet.yaml');
    const good = readFileSync(manifest, 'utf8');
    writeFileSync(manifest, good.replace('task: greet', 'task: gret'));
    await using dev = new TidemillProcess(['dev', files.schedules, '--tasks', files.tasks, '--no-watch']);
    await dev.line(/! .*greet\.yaml:1 +spec\.task: there is no task "gret" \(did you mean greet\?\)/);
    await dev.line(/▸ team-a\/greet +fires gret/);
    writeFileSync(manifest, good.replace('task: greet', 'task: gree'));
    await dev.line(/! .*there is no task "gree" /);
    assert.ok(!dev.lines.some((line) => line.includes('all valid again')));
    writeFileSync(manifest, good);
    await dev.line(/manifests +are all valid again/);
  });
});

describe('run --here', () => {
  test('executes the run and what it enqueues, in children where they are CPU-bound', async () => {
    const args = ['run', 'greet', '-p', 'then=true', '--here', '--tasks', join(FIXTURES, 'tasks.ts')];
    const { code, stdout, stderr } = await tidemill(args);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '{"greeting":"hello world"}\n');
    assert.match(stderr, /· greet +greeting name=world/);
  });

  test('a run that fails ends with 1', async () => {
    const { code, stderr } = await tidemill([
      'run',
      'broken',
      '--here',
      '--tasks',
      join(FIXTURES, 'tasks.ts'),
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /broken failed in .*always broken/);
  });

  test('without --tasks it says what is missing', async () => {
    const { code, stderr } = await tidemill(['run', 'greet', '--here']);
    assert.equal(code, 78);
    assert.match(stderr, /--here needs --tasks/);
  });
});
