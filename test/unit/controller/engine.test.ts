/** What a user sees of the schedule engine: when things fire and when they do not, on a clock that the test moves. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createWorld, Freezer, START, type World } from '../../support/schedule-world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** For long spans: the loop need not come round every second of them. */
const UNHURRIED = {
  timing: {
    longestWaitMs: MINUTE,
    readBackEveryMs: 10 * MINUTE,
    catalogEveryMs: 10 * MINUTE,
    sweepEveryMs: HOUR,
  },
  measureEveryMs: 10 * MINUTE,
};

describe('the schedule engine', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(async () => {
    await world.stopAll();
  });

  test('fires each slot of an interval once, at its time', async () => {
    world.store.create('a', { every: '10s' });
    const { reports } = world.start();
    await world.clock.advanceBy(35 * SECOND);
    assert.deepEqual(await world.fired('a'), ['08:00:00Z', '08:00:10Z', '08:00:20Z', '08:00:30Z']);
    assert.equal(reports.get('default/a')?.nextMs, START + 40 * SECOND);
  });

  test('fires a cron schedule in its zone', async () => {
    world.store.create('a', { schedule: '30 9 * * *', timeZone: 'Europe/Berlin' });
    world.start();
    await world.clock.advanceBy(2 * HOUR);
    assert.deepEqual(await world.fired('a'), ['08:30:00Z']);
  });

  test('fires every 100 ms without losing or doubling a slot', async () => {
    world.store.create('a', { every: '100ms' });
    world.start();
    await world.clock.advanceBy(10 * SECOND);
    assert.equal((await world.fired('a')).length, 101);
  });

  test('runs a schedule for weeks', async () => {
    world.store.create('a', { every: '1h' });
    world.start(UNHURRIED);
    await world.clock.advanceBy(21 * DAY);
    const state = (await world.broker.queue('default').schedules.states(['uid-1']))[0];
    assert.equal(state?.fired, 21 * 24 + 1);
    assert.equal(state.missed, 0);
  });

  describe('never fires retroactively', () => {
    test('a new object fires nothing of the time before it was adopted', async () => {
      await world.clock.advanceBy(5 * SECOND);
      world.store.create('a', { every: '1m' });
      world.start();
      await world.clock.advanceBy(MINUTE);
      assert.deepEqual(await world.fired('a'), ['08:01:00Z']);
    });

    test('an edit to a time that has passed today waits for tomorrow', async () => {
      world.store.create('a', { schedule: '0 20 * * *' });
      world.start(UNHURRIED);
      await world.clock.advanceBy(HOUR);
      world.store.edit('a', { schedule: '30 8 * * *' });
      await world.clock.advanceBy(22 * HOUR);
      assert.deepEqual(await world.fired('a'), []);
      await world.clock.advanceBy(2 * HOUR);
      assert.deepEqual(await world.fired('a'), ['08:30:00Z']);
    });

    test('what fell due while suspended does not fire at resume', async () => {
      world.store.create('a', { every: '10s' });
      world.start();
      await world.clock.advanceBy(5 * SECOND);
      world.store.edit('a', { suspend: true });
      await world.clock.advanceBy(60 * SECOND);
      world.store.edit('a', { suspend: false });
      await world.clock.advanceBy(10 * SECOND);
      assert.deepEqual(await world.fired('a'), ['08:00:00Z', '08:01:10Z']);
    });

    test('an edit made while no engine ran does not fire what fell due meanwhile, and says so', async () => {
      world.store.create('a', { every: '1m' });
      const first = world.start();
      await world.clock.advanceBy(90 * SECOND);
      await first.stop();
      await world.clock.advanceBy(5 * MINUTE);
      world.store.edit('a', { every: '1m', offset: '30s' });
      world.start();
      await world.clock.advanceBy(45 * SECOND);
      assert.deepEqual(await world.decisions('a'), [
        '08:00:00Z..08:01:00Z x2 fired',
        '08:02:00Z..08:06:00Z x5 missed Edited',
        '08:06:30Z fired',
      ]);
    });
  });

  describe('after downtime', () => {
    const restartAfter = async (ms: number): Promise<void> => {
      const first = world.start();
      await world.clock.advanceBy(MINUTE + 5 * SECOND);
      await first.stop();
      await world.clock.advanceBy(ms);
      world.start();
      await world.clock.advanceBy(SECOND);
    };

    test('Latest fires the newest late slot and records the others as superseded', async () => {
      world.store.create('a', { every: '1m' });
      await restartAfter(4 * MINUTE + 40 * SECOND);
      assert.deepEqual(await world.decisions('a'), [
        '08:00:00Z..08:01:00Z x2 fired',
        '08:02:00Z..08:04:00Z x3 missed Superseded',
        '08:05:00Z fired CatchUp',
      ]);
    });

    test('Skip records every late slot and fires none of them', async () => {
      world.store.create('a', { every: '1m', missedRunPolicy: 'Skip' });
      await restartAfter(4 * MINUTE + 40 * SECOND);
      assert.deepEqual(await world.decisions('a'), [
        '08:00:00Z..08:01:00Z x2 fired',
        '08:02:00Z..08:05:00Z x4 missed Late',
      ]);
    });

    test('All fires the newest up to its cap, oldest first, and records the rest', async () => {
      world.store.create('a', { every: '1m', missedRunPolicy: 'All', maxCatchUp: 2 });
      await restartAfter(4 * MINUTE + 40 * SECOND);
      assert.deepEqual(await world.decisions('a'), [
        '08:00:00Z..08:01:00Z x2 fired',
        '08:02:00Z..08:03:00Z x2 missed CatchUpCap',
        '08:04:00Z..08:05:00Z x2 fired CatchUp',
      ]);
    });

    test('a slot later than the starting deadline is missed under every policy', async () => {
      world.store.create('a', { every: '1m', missedRunPolicy: 'All', startingDeadlineSeconds: 100 });
      await restartAfter(4 * MINUTE + 40 * SECOND);
      assert.deepEqual(await world.decisions('a'), [
        '08:00:00Z..08:01:00Z x2 fired',
        '08:02:00Z..08:04:00Z x3 missed DeadlineExceeded',
        '08:05:00Z fired CatchUp',
      ]);
    });

    test('a run expires at its slot plus the starting deadline, however late the slot was noticed', async () => {
      world.store.create('a', { every: '1m', startingDeadlineSeconds: 50 });
      const before = world.start();
      await world.clock.advanceBy(SECOND);
      await before.stop();
      await world.clock.advanceBy(MINUTE + 44 * SECOND);
      world.start();
      await world.clock.advanceBy(SECOND);
      const { runs } = await world.broker.queue('default').inspect.runs({ scheduleUid: 'uid-1', limit: 10 });
      const expiries = runs.map(({ id, expiresAtMs }) => [id.slice(-9, -5), (expiresAtMs ?? 0) - START]);
      assert.deepEqual(expiries.sort(), [
        ['0:00', 50 * SECOND],
        ['1:00', MINUTE + 50 * SECOND],
      ]);
    });

    test('a jitter longer than the starting deadline does not expire the run before it could start', async () => {
      world.store.create('a', { every: '1h', jitter: '10m', startingDeadlineSeconds: 1 });
      world.start();
      await world.clock.advanceBy(SECOND);
      const { runs } = await world.broker.queue('default').inspect.runs({ scheduleUid: 'uid-1', limit: 10 });
      const [{ dueAtMs = 0, expiresAtMs } = {}] = runs;
      assert.ok(dueAtMs > START + 2 * SECOND, 'the jitter of this uid is too small for this test');
      assert.equal(expiresAtMs, dueAtMs + SECOND);
    });

    test('a restart without a gap fires nothing twice', async () => {
      world.store.create('a', { every: '10s' });
      for (let i = 0; i < 5; i += 1) {
        const engine = world.start();
        await world.clock.advanceBy(7 * SECOND);
        await engine.stop();
      }
      assert.equal((await world.fired('a')).length, 4);
      assert.deepEqual(await world.decisions('a'), ['08:00:00Z..08:00:30Z x4 fired']);
    });

    test('an engine that stood still is behind, and catches up by policy when it moves again', async () => {
      const freezer = new Freezer();
      world.store.create('a', { every: '1m' });
      world.start({ gate: freezer.gate });
      await world.clock.advanceBy(90 * SECOND);
      freezer.freeze();
      await world.clock.advanceBy(10 * MINUTE);
      freezer.thaw();
      await world.clock.advanceBy(SECOND);
      const decisions = await world.decisions('a');
      assert.match(decisions.join('\n'), /x2 fired\n.*missed Superseded\n08:11:00Z fired/);
    });
  });

  describe('windows', () => {
    test('nothing fires before startTime or after endTime, and then nothing is next', async () => {
      world.store.create('a', {
        every: '1m',
        startTime: '2026-03-02T08:02:00Z',
        endTime: '2026-03-02T08:04:00Z',
      });
      const { reports } = world.start();
      await world.clock.advanceBy(10 * SECOND);
      assert.equal(reports.get('default/a')?.nextMs, START + 2 * MINUTE);
      await world.clock.advanceBy(10 * MINUTE);
      assert.deepEqual(await world.fired('a'), ['08:02:00Z', '08:03:00Z', '08:04:00Z']);
      assert.equal(reports.get('default/a')?.nextMs, undefined);
    });

    test('a startTime in the past is no licence to fire what came before the object', async () => {
      world.store.create('a', { every: '1m', startTime: '2026-03-01T00:00:00Z' });
      await world.clock.advanceBy(SECOND);
      world.start();
      await world.clock.advanceBy(MINUTE);
      assert.deepEqual(await world.fired('a'), ['08:01:00Z']);
    });
  });

  test('jitter delays each run by the same amount and leaves the slot as it is', async () => {
    world.store.create('a', { every: '1m', jitter: '30s' });
    world.start();
    await world.clock.advanceBy(3 * MINUTE - 1);
    const page = await world.broker.queue('default').inspect.runs({ scheduleUid: 'uid-1', limit: 10 });
    assert.equal(page.runs.length, 3);
    const delays = page.runs.map((run) => (run.dueAtMs ?? 0) - (run.options.schedule?.slotMs ?? 0));
    assert.ok(delays.every((delayMs) => delayMs > 0 && delayMs <= 30 * SECOND));
    assert.equal(new Set(delays).size, 1);
  });
});
