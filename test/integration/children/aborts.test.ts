/** A run that is told to stop does stop: by its signal, or by force, with all that it started. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/runtime/clock.ts';
import { eventually, isAlive, TestPool } from '../../support/cpu-pool.ts';

const LIMIT = { timeout: 60_000 };
const GRACE_MS = 300;

test('a body that listens to its signal ends by itself and sees why', LIMIT, async () => {
  await using pool = await TestPool.start({ killGraceMs: 10_000 });
  const run = pool.begin('waits-for-signal');
  await run.log.has('waiting');
  const beforeMs = systemClock.monotonic();
  run.stop('cancelled');
  const result = await run.result;
  assert.ok(systemClock.monotonic() - beforeMs < 5_000, 'it did not take the grace');
  // The explicit result of the body counts; what the abort means is for the consumer to decide.
  assert.ok(result.kind === 'failed');
  assert.equal(result.error.message, 'stopped by the test: cancelled');
  const told = run.log.find('told to stop')?.fields['err'];
  assert.equal((told as { code?: string }).code, 'RUN_CANCELLED');
});

for (const [task, ready] of [
  ['spins', 'spinning'],
  ['ignores-everything', 'waiting'],
] as const) {
  test(
    `a body that ${task} beyond its timeout is killed after the grace, and its child is not used again`,
    LIMIT,
    async () => {
      await using pool = await TestPool.start({ killGraceMs: GRACE_MS });
      const { pid } = (await pool.resultOf('adds', { a: 1, b: 1 })) as { pid: number };
      const run = pool.begin(task);
      await run.log.has(ready);
      const beforeMs = systemClock.monotonic();
      run.stop('timeout');
      const result = await run.result;
      const tookMs = systemClock.monotonic() - beforeMs;
      assert.ok(result.kind === 'failed');
      assert.equal(result.error.reason, 'Timeout');
      assert.ok(tookMs >= GRACE_MS, `killed after ${tookMs} ms, before its grace was over`);
      assert.ok(tookMs < GRACE_MS + 3_000, `killed after ${tookMs} ms`);
      assert.equal(isAlive(pid), false);
      assert.notEqual(((await pool.resultOf('adds', { a: 1, b: 1 })) as { pid: number }).pid, pid);
    },
  );
}

test('a child whose run timed out is not used again, even when its body ended in time', LIMIT, async () => {
  await using pool = await TestPool.start();
  const { pid } = (await pool.resultOf('adds', { a: 1, b: 1 })) as { pid: number };
  const run = pool.begin('waits-for-signal');
  await run.log.has('waiting');
  run.stop('timeout');
  await run.result;
  assert.notEqual(((await pool.resultOf('adds', { a: 1, b: 1 })) as { pid: number }).pid, pid);
  await eventually('the old child is gone', () => !isAlive(pid));
});

test(
  'the first cause stands: a child killed for a cancellation is cancelled, not killed',
  LIMIT,
  async () => {
    await using pool = await TestPool.start({ killGraceMs: 50 });
    const run = pool.begin('spins');
    await run.log.has('spinning');
    run.stop('cancelled');
    assert.deepEqual(await run.result, { kind: 'cancelled', reason: 'stopped by the test: cancelled' });
  },
);

test(
  'a run that is stopped while it waits for a child is rejected, because its body never began',
  LIMIT,
  async () => {
    await using pool = await TestPool.start();
    const busy = pool.begin('waits-for-signal');
    await busy.log.has('waiting');
    const waiting = pool.begin('adds', { a: 1, b: 1 });
    assert.equal(pool.pool.available, 0);
    waiting.stop('shutdown');
    await assert.rejects(waiting.result, { code: 'CHILD_START' });
    busy.stop('shutdown');
    await busy.result;
  },
);

test('what a body has started is killed with it, at a timeout', LIMIT, async () => {
  await using pool = await TestPool.start({ killGraceMs: GRACE_MS });
  const run = pool.begin('starts-grandchildren', { thenExit: false });
  const pids = (await run.log.has('started')).fields['pids'] as number[];
  assert.equal(pids.length, 2);
  assert.ok(pids.every(isAlive));
  run.stop('timeout');
  await run.result;
  await eventually('the grandchildren are gone', () => !pids.some(isAlive), 5_000);
});

test(
  'what a body has started is killed with it, when it exits and leaves them behind with the pipes open',
  LIMIT,
  async () => {
    await using pool = await TestPool.start();
    const run = pool.begin('starts-grandchildren', { thenExit: true });
    const pids = (await run.log.has('started')).fields['pids'] as number[];
    const result = await run.result;
    assert.ok(result.kind === 'failed');
    assert.equal(result.error.reason, 'Crashed');
    await eventually('the grandchildren are gone', () => !pids.some(isAlive), 5_000);
  },
);

test(
  'disposing of the pool ends busy, idle and starting children and waits until they are gone',
  LIMIT,
  async () => {
    const pool = await TestPool.start({ size: 2, killGraceMs: GRACE_MS });
    await eventually('both children are ready', () => pool.pool.idle === 2);
    const spinning = pool.begin('spins');
    const { fields } = await spinning.log.has('spinning');
    await pool[Symbol.asyncDispose]();
    await pool[Symbol.asyncDispose]();
    const result = await spinning.result;
    assert.ok(result.kind === 'failed');
    assert.equal(result.error.reason, 'Killed');
    assert.equal(isAlive(Number(fields['pid'])), false);
    assert.equal(pool.pool.ready, false);
    assert.equal(pool.pool.available, 0);
    await assert.rejects(pool.run('adds', { a: 1, b: 1 }), { code: 'CHILD_START' });
  },
);

test('a pool that is disposed of while its children start leaves none of them', LIMIT, async () => {
  const ends: string[] = [];
  const pool = await TestPool.start({ size: 2, observer: { childExited: (end) => ends.push(end) } });
  await pool[Symbol.asyncDispose]();
  assert.deepEqual(ends, ['disposed', 'disposed']);
});

test('a process that left the group lives on, but holds up neither the run nor the pool', LIMIT, async () => {
  const pool = await TestPool.start();
  const run = pool.begin('starts-escapee');
  const pid = Number((await run.log.has('started')).fields['pid']);
  try {
    const result = await run.result;
    assert.ok(result.kind === 'failed');
    assert.equal(result.error.reason, 'Crashed');
    assert.equal(isAlive(pid), true);
  } finally {
    await pool[Symbol.asyncDispose]();
    process.kill(pid, 'SIGKILL');
  }
});
