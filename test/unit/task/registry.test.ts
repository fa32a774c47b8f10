/** Finding tasks: among exports, by name, and from files. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { defineApp } from '../../../src/task/app.ts';
import { defineContract, defineTask } from '../../../src/task/define-task.ts';
import { loadTasks } from '../../../src/task/load.ts';
import { collectTasks, TaskRegistry } from '../../../src/task/registry.ts';

const run = (): void => undefined;
const a = defineTask({ name: 'a', run });
const b = defineTask({ name: 'b', run });
const c = defineTask({ name: 'c', run });

describe('TaskRegistry', () => {
  const registry = new TaskRegistry([defineTask({ name: 'fetch-data', run }), b, a, a]);

  test('finds tasks by name and lists them in order', () => {
    assert.equal(registry.get('a'), a);
    assert.equal(registry.find('b'), b);
    assert.equal(registry.find('c'), undefined);
    assert.deepEqual(registry.names(), ['a', 'b', 'fetch-data']);
    assert.deepEqual(registry.all().slice(0, 2), [a, b]);
  });

  const unknown: readonly (readonly [name: string, message: string])[] = [
    ['fetch-dta', 'no task is named "fetch-dta"; did you mean "fetch-data"?'],
    ['fetchdata', 'no task is named "fetchdata"; did you mean "fetch-data"?'],
    ['something-else', 'no task is named "something-else"; known tasks are a, b, fetch-data'],
    ['__proto__', 'no task is named "__proto__"; known tasks are a, b, fetch-data'],
    ['constructor', 'no task is named "constructor"; known tasks are a, b, fetch-data'],
  ];
  for (const [name, message] of unknown) {
    test(`answers ${name} with what it knows`, () => {
      assert.throws(() => registry.get(name), { code: 'TASK_UNKNOWN', message });
      assert.equal(registry.find(name), undefined);
    });
  }

  test('cuts a hostile name in its message, and says when it is empty', () => {
    assert.throws(
      () => registry.get('x'.repeat(1_000_000)),
      (error: Error) => error.message.length < 300,
    );
    assert.throws(() => new TaskRegistry().get('a'), { message: /no task is registered at all/ });
  });

  test('refuses two tasks of one name', () => {
    assert.throws(() => new TaskRegistry([a, defineTask({ name: 'a', run })]), { code: 'TASK_DUPLICATE' });
  });
});

describe('collectTasks', () => {
  test('finds every exported task and the app, and nothing else', () => {
    const app = defineApp({});
    const namespace = {
      a,
      app,
      page: defineContract({ name: 'page' }),
      list: [b],
      helper: run,
      text: 'c',
      nothing: null,
    };
    const collected = collectTasks([
      { namespace, at: 'one.ts' },
      { namespace: { default: c, again: a, app }, at: 'two.ts' },
    ]);
    assert.deepEqual(collected.registry.names(), ['a', 'c']);
    assert.equal(collected.app, app);
  });

  test('finds tasks in a default-exported array or record', () => {
    const broken = {
      get late(): unknown {
        throw new ReferenceError('not yet');
      },
      b,
    };
    for (const namespace of [
      { default: [a, b] },
      { default: { x: a, b, other: 5 } },
      { a, default: broken },
    ]) {
      assert.deepEqual(collectTasks([{ namespace, at: 'x' }]).registry.names(), ['a', 'b']);
    }
  });

  test('refuses two tasks of one name, naming both places', () => {
    const other = defineTask({ name: 'a', run });
    const places = (modules: Parameters<typeof collectTasks>[0], message: RegExp): void => {
      assert.throws(() => collectTasks(modules), { code: 'TASK_DUPLICATE', message });
    };
    places(
      [
        { namespace: { a }, at: 'one.ts' },
        { namespace: { other }, at: 'two.ts' },
      ],
      /"a", in one\.ts and in two\.ts/,
    );
    places([{ namespace: { a, other }, at: 'one.ts' }], /"a", both in one\.ts/);
  });

  test('finds the app of a task that nobody exported beside it', () => {
    const app = defineApp({ deps: () => ({ a: 1 }) });
    const task = app.defineTask({ name: 'with-deps', run: ({ deps }) => deps.a });
    assert.equal(collectTasks([{ namespace: { task }, at: 'one.ts' }]).app, app);
  });

  test('refuses a second app', () => {
    const modules = [
      { namespace: { app: defineApp({}), a }, at: 'one.ts' },
      { namespace: { app: defineApp({}) }, at: 'two.ts' },
    ];
    assert.throws(() => collectTasks(modules), {
      code: 'TASK_INVALID',
      message: /there are two apps, in one\.ts and in two\.ts/,
    });
  });
});

describe('loadTasks', () => {
  let folder = '';
  const source = pathToFileURL(join(import.meta.dirname, '../../../src/task/define-task.ts')).href;
  const file = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tasks-'));
    const authoring = `import { defineTask } from ${JSON.stringify(source)};\nconst run = (): void => undefined;\n`;
    await file('good.ts', `${authoring}export const one = defineTask({ name: 'one', run });`);
    await file(
      'common.cjs',
      `module.exports = { two: { [Symbol.for('tidemill.task')]: true, name: 'two' } };`,
    );
    await file('app.mjs', `export const app = { [Symbol.for('tidemill.app')]: true, options: {} };`);
    await file('empty.mjs', `export const nothing = 1;`);
    await file('throws.mjs', `throw new Error('no configuration');`);
    await file('syntax.mjs', `export const = 5;`);
    await file('bad-task.ts', `${authoring}export const bad = defineTask({ name: 'Bad Name', run });`);
  });
  after(() => rm(folder, { recursive: true }));

  test('imports TypeScript, CommonJS and a module that only holds the app', async () => {
    const loaded = await loadTasks(['good.ts', './common.cjs', join(folder, 'app.mjs')], folder);
    assert.deepEqual(loaded.registry.names(), ['one', 'two']);
    assert.ok(loaded.app);
  });

  const refused: readonly (readonly [
    title: string,
    paths: readonly string[],
    message: RegExp,
    cause: RegExp | undefined,
  ])[] = [
    ['no path at all', [], /no tasks module was named/, undefined],
    [
      'a file that does not exist',
      ['missing.ts'],
      /tasks module missing\.ts \(.*missing\.ts\) cannot be loaded/,
      /missing\.ts/,
    ],
    ['a folder', ['.'], /tasks module \. \(/, /[Dd]irectory import/],
    [
      'a module that throws',
      ['throws.mjs'],
      /throws\.mjs.* cannot be loaded: no configuration \(at .*throws\.mjs:\d+:\d+\)/,
      /no configuration/,
    ],
    [
      'a module that does not parse',
      ['syntax.mjs'],
      /node --check syntax\.mjs shows the line/,
      /Unexpected token/,
    ],
    [
      'a module with a bad task',
      ['bad-task.ts'],
      /"Bad Name" must be lower-case letters.*\(at .*bad-task\.ts:\d+:\d+\)/s,
      /TASK_INVALID|Bad Name/,
    ],
    ['a module without tasks', ['good.ts', 'empty.mjs'], /empty\.mjs exports no task/, undefined],
    ['an app without tasks', ['app.mjs'], /no task is exported by app\.mjs/, undefined],
  ];
  for (const [title, paths, message, cause] of refused) {
    test(`refuses ${title}`, async () => {
      await assert.rejects(loadTasks(paths, folder), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'TASKS_NOT_LOADED');
        assert.match(error.message, message);
        if (cause === undefined) assert.equal(error.cause, undefined);
        else assert.match(String(error.cause), cause);
        return true;
      });
    });
  }
});
