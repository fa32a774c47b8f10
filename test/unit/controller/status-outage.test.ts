/** What the statuses of objects say while the broker is away, and after an engine took over from another. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { DEFAULT_QUEUE_SETTINGS } from '../../../src/broker/broker.ts';
import { ScheduleEngine } from '../../../src/controller/engine.ts';
import { StatusReporter } from '../../../src/controller/status-reporter.ts';
import type { StatusOutcome, StatusStore, StatusWrite } from '../../../src/controller/status-store.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { NEVER_SEEN } from '../../support/reports.ts';
import {
  CachedSource,
  createWorld,
  INSTALL,
  type SchedulerFault,
  UnreliableBroker,
  type World,
} from '../../support/schedule-world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describe('statuses around an outage of the broker', () => {
  let world: World;
  let fault: SchedulerFault;
  let writes: StatusWrite[];
  let stops: (() => Promise<void>)[];

  const store: StatusStore = {
    async apply(write): Promise<StatusOutcome> {
      const object = world.store.get(`${write.namespace}/${write.name}`);
      if (object === undefined) return 'gone';
      if (object.resourceVersion !== write.resourceVersion) return 'conflict';
      writes.push(write);
      world.store.setStatus(write.name, structuredClone(write.status));
      return 'applied';
    },
  };
  const start = () => {
    const { clock } = world;
    const source = new CachedSource(world.store, clock);
    const broker = new UnreliableBroker(world.broker, clock, async () => fault);
    const reporter = new StatusReporter({ source, store, clock, log: silentLog });
    const engine = new ScheduleEngine({
      source,
      broker,
      clock,
      log: silentLog,
      install: INSTALL,
      sink: reporter,
    });
    const stop = new AbortController();
    const done = Promise.all([reporter.run(stop.signal), engine.run(stop.signal)]);
    const end = async (): Promise<void> => {
      stop.abort();
      await clock.advanceBy(10 * SECOND);
      await done;
      source.close();
    };
    stops.push(end);
    return end;
  };
  const ready = () => world.store.get('default/a')?.status?.conditions?.find(({ type }) => type === 'Ready');
  const create = (spec: Parameters<World['store']['create']>[1]): void => {
    world.store.create('a', spec);
    world.store.setStatus('a', NEVER_SEEN);
  };

  beforeEach(() => {
    world = createWorld();
    fault = undefined;
    writes = [];
    stops = [];
  });
  afterEach(async () => {
    for (const end of stops) await end();
    await world.stopAll();
  });

  test('nothing is written while the broker is away, also by a controller that starts meanwhile', async () => {
    create({ every: '1m' });
    const end = start();
    await world.clock.advanceBy(90 * SECOND);
    assert.equal(ready()?.status, 'True');
    fault = 'before';
    // What was read before the outage may still be written.
    await world.clock.advanceBy(20 * SECOND);
    const { length } = writes;
    await world.clock.advanceBy(10 * MINUTE);
    await end();
    start();
    await world.clock.advanceBy(10 * MINUTE);
    assert.equal(writes.length, length);
    fault = undefined;
    await world.clock.advanceBy(2 * MINUTE);
    assert.ok(writes.length > length);
    assert.equal(ready()?.status, 'True');
    assert.ok(
      (world.store.get('default/a')?.status?.missedRuns ?? 0) >= 18,
      'the slots of the outage were missed',
    );
  });

  test('an edit during the outage is not observed before the broker acted on it', async () => {
    create({ every: '1m' });
    start();
    await world.clock.advanceBy(10 * SECOND);
    fault = 'before';
    world.store.edit('a', { suspend: true });
    await world.clock.advanceBy(5 * MINUTE);
    assert.equal(world.store.get('default/a')?.status?.observedGeneration, 1);
    assert.equal(ready()?.reason, 'NoConsumer');
    fault = undefined;
    await world.clock.advanceBy(10 * SECOND);
    assert.equal(world.store.get('default/a')?.status?.observedGeneration, 2);
    assert.equal(ready()?.reason, 'Suspended');
  });

  test('an object that is stalled stays so when another controller takes over', async () => {
    create({ every: '1h', task: 'unheard-of' });
    await world.broker.queue('default').work.register({
      incarnation: 'c1',
      leaseMs: 60 * MINUTE,
      manifest: { hash: 'h', builtAtMs: world.clock.now(), tasks: [] },
      settings: DEFAULT_QUEUE_SETTINGS,
      consumer: { host: 'test', pid: 1, version: '0' },
    });
    const end = start();
    await world.clock.advanceBy(5 * MINUTE);
    const stalled = () =>
      world.store.get('default/a')?.status?.conditions?.find(({ type }) => type === 'Stalled');
    assert.deepEqual([ready()?.reason, stalled()?.status], ['UnknownTask', 'True']);
    await end();
    writes.length = 0;
    start();
    await world.clock.advanceBy(5 * MINUTE);
    assert.deepEqual(
      writes.map(({ status }) => status.conditions?.find(({ type }) => type === 'Stalled')?.status),
      writes.map(() => 'True'),
    );
    assert.equal(stalled()?.status, 'True');
  });
});
