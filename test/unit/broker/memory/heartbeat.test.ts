import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_QUEUE_SETTINGS } from '../../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../../src/broker/memory/memory-broker.ts';
import { VirtualClock } from '../../../../src/runtime/virtual-clock.ts';

const LEASE_MS = 10_000;

async function beating() {
  const clock = new VirtualClock();
  const broker = createMemoryBroker({ clock });
  const { work } = broker.queue('work');
  await work.register({
    ...{ incarnation: 'one', leaseMs: LEASE_MS, settings: DEFAULT_QUEUE_SETTINGS },
    ...{ manifest: { hash: 'h', builtAtMs: 0, tasks: [] }, consumer: { host: 'host', pid: 1, version: '0' } },
  });
  const renewals: string[] = [];
  const heartbeat = broker.startHeartbeat({
    ...{ incarnation: 'one', queues: ['work'], leaseMs: LEASE_MS, renewEveryMs: 2_500, stallMs: 30_000 },
    onCancellations: () => undefined,
    onLeaseGone: () => undefined,
    onRenewal: (result) => renewals.push(result),
  });
  return { clock, heartbeat, renewals };
}

describe('memory heartbeat', () => {
  test('stops renewing for a loop that has not beaten for longer than the stall bound, and goes on when it beats', async () => {
    const { clock, heartbeat, renewals } = await beating();
    await clock.advanceBy(60_000);
    assert.equal(renewals.length, 30_000 / 2_500);
    heartbeat.beat();
    await clock.advanceBy(2_500);
    assert.equal(renewals.length, 30_000 / 2_500 + 1);
  });

  test('stops renewing while settles have had no answer for two leases', async () => {
    const { clock, heartbeat, renewals } = await beating();
    heartbeat.unansweredSince(clock.monotonic());
    await clock.advanceBy(25_000);
    assert.equal(renewals.length, (2 * LEASE_MS) / 2_500);
    heartbeat.unansweredSince(undefined);
    await clock.advanceBy(2_500);
    assert.equal(renewals.length, (2 * LEASE_MS) / 2_500 + 1);
  });

  test('is silent once it is disposed, and may be disposed twice', async () => {
    const { clock, heartbeat, renewals } = await beating();
    await heartbeat[Symbol.asyncDispose]();
    await heartbeat[Symbol.asyncDispose]();
    await clock.advanceBy(60_000);
    assert.deepEqual(renewals, []);
    assert.equal(clock.nextDueMs, undefined);
  });
});
