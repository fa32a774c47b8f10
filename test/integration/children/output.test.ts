/** Whatever a body writes to its pipes: the log stays bounded, the parent's memory too, and nobody waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { systemClock } from '../../../src/runtime/clock.ts';
import { TestPool } from '../../support/cpu-pool.ts';

const LIMIT = { timeout: 120_000 };
const MIB = 1024 * 1024;

/** Highest resident memory of this process while something happens, above what it was before. */
async function growthWhile(work: Promise<unknown>): Promise<number> {
  const beforeBytes = process.memoryUsage.rss();
  let mostBytes = beforeBytes;
  let over = false;
  void work.finally(() => (over = true));
  while (!over) {
    mostBytes = Math.max(mostBytes, process.memoryUsage.rss());
    await systemClock.sleep(5);
  }
  return mostBytes - beforeBytes;
}

test(
  'a flood of 400 MiB is drained and cut off: memory of parent and child stays flat, and the run succeeds',
  LIMIT,
  async () => {
    const truncated: [string, number][] = [];
    await using pool = await TestPool.start({
      observer: { outputTruncated: (task, bytes) => truncated.push([task, bytes]) },
    });
    await pool.run('floods', { megabytes: 8 }); // the reading code is warm, so that what grows is the flood
    truncated.length = 0;
    const run = pool.begin('floods', { megabytes: 400 });
    const growth = await growthWhile(run.result);
    const result = await run.result;
    assert.ok(result.kind === 'succeeded');
    assert.ok(growth < 32 * MIB, `the parent grew by ${Math.round(growth / MIB)} MiB`);
    assert.ok(Number(result.result) < 160 * MIB, `the child grew to ${result.result ?? ''} bytes`);
    const kept = run.log.lines('stdout').length;
    assert.ok(kept > 600 && kept <= 1_000, `${kept} lines kept`);
    const dropped = Number(run.log.find('task output truncated')?.fields['droppedBytes']);
    assert.ok(dropped > 399 * MIB, `${dropped} bytes counted as dropped`);
    assert.deepEqual(truncated, [['floods', dropped]]);
  },
);

test('a flood in one child does not hold up a run in another', LIMIT, async () => {
  await using pool = await TestPool.start({ size: 2 });
  await pool.run('adds', { a: 1, b: 1 });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const flood = pool.begin('floods', { megabytes: 400 });
  await flood.begun;
  const flooding = { over: false };
  void flood.result.then(() => (flooding.over = true));
  delay.enable();
  let during = 0;
  while (!flooding.over) {
    assert.equal((await pool.run('adds', { a: 1, b: 1 })).kind, 'succeeded');
    during += 1;
  }
  delay.disable();
  assert.ok(during >= 10, `${during} runs ended while the flood went on`);
  assert.ok(delay.percentile(90) < 50e6, `the event loop was late by ${delay.percentile(90) / 1e6} ms`);
});

test('a line of 100 MiB is cut at a whole character, and the line after it is kept', LIMIT, async () => {
  await using pool = await TestPool.start();
  const run = pool.begin('floods-in-one-line', { megabytes: 100 });
  const growth = await growthWhile(run.result);
  assert.equal((await run.result).kind, 'succeeded');
  assert.ok(growth < 32 * MIB, `the parent grew by ${Math.round(growth / MIB)} MiB`);
  const [long, next] = run.log.lines('stdout');
  assert.equal(long, 'é'.repeat(4_096));
  assert.equal(next, 'after the long line');
});

test(
  'binary output becomes text, a multi-byte character stays whole, and the last line needs no newline',
  LIMIT,
  async () => {
    await using pool = await TestPool.start();
    const run = pool.begin('writes-binary');
    assert.equal((await run.result).kind, 'succeeded');
    assert.deepEqual(run.log.lines('stdout'), ['\0\ufffd\ufffd\u001b[2J', 'naïve 🙂']);
    assert.deepEqual(run.log.lines('stderr'), ['no newline at the end']);
  },
);

test('what a run has written is in its own log, never in the log of the next run', LIMIT, async () => {
  await using pool = await TestPool.start();
  for (let round = 0; round < 30; round++) {
    const writes = pool.begin('writes-binary');
    await writes.result;
    assert.equal(writes.log.lines('stdout').length, 2, `round ${round}`);
    const adds = pool.begin('adds', { a: round, b: 1 });
    await adds.result;
    assert.deepEqual(adds.log.entries, [], `round ${round}`);
  }
});
