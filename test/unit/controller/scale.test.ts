/** Many schedules at once: bounded calls, bounded memory, and no scan where a heap will do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FireRequest } from '../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { SCHEDULES_PER_FIRE, SLOTS_PER_FIRE } from '../../../src/controller/engine-context.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { ObjectStore, START, startEngine } from '../../support/schedule-world.ts';

const MINUTE = 60_000;
const SCHEDULES = 10_000;

function fleet(input: Parameters<ObjectStore['create']>[1], count: number) {
  const clock = new VirtualClock(START + 1);
  const store = new ObjectStore();
  for (let i = 0; i < count; i += 1) store.create(`s${i}`, input);
  const broker = createMemoryBroker({ clock });
  const handle = startEngine(clock, store, broker);
  const calls: (readonly FireRequest[])[] = [];
  handle.broker.onFire = (requests) => {
    calls.push(requests);
    return undefined;
  };
  return { clock, broker, handle, calls };
}

test('10,000 schedules that are due in one second are fired in bounded calls, each once', async () => {
  const { clock, broker, handle, calls } = fleet(
    { schedule: '* * * * *', timeZone: 'Europe/Berlin' },
    SCHEDULES,
  );
  await clock.advanceBy(MINUTE + 10_000);
  const stats = await broker.queue('default').inspect.stats();
  assert.equal(stats.pending, SCHEDULES);
  assert.equal(calls.flat().length, SCHEDULES);
  assert.ok(Math.max(...calls.map((requests) => requests.length)) <= SCHEDULES_PER_FIRE);
  await handle.stop();
});

test('a long catch-up of many schedules comes in calls of a bounded number of slots', async () => {
  const { clock, broker, handle, calls } = fleet(
    { every: '1m', missedRunPolicy: 'All', maxCatchUp: 100 },
    200,
  );
  await clock.advanceBy(MINUTE);
  handle.broker.onFire = () => Promise.reject(new Error('away'));
  await clock.advanceBy(90 * MINUTE);
  handle.broker.onFire = (requests) => {
    calls.push(requests);
    return undefined;
  };
  await clock.advanceBy(MINUTE);
  const slots = calls.map((requests) => requests.reduce((sum, { entries }) => sum + entries.length, 0));
  assert.ok(Math.max(...slots) <= SLOTS_PER_FIRE + 100, `${Math.max(...slots)} slots in one call`);
  const [state] = await broker.queue('default').schedules.states(['uid-1']);
  assert.equal((state?.fired ?? 0) + (state?.missed ?? 0), 92);
  await handle.stop();
});
