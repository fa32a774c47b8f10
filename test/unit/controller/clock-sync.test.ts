import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { ClockSync, MEASURE_EVERY_MS } from '../../../src/controller/clock-sync.ts';

const BROKER_AHEAD_MS = 3_600_000;

/** A broker whose time differs from ours, asked over a line that takes time. */
function skewed(clock: VirtualClock) {
  const server = { aheadMs: BROKER_AHEAD_MS, asked: 0 };
  const sync = new ClockSync({
    clock,
    readNow: async () => {
      server.asked += 1;
      return clock.now() + server.aheadMs;
    },
  });
  return { server, sync };
}

test('now is the time of the broker, whatever the clock of this machine says', async () => {
  const clock = new VirtualClock(1_000_000);
  const { sync } = skewed(clock);
  assert.equal(await sync.now(), clock.now() + BROKER_AHEAD_MS);
});

test('between two measurements time passes without asking, and after 5 s it is asked again', async () => {
  const clock = new VirtualClock(1_000_000);
  const { server, sync } = skewed(clock);
  await sync.now();
  await clock.advanceBy(MEASURE_EVERY_MS - 1);
  assert.equal(await sync.now(), clock.now() + BROKER_AHEAD_MS);
  assert.equal(server.asked, 1);
  await clock.advanceBy(1);
  await sync.now();
  assert.equal(server.asked, 2);
});

test('a broker whose clock was set is believed at the next measurement, forwards and backwards', async () => {
  const clock = new VirtualClock(1_000_000);
  const { server, sync } = skewed(clock);
  await sync.now();
  for (const aheadMs of [400 * 86_400_000, -3_600_000]) {
    server.aheadMs = aheadMs;
    await clock.advanceBy(MEASURE_EVERY_MS);
    assert.equal(await sync.now(), clock.now() + aheadMs);
  }
});

/** A broker that answers truly, and whose answers spend time on the way back: the next ones as long as `waysMs` says. */
function slow(clock: VirtualClock, waysMs: number[]): ClockSync {
  const readNow = async (): Promise<number> => {
    const brokerMs = clock.now();
    const wayMs = waysMs.shift() ?? 0;
    if (wayMs > 0) await clock.sleep(wayMs);
    return brokerMs;
  };
  return new ClockSync({ clock, readNow });
}

test('one slow answer does not blur a sharp measurement', async () => {
  const clock = new VirtualClock(0);
  const sync = slow(clock, [0, 150]);
  await sync.now();
  await clock.advanceBy(MEASURE_EVERY_MS);
  const asked = sync.now();
  await clock.advanceBy(150);
  assert.equal(await asked, clock.now());
});

test('a process that stood still while it asked the first time asks again, rather than be minutes behind', async () => {
  const clock = new VirtualClock(0);
  const sync = slow(clock, [400_000]);
  const asked = sync.now();
  await clock.advanceBy(400_000);
  assert.equal(await asked, clock.now());
});

test('a line that is always slow is put up with', async () => {
  const clock = new VirtualClock(0);
  const sync = slow(clock, [600, 600, 600, 600, 600, 600]);
  const asked = sync.now();
  await clock.advanceBy(10_000);
  assert.ok(Math.abs((await asked) - clock.now()) <= 300 + 10_000);
  assert.ok(Math.abs(sync.estimate() - clock.now()) <= 300);
});

test('doubt makes the next use measure again', async () => {
  const clock = new VirtualClock(0);
  const { server, sync } = skewed(clock);
  await sync.now();
  sync.doubt();
  assert.equal(sync.estimate(), clock.now() + BROKER_AHEAD_MS, 'what was measured serves until then');
  await sync.now();
  assert.equal(server.asked, 2);
});

test('many that ask at once cause one measurement', async () => {
  const clock = new VirtualClock(0);
  const { server, sync } = skewed(clock);
  await Promise.all([sync.now(), sync.now(), sync.now()]);
  assert.equal(server.asked, 1);
});
