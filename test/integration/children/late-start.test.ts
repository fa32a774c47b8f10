/** A pool that is told to wait with its children: they come when a run wants one, and whatever ends meanwhile ends well. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { TidemillError } from '../../../src/runtime/errors.ts';
import type { AttemptResult } from '../../../src/task/invoke.ts';
import { eventually, isAlive, TestPool } from '../../support/cpu-pool.ts';

const LIMIT = { timeout: 60_000 };
const NEVER = Promise.withResolvers<undefined>().promise;

/** Processes that this one has forked, whatever they are at. */
const forked = (): number =>
  readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean).length;

const pidOf = (result: unknown): number => (result as { pid: number }).pid;
const isRefusal = (error: unknown): boolean => error instanceof TidemillError && error.code === 'CHILD_START';
const reasonOf = (result: AttemptResult): string =>
  result.kind === 'failed' ? result.error.reason : result.kind;

describe('a pool whose children start later', () => {
  test('forks none before its time, and all of them then', LIMIT, async () => {
    const gate = Promise.withResolvers<undefined>();
    let started = 0;
    await using pool = await TestPool.start({
      ...{ size: 2, startAfter: gate.promise, observer: { childStarted: () => (started += 1) } },
    });
    assert.equal(pool.pool.available, 2);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(forked(), 0);
    gate.resolve(undefined);
    await eventually('both are ready', () => pool.pool.idle === 2);
    assert.equal(started, 2);
  });

  test('forks them too when what it waits for fails', LIMIT, async () => {
    await using pool = await TestPool.start({ startAfter: Promise.reject(new Error('no claim')) });
    await eventually('one is ready', () => pool.pool.idle === 1);
  });

  test('runs what comes before its time, and forks no child twice when the time comes', LIMIT, async () => {
    const gate = Promise.withResolvers<undefined>();
    let started = 0;
    await using pool = await TestPool.start({
      ...{ size: 2, startAfter: gate.promise, observer: { childStarted: () => (started += 1) } },
    });
    const results = await Promise.all([1, 2, 3].map((a) => pool.resultOf('adds', { a, b: 0 })));
    gate.resolve(undefined);
    await eventually('both are ready', () => pool.pool.idle === 2);
    assert.ok(new Set(results.map(pidOf)).size <= 2);
    assert.equal(started, 2);
  });

  test(
    'whose first run ends its child at once goes on with the run beside it and the one behind it',
    LIMIT,
    async () => {
      await using pool = await TestPool.start({ size: 2, startAfter: NEVER });
      const [dies, adds, behind] = await Promise.all([
        pool.run('exits', { code: 3 }),
        pool.resultOf('adds', { a: 1, b: 2 }),
        pool.resultOf('adds', { a: 3, b: 4 }),
      ]);
      assert.equal(reasonOf(dies), 'Crashed');
      assert.deepEqual(
        [adds, behind].map((result) => (result as { sum: number }).sum),
        [3, 7],
      );
    },
  );

  test('outlives a start of nothing but runs that end their children', LIMIT, async () => {
    await using pool = await TestPool.start({ size: 2, startAfter: NEVER });
    const ends = await Promise.all([1, 2, 3, 4].map((code) => pool.run('exits', { code })));
    assert.deepEqual(
      ends.map(reasonOf),
      Array.from({ length: 4 }, () => 'Crashed'),
    );
    assert.equal(((await pool.resultOf('adds', { a: 1, b: 1 })) as { sum: number }).sum, 2);
  });

  test('closed before its time has forked none, and refuses', LIMIT, async () => {
    const gate = Promise.withResolvers<undefined>();
    const pool = await TestPool.start({ startAfter: gate.promise });
    await pool[Symbol.asyncDispose]();
    gate.resolve(undefined);
    await gate.promise;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(pool.pool.available, 0);
    await assert.rejects(pool.run('adds', { a: 1, b: 1 }), isRefusal);
    assert.equal(forked(), 0);
  });

  test(
    'closed while its first child starts refuses the run that waits for it, and leaves no process',
    LIMIT,
    async () => {
      const pool = await TestPool.start({ startAfter: NEVER });
      const run = pool.run('adds', { a: 1, b: 1 });
      const refused = assert.rejects(run, isRefusal);
      await pool[Symbol.asyncDispose]();
      await refused;
      assert.equal(pool.pool.idle, 0);
    },
  );

  test(
    'refuses a run that is told to stop while its first child starts, and has the child for the next',
    LIMIT,
    async () => {
      await using pool = await TestPool.start({ startAfter: NEVER });
      const run = pool.begin('adds', { a: 1, b: 1 });
      run.stop('cancelled');
      await assert.rejects(run.result, isRefusal);
      const pid = pidOf(await pool.resultOf('adds', { a: 1, b: 1 }));
      assert.ok(isAlive(pid));
    },
  );

  test('whose first child cannot be forked refuses the run that asked for it', LIMIT, async () => {
    await using pool = await TestPool.start({
      ...{ startAfter: NEVER, breaker: { threshold: 1 }, env: { TOO_LONG: '\0' } },
    });
    await assert.rejects(pool.run('adds', { a: 1, b: 1 }), isRefusal);
  });
});
