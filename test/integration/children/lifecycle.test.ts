/** Children are replaced when their time has come, and a module that does not start stops the pool, not the consumer. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/runtime/clock.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { eventually, FIXTURES, isAlive, TestPool } from '../../support/cpu-pool.ts';

const LIMIT = { timeout: 60_000 };

async function pidOf(pool: TestPool): Promise<number> {
  return ((await pool.resultOf('adds', { a: 1, b: 1 })) as { pid: number }).pid;
}

test('children are forked ahead of need, and only count once their tasks are loaded', LIMIT, async () => {
  const started: number[] = [];
  await using pool = await TestPool.start({ size: 2, observer: { childStarted: (ms) => started.push(ms) } });
  assert.equal(pool.pool.idle, 0);
  assert.equal(pool.pool.available, 2);
  await eventually('both are ready', () => pool.pool.idle === 2);
  assert.equal(started.length, 2);
  assert.ok(started.every((ms) => ms > 0));
});

test('runs beyond the size of the pool wait, and each gets its turn', LIMIT, async () => {
  await using pool = await TestPool.start({ size: 2 });
  const results = await Promise.all(Array.from({ length: 20 }, (_, a) => pool.resultOf('adds', { a, b: 0 })));
  assert.deepEqual(
    results.map((result) => (result as { sum: number }).sum),
    Array.from({ length: 20 }, (_, a) => a),
  );
  assert.ok(new Set(results.map((result) => (result as { pid: number }).pid)).size <= 2);
});

test('a child is replaced after its share of runs', LIMIT, async () => {
  const ends: string[] = [];
  await using pool = await TestPool.start({
    recycle: { maxRuns: 2 },
    observer: { childExited: (end) => ends.push(end) },
  });
  const pids: number[] = [];
  for (let run = 0; run < 6; run++) pids.push(await pidOf(pool));
  assert.equal(new Set(pids).size, 3);
  assert.deepEqual(pids, [pids[0], pids[0], pids[2], pids[2], pids[4], pids[4]]);
  await eventually('the old ones are gone', () => ends.length === 3 && !pids.some(isAlive));
  assert.deepEqual(ends, ['recycled', 'recycled', 'recycled']);
});

test('a child that has grown too large is replaced, and one that has not is kept', LIMIT, async () => {
  const rss: number[] = [];
  await using pool = await TestPool.start({
    recycle: { maxGrowthBytes: 100 * 1024 * 1024 },
    observer: { childRss: (bytes) => rss.push(bytes) },
  });
  const small = await pool.resultOf('grows', { megabytes: 1 });
  assert.equal(await pidOf(pool), small);
  assert.equal(await pool.resultOf('grows', { megabytes: 200 }), small);
  assert.ok(Math.max(...rss) > 200 * 1024 * 1024);
  assert.notEqual(await pidOf(pool), small);
});

test('a child that is old enough is replaced while it is idle', LIMIT, async () => {
  const ends: string[] = [];
  await using pool = await TestPool.start({
    recycle: { maxAgeMs: 1_500 },
    observer: { childExited: (end) => ends.push(end) },
  });
  const pid = await pidOf(pool);
  await eventually('it is gone', () => ends.length > 0 && !isAlive(pid));
  assert.deepEqual(ends, ['recycled']);
  assert.notEqual(await pidOf(pool), pid);
});

test(
  'a child that is held up by what an earlier run left behind does not get to keep the next run',
  LIMIT,
  async () => {
    await using pool = await TestPool.start({ beginTimeoutMs: 500 });
    const stuck = await pool.resultOf('leaves-spin');
    await new Promise((resolve) => setTimeout(resolve, 100)); // what it left behind begins after 20 ms
    assert.notEqual(await pidOf(pool), stuck);
    assert.equal(isAlive(Number(stuck)), false);
  },
);

test(
  'a module that does not load opens the breaker: runs are refused, and the cause is told',
  LIMIT,
  async () => {
    await using pool = await TestPool.start({
      tasks: ['broken-module.ts'],
      breaker: { threshold: 2, backoffMs: 20, maxBackoffMs: 40 },
    });
    const early = pool.run('adds', { a: 1, b: 1 });
    await assert.rejects(early, (error) => {
      assert.ok(error instanceof TidemillError);
      assert.equal(error.code, 'CHILD_START');
      const cause = error.cause;
      assert.ok(cause instanceof TidemillError);
      assert.match(cause.message, /no database today/);
      assert.match(String(cause.cause), /the module says why/);
      return true;
    });
    assert.equal(pool.pool.healthy, false);
    assert.equal(pool.pool.ready, false);
    assert.equal(pool.pool.available, 0);
    await assert.rejects(pool.run('adds', { a: 1, b: 1 }), { code: 'CHILD_START' });
  },
);

test(
  'a pool whose children do not start tries ever more seldom, with one child at a time, and heals by itself',
  LIMIT,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-'));
    const flag = join(folder, 'flag');
    const module = join(FIXTURES, 'broken-while-file-exists.ts');
    try {
      const ends: string[] = [];
      await using pool = await TestPool.start(
        {
          size: 2,
          env: { BROKEN_FLAG: flag },
          breaker: { threshold: 2, backoffMs: 100, maxBackoffMs: 400 },
          observer: { childExited: (end) => ends.push(end) },
        },
        [module],
      );
      await eventually('both are ready', () => pool.pool.idle === 2);
      await writeFile(flag, '');
      // Runs that kill their children: they cannot be replaced now.
      await Promise.all([pool.run('dies'), pool.run('dies')]);
      await eventually('the breaker is open', () => !pool.pool.healthy);
      await assert.rejects(pool.run('fine'), { code: 'CHILD_START' });
      await rm(flag);
      await eventually('it is healthy again', () => pool.pool.healthy && pool.pool.idle > 0);
      assert.equal((await pool.run('fine')).kind, 'succeeded');
      await eventually('it is complete again', () => pool.pool.idle === 2);
      assert.ok(ends.includes('start-failed'));
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

test(
  'children that load and then fall over are started ever more seldom, and open the breaker',
  LIMIT,
  async () => {
    const ends: string[] = [];
    const breaker = { threshold: 2, backoffMs: 50, maxBackoffMs: 60_000 };
    await using pool = await TestPool.start({ breaker, observer: { childExited: (end) => ends.push(end) } }, [
      join(FIXTURES, 'falls-over.ts'),
    ]);
    await eventually('three have fallen over', () => ends.length >= 3);
    assert.deepEqual(new Set(ends), new Set(['died']));
    assert.equal(pool.log.entries.filter(({ message }) => message === 'idle child ended').length, 3);
    const failures = pool.log.entries
      .filter(({ message }) => message === 'child did not start')
      .map(({ fields }) => fields['failures']);
    assert.deepEqual(failures, [1, 2, 3]);
    assert.equal(pool.pool.healthy, false);
  },
);

test('a child with another manifest than its consumer is refused', LIMIT, async () => {
  await using pool = await TestPool.start({ manifestHash: 'another', breaker: { threshold: 1 } });
  await assert.rejects(pool.run('adds', { a: 1, b: 1 }), (error) => {
    assert.ok(error instanceof TidemillError);
    assert.match(String(error.cause), /manifest/);
    return true;
  });
});

test('a child that cannot be forked at all counts as a failed start', LIMIT, async () => {
  await using pool = await TestPool.start({ cwd: '/no/such/folder', breaker: { threshold: 1 } });
  await assert.rejects(pool.run('adds', { a: 1, b: 1 }), { code: 'CHILD_START' });
});

test('a module that never finishes loading is given up after the start timeout', LIMIT, async () => {
  await using pool = await TestPool.start({
    tasks: ['never-loads.ts'],
    startTimeoutMs: 700,
    breaker: { threshold: 1 },
  });
  await assert.rejects(pool.run('adds', { a: 1, b: 1 }), (error) => {
    assert.ok(error instanceof TidemillError);
    assert.match(String(error.cause), /not ready after 700 ms/);
    return true;
  });
});

test(
  'a consumer whose loop was blocked reads what came in time before it judges its children',
  LIMIT,
  async () => {
    await using pool = await TestPool.start({ beginTimeoutMs: 200 });
    const pid = await pidOf(pool);
    const run = pool.begin('adds', { a: 1, b: 1 });
    await new Promise((resolve) => setImmediate(resolve)); // the message is out
    const endMs = systemClock.monotonic() + 1_000;
    while (systemClock.monotonic() < endMs); // as a task in the event loop may do
    assert.equal((await run.result).kind, 'succeeded');
    assert.equal(await pidOf(pool), pid);
  },
);
