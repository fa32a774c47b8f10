/** The app of a worker: dependencies opened once and disposed in reverse, hooks that cannot harm. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defineApp, isApp, openApp } from '../../../src/task/app.ts';
import { isTask } from '../../../src/task/define-task.ts';
import { runInfo } from '../../../src/task/run-scope.ts';
import { MemoryLog, runRecord } from '../../support/attempts.ts';

const failure = (log: MemoryLog): Parameters<Awaited<ReturnType<typeof openApp>>['onFailure']>[0] => ({
  task: { name: 'a' },
  run: runInfo(runRecord({ name: 'a' })),
  error: new Error('boom'),
  final: true,
  log,
});

describe('defineApp', () => {
  test('opens nothing, and is known by its brand', () => {
    let opened = 0;
    const app = defineApp({ deps: () => ({ opened: ++opened }) });
    const task = app.defineTask({ name: 'a', run: ({ deps }) => deps.opened });
    assert.equal(opened, 0);
    assert.ok(isApp(app) && isTask(task));
    assert.ok(!isApp(task) && !isApp(undefined));
  });

  test('refuses hooks that are no functions, and hooks that do not exist', () => {
    const define = (options: unknown): unknown => Reflect.apply(defineApp, undefined, [options]);
    assert.throws(() => define({ wrap: 5, onFailure: {}, dep: () => ({}) }), {
      code: 'TASK_INVALID',
      problems: [
        {
          at: 'dep',
          message: 'is not an option (did you mean deps?); the options are deps, onFailure, wrap',
        },
        { at: 'wrap', message: 'must be a function, not 5' },
        { at: 'onFailure', message: 'must be a function, not a value of type object' },
      ],
    });
    assert.throws(() => define(undefined), { code: 'TASK_INVALID' });
  });
});

describe('openApp', () => {
  test('opens deps once with the log, and disposes what they hold in reverse order', async () => {
    const steps: string[] = [];
    const log = new MemoryLog();
    const disposable = (name: string, kind: typeof Symbol.dispose | typeof Symbol.asyncDispose): object => ({
      [kind]: async () => {
        steps.push(`close ${name}`);
        await Promise.resolve();
        steps.push(`closed ${name}`);
      },
    });
    const app = defineApp({
      deps: async ({ log: given }) => {
        assert.equal(given, log);
        steps.push('open');
        return {
          first: disposable('first', Symbol.asyncDispose),
          plain: 5,
          second: disposable('second', Symbol.dispose),
        };
      },
    });
    const loaded = await openApp(app, { log });
    assert.deepEqual(Object.keys(loaded.deps as object), ['first', 'plain', 'second']);
    await Promise.all([loaded[Symbol.asyncDispose](), loaded[Symbol.asyncDispose]()]);
    assert.deepEqual(steps, ['open', 'close second', 'closed second', 'close first', 'closed first']);
  });

  test('leaves the members to a record that disposes itself', async () => {
    const steps: string[] = [];
    const member = { [Symbol.dispose]: () => steps.push('member') };
    const app = defineApp({
      deps: () => ({ member, [Symbol.asyncDispose]: async () => steps.push('record') }),
    });
    await (await openApp(app, { log: new MemoryLog() }))[Symbol.asyncDispose]();
    assert.deepEqual(steps, ['record']);
  });

  test('logs a dependency that fails to dispose and disposes the others', async () => {
    const log = new MemoryLog();
    let closed = false;
    const app = defineApp({
      deps: () => ({
        good: { [Symbol.dispose]: () => (closed = true) },
        bad: {
          [Symbol.dispose]: () => {
            throw new Error('stuck');
          },
        },
      }),
    });
    await (await openApp(app, { log }))[Symbol.asyncDispose]();
    assert.ok(closed);
    assert.equal(log.lines[0]?.message, 'a dependency failed to dispose');
    assert.equal(log.lines[0].fields['dependency'], 'bad');
  });

  test('says which part failed when deps cannot be opened', async () => {
    const cause = new Error('no route to host');
    const app = defineApp({ deps: () => Promise.reject(cause) });
    await assert.rejects(openApp(app, { log: new MemoryLog() }), {
      code: 'DEPS_NOT_OPENED',
      message: 'deps() of the app failed: no route to host',
      cause,
    });
  });

  test('gives empty deps and silent hooks where there is no app', async () => {
    const log = new MemoryLog();
    const loaded = await openApp(undefined, { log });
    assert.deepEqual(loaded.deps, {});
    assert.equal(loaded.wrap, undefined);
    await loaded.onFailure(failure(log));
    await loaded[Symbol.asyncDispose]();
    assert.deepEqual(log.lines, []);
  });

  test('tells onFailure what failed, with the deps, and logs what onFailure throws', async () => {
    const log = new MemoryLog();
    const told: unknown[] = [];
    const app = defineApp({
      deps: () => ({ reporter: 'r' }),
      onFailure: ({ task, run, error, final, deps }) => {
        told.push([task.name, run.id, String(error), final, deps.reporter]);
        throw new Error('reporter is down');
      },
    });
    const loaded = await openApp(app, { log });
    await loaded.onFailure(failure(log));
    assert.deepEqual(told, [['a', 'run-1', 'Error: boom', true, 'r']]);
    assert.equal(log.lines[0]?.message, 'onFailure of the app failed');
  });
});
