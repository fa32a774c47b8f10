/** A broker that is away, full, emptied or set back: nothing is lost without an answer, and nothing fires twice. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Broker } from '../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { createWorld, type SchedulerFault, START, type World } from '../../support/schedule-world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describe('the schedule engine with a broker in trouble', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(async () => {
    await world.stopAll();
  });

  test('lost replies and lost calls cost no slot and double none', async () => {
    world.store.create('a', { every: '1s', missedRunPolicy: 'All' });
    let calls = 0;
    let faulty = true;
    world.start({
      gate: async (): Promise<SchedulerFault> => {
        calls += 1;
        return !faulty ? undefined : calls % 5 === 0 ? 'after' : calls % 7 === 0 ? 'before' : undefined;
      },
    });
    await world.clock.advanceBy(MINUTE);
    faulty = false;
    await world.clock.advanceBy(10 * SECOND);
    assert.deepEqual(await world.decisions('a'), ['08:00:00Z..08:01:10Z x71 fired']);
    assert.equal((await world.fired('a')).length, 71);
  });

  test('while it is away nothing is tried more than once a second, and afterwards the policy decides', async () => {
    world.store.create('a', { every: '1m' });
    let away = false;
    const { broker } = world.start({ gate: async () => (away ? 'before' : undefined) });
    await world.clock.advanceBy(65 * SECOND);
    away = true;
    const callsBefore = broker.calls.length;
    await world.clock.advanceBy(5 * MINUTE);
    assert.ok(
      broker.calls.length - callsBefore <= 300,
      `${broker.calls.length - callsBefore} calls in 300 s`,
    );
    away = false;
    await world.clock.advanceBy(10 * SECOND);
    assert.match(
      (await world.decisions('a')).join('\n'),
      /x2 fired\n08:02:00Z..08:0[45]:00Z x[34] missed Superseded\n08:0[56]:00Z fired/,
    );
  });

  test('one that was emptied gets its schedules back, and what fell into the gap follows the policy', async () => {
    world.store.create('a', { every: '1s', missedRunPolicy: 'All' });
    const { broker, events } = world.start();
    await world.clock.advanceBy(10_500);
    const fresh = createMemoryBroker({ clock: world.clock });
    broker.inner = fresh;
    await world.clock.advanceBy(10 * SECOND);
    assert.deepEqual(await world.decisions('a', fresh), ['08:00:11Z..08:00:20Z x10 fired']);
    assert.ok(events.includes('regressed a schedule'));
  });

  test('one that was emptied makes no storm of what was fired before', async () => {
    world.store.create('a', { every: '1s', missedRunPolicy: 'All' });
    const { broker } = world.start();
    await world.clock.advanceBy(10 * MINUTE + 500);
    const fresh = createMemoryBroker({ clock: world.clock });
    broker.inner = fresh;
    await world.clock.advanceBy(SECOND);
    assert.deepEqual(await world.decisions('a', fresh), ['08:10:01Z fired']);
  });

  test('an object that is edited while the broker is emptied fires nothing of the gap', async () => {
    world.store.create('a', { every: '10s', missedRunPolicy: 'All' });
    const { broker } = world.start();
    await world.clock.advanceBy(15 * SECOND);
    const fresh = createMemoryBroker({ clock: world.clock });
    broker.inner = fresh;
    await world.clock.advanceBy(4 * SECOND);
    world.store.edit('a', { offset: '1s' });
    await world.clock.advanceBy(3 * SECOND);
    assert.deepEqual(await world.decisions('a', fresh), ['08:00:21Z fired']);
  });

  test('an object whose status says how far it is settled catches up after broker and engine lost everything', async () => {
    const object = world.store.create('a', { every: '10s', missedRunPolicy: 'All' });
    world.store.put({
      ...object,
      status: { observedGeneration: 1, settledThroughTime: new Date(START - 30 * SECOND).toISOString() },
    });
    world.start();
    await world.clock.advanceBy(SECOND);
    assert.deepEqual(await world.decisions('a'), ['07:59:40Z..08:00:00Z x3 fired']);
  });

  test('an engine that met an older generation only takes the word of the status when the broker was emptied', async () => {
    const object = world.store.create('a', { every: '10s', missedRunPolicy: 'All' });
    const engine = world.start();
    await world.clock.advanceBy(SECOND);
    engine.source.cutOff = true;
    // Another controller acts on the edit, and writes the status; then Redis loses everything.
    const edited = {
      ...object,
      generation: 2,
      status: { observedGeneration: 2, settledThroughTime: new Date(START + 40 * SECOND).toISOString() },
    };
    world.store.put(edited);
    await world.clock.advanceBy(64 * SECOND);
    const emptied = createMemoryBroker({ clock: world.clock });
    engine.broker.inner = emptied;
    engine.source.cutOff = false;
    await world.clock.advanceBy(SECOND);
    assert.deepEqual(await world.decisions('a', emptied), ['08:00:50Z..08:01:00Z x2 fired']);
  });

  test('a status of an older generation says nothing about the new one', async () => {
    const object = world.store.create('a', { every: '10s', missedRunPolicy: 'All' });
    world.store.put({
      ...object,
      generation: 2,
      status: { observedGeneration: 1, settledThroughTime: new Date(START - 30 * SECOND).toISOString() },
    });
    world.start();
    await world.clock.advanceBy(SECOND);
    assert.deepEqual(await world.decisions('a'), ['08:00:00Z fired']);
  });

  /** A replica that missed the last writes: it knows the schedule as settled through 08:00:10. */
  const behind = async (): Promise<Broker> => {
    const replica = createMemoryBroker({ clock: world.clock });
    const request = {
      uid: 'uid-1',
      generation: 1,
      install: 'test',
      namespace: 'default',
      name: 'a',
      suspended: false,
      spec: '{}',
    };
    await replica.queue('default').schedules.adopt([{ ...request, settledThroughMs: START + 10 * SECOND }]);
    return replica;
  };

  test('an engine that is new to a schedule derives the slots again that a status knows and the broker has lost', async () => {
    const object = world.store.create('a', { every: '10s', missedRunPolicy: 'All' });
    await world.clock.advanceBy(41 * SECOND);
    world.store.put({
      ...object,
      status: { observedGeneration: 1, settledThroughTime: new Date(START + 40 * SECOND).toISOString() },
    });
    const engine = world.start();
    const replica = await behind();
    engine.broker.inner = replica;
    await world.clock.advanceBy(SECOND);
    assert.deepEqual(await world.decisions('a', replica), ['08:00:20Z..08:00:40Z x3 fired']);
  });

  test('a failover that lost writes is seen at the reconnect, and the lost slots are derived again', async () => {
    world.store.create('a', { every: '10s', missedRunPolicy: 'All' });
    const { broker, events } = world.start();
    await world.clock.advanceBy(35 * SECOND);
    const replica = await behind();
    broker.inner = replica;
    broker.reconnects += 1;
    await world.clock.advanceBy(2 * SECOND);
    assert.ok(events.includes('regressed a watermark'));
    assert.deepEqual(await world.decisions('a', replica), ['08:00:20Z..08:00:30Z x2 fired']);
  });

  test('a failover that nobody told of is seen by the next slot, and hides none that was lost', async () => {
    world.store.create('a', { every: '10s', missedRunPolicy: 'All' });
    const { broker, events } = world.start();
    await world.clock.advanceBy(35 * SECOND);
    const replica = await behind();
    broker.inner = replica;
    await world.clock.advanceBy(6 * SECOND);
    assert.ok(events.includes('regressed a watermark'));
    assert.deepEqual(await world.decisions('a', replica), ['08:00:20Z..08:00:40Z x3 fired']);
  });

  test('a slot of the old spec that falls due while an edit is on its way has its decision', async () => {
    world.store.create('a', { every: '1s' });
    const slow = world.start({
      gate: async (): Promise<SchedulerFault> => {
        if (slow.broker.calls.at(-1) === 'adopt') await world.clock.sleep(300);
        return undefined;
      },
    });
    await world.clock.advanceBy(5_800);
    world.store.edit('a', { every: '1h' });
    await world.clock.advanceBy(5 * SECOND);
    assert.deepEqual(await world.decisions('a'), [
      '08:00:01Z..08:00:05Z x5 fired',
      '08:00:06Z missed Edited',
    ]);
  });

  test('an edit takes force although the old spec is due more often than a call takes', async () => {
    world.store.create('a', { every: '100ms' });
    const slow = world.start({
      gate: async (): Promise<SchedulerFault> => {
        if (slow.broker.calls.at(-1) === 'adopt') await world.clock.sleep(300);
        return undefined;
      },
    });
    await world.clock.advanceBy(5 * SECOND);
    world.store.edit('a', { suspend: true });
    await world.clock.advanceBy(5 * SECOND);
    assert.ok(slow.events.includes('adopted a 2'));
  });

  test('a failover that nobody told of is seen within 30 s', async () => {
    world.store.create('a', { every: '1m', offset: '20s', missedRunPolicy: 'All' });
    const { broker } = world.start();
    await world.clock.advanceBy(25 * SECOND);
    const replica = await behind();
    broker.inner = replica;
    await world.clock.advanceBy(31 * SECOND);
    assert.deepEqual(await world.decisions('a', replica), ['08:00:20Z fired']);
  });

  test('one that is out of memory owes nothing less: the slots fire when there is room again', async () => {
    world.store.create('a', { every: '1s', missedRunPolicy: 'All' });
    const { broker, events } = world.start();
    await world.clock.advanceBy(5_500);
    broker.onFire = async (requests) => requests.map(() => ({ outcome: 'no-memory' as const }));
    const callsBefore = broker.calls.length;
    await world.clock.advanceBy(20 * SECOND);
    const fires = broker.calls.slice(callsBefore).filter((call) => call === 'fire').length;
    assert.ok(fires <= 20, `${fires} calls of fire in 20 s`);
    assert.ok(events.some((event) => event.startsWith('refusedForMemory')));
    broker.onFire = () => undefined;
    await world.clock.advanceBy(6 * SECOND);
    assert.match((await world.decisions('a')).join(), /^08:00:00Z..08:00:(3\d)Z x\d+ fired$/);
  });

  test('a broker whose clock is behind ours refuses slots as early, and they fire at its time', async () => {
    world.store.create('a', { every: '10s' });
    const { broker } = world.start();
    await world.clock.advanceBy(15 * SECOND);
    let early = 0;
    broker.onFire = (requests) => {
      early += 1;
      if (early > 2) return undefined;
      return Promise.resolve(
        requests.map(() => ({
          outcome: 'ok' as const,
          decisions: [{ decision: 'refused' as const, why: 'future' as const }],
        })),
      );
    };
    await world.clock.advanceBy(6 * SECOND);
    assert.equal(early, 3);
    assert.deepEqual(await world.decisions('a'), ['08:00:00Z..08:00:20Z x3 fired']);
  });

  test('objects in different queues are served by loops of their own: one that fails holds up no other', async () => {
    world.store.create('a', { every: '10s', queue: 'broken' });
    world.store.create('b', { every: '10s' });
    const { broker } = world.start();
    const port = broker.queue('broken').schedules;
    port.adopt = () => Promise.reject(new TidemillError('BROKER_REFUSED', 'wrong type'));
    await world.clock.advanceBy(15 * SECOND);
    assert.equal((await world.fired('b')).length, 2);
  });
});
