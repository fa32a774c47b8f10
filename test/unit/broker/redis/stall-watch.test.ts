/** When the heartbeat renews, holds back, and ends the process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StallWatch } from '../../../../src/broker/redis/stall-watch.ts';

const LIMITS = { leaseMs: 10, stallMs: 30 };

test('a loop that beats is renewed for ever', () => {
  const watch = new StallWatch(LIMITS, 0);
  for (let nowMs = 1; nowMs < 1_000; nowMs += 1)
    assert.equal(watch.observe(Math.floor(nowMs / 20), 0, nowMs).kind, 'renew');
});

test('a loop that stops is renewed to the stall bound, then held back, and killed three leases later', () => {
  const watch = new StallWatch(LIMITS, 0);
  assert.deepEqual(watch.observe(5, 0, 100), { kind: 'renew' });
  assert.deepEqual(watch.observe(5, 0, 130), { kind: 'renew' });
  assert.deepEqual(watch.observe(5, 0, 131), { kind: 'hold', why: 'stalled' });
  assert.deepEqual(watch.observe(6, 0, 132), { kind: 'renew' }, 'it may come back');
  assert.deepEqual(watch.observe(6, 0, 192), { kind: 'hold', why: 'stalled' });
  assert.deepEqual(watch.observe(6, 0, 193), { kind: 'kill', stalledMs: 61 });
});

test('settles without an answer hold renewals back after two leases, each new oldest one anew', () => {
  const watch = new StallWatch(LIMITS, 0);
  assert.equal(watch.observe(1, 7, 0).kind, 'renew');
  assert.equal(watch.observe(2, 7, 20).kind, 'renew');
  assert.deepEqual(watch.observe(3, 7, 21), { kind: 'hold', why: 'unanswered' });
  assert.equal(watch.observe(4, 8, 22).kind, 'renew');
  assert.equal(watch.observe(5, 0, 40).kind, 'renew');
});
