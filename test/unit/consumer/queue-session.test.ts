import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueueSession } from '../../../src/consumer/queue-session.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';

const BROKER_AHEAD_MS = 3_600_000;

test('the broker’s time is never taken for later than it is, and an answer that lay unread does not make it earlier', async () => {
  const clock = new VirtualClock(0);
  const session = new QueueSession(clock);
  assert.equal(session.brokerNowMs, undefined);
  for (const [lateMs, errorMs] of [
    [7, 7],
    [2, 2],
    [40, 2],
    [3, 2],
    [1, 1],
  ] as const) {
    await clock.advanceBy(50);
    session.heardTime(clock.monotonic() + BROKER_AHEAD_MS - lateMs);
    assert.equal(session.brokerNowMs, clock.monotonic() + BROKER_AHEAD_MS - errorMs, `${lateMs} ms late`);
  }
});

test('a broker whose clock is behind the one before is believed within a second', async () => {
  const clock = new VirtualClock(0);
  const session = new QueueSession(clock);
  session.heardTime(BROKER_AHEAD_MS);
  await clock.advanceBy(1_001);
  session.heardTime(5);
  assert.equal(session.brokerNowMs, 5);
});
