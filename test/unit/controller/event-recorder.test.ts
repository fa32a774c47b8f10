/** What a user reads in the events of an object, from the first adoption to its last failure. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { ScheduleEngine } from '../../../src/controller/engine.ts';
import { EventRecorder } from '../../../src/controller/event-recorder.ts';
import type { EventOutcome, EventRecord, EventStore } from '../../../src/controller/event-store.ts';
import { SILENT_ENGINE_OBSERVER } from '../../../src/controller/observer.ts';
import { statusOf } from '../../../src/controller/status-of.ts';
import type { TriggerEcho } from '../../../src/controller/trigger.ts';
import type { QueuePolicy } from '../../../src/controller/verdict.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { objectOf, reportOn } from '../../support/reports.ts';
import {
  CachedSource,
  createWorld,
  INSTALL,
  UnreliableBroker,
  type World,
} from '../../support/schedule-world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

class EventLog implements EventStore {
  readonly events = new Map<string, EventRecord>();
  calls = 0;
  answer: () => EventOutcome = () => 'written';

  async create(event: EventRecord): Promise<EventOutcome> {
    return this.#take(event);
  }

  async repeat(event: EventRecord): Promise<EventOutcome> {
    assert.ok(this.events.has(event.eventName));
    return this.#take(event);
  }

  #take(event: EventRecord): EventOutcome {
    this.calls += 1;
    const outcome = this.answer();
    if (outcome === 'written') this.events.set(event.eventName, event);
    return outcome;
  }

  lines(): readonly string[] {
    return [...this.events.values()].map(
      ({ type, reason, message, count }) => `${type} ${reason} ×${count}: ${message}`,
    );
  }

  reasons(): readonly string[] {
    return [...this.events.values()].map(({ reason }) => reason);
  }
}

describe('the event recorder', () => {
  let world: World;
  let log: EventLog;
  let stops: (() => Promise<void>)[];
  let allow: QueuePolicy;

  /** An engine with a recorder of its own, and statuses written as soon as they are reported. */
  const start = () => {
    const source = new CachedSource(world.store, world.clock);
    const recorder = new EventRecorder({ store: log, clock: world.clock, log: silentLog });
    const stop = new AbortController();
    const broker = new UnreliableBroker(world.broker, world.clock);
    const engine = new ScheduleEngine({
      ...{ source, broker, clock: world.clock, log: silentLog, install: INSTALL },
      allow: (request) => allow(request),
      sink: {
        report: (report) => {
          recorder.report(report);
          if (report.object === world.store.get(report.object.key) && report.inForce)
            statuses.set(report.object.key, statusOf(report, report.object.status, world.clock.now()));
        },
        gone: (object) => recorder.gone(object),
      },
      observer: { ...SILENT_ENGINE_OBSERVER, ...recorder.observer },
    });
    const statuses = new Map<string, ReturnType<typeof statusOf>>();
    const done = Promise.all([recorder.run(stop.signal), engine.run(stop.signal)]);
    const handle = {
      ...{ broker, statuses },
      stop: async () => {
        stop.abort();
        await world.clock.advanceBy(1);
        await done;
        source.close();
      },
    };
    stops.push(handle.stop);
    return handle;
  };

  beforeEach(() => {
    world = createWorld();
    log = new EventLog();
    stops = [];
    allow = () => undefined;
  });
  afterEach(async () => {
    for (const stop of stops) await stop();
    await world.stopAll();
  });

  test('adoption, edit, suspension and resumption are told once each, and successful slots not at all', async () => {
    world.store.create('a', { every: '10s' });
    start();
    await world.clock.advanceBy(MINUTE);
    world.store.edit('a', { every: '20s' });
    await world.clock.advanceBy(MINUTE);
    world.store.edit('a', { suspend: true });
    await world.clock.advanceBy(MINUTE);
    world.store.edit('a', { suspend: false });
    await world.clock.advanceBy(MINUTE);
    assert.deepEqual(
      log.lines().filter((line) => !line.includes('NoConsumer') && !line.includes('Edited')),
      [
        'Normal ScheduleAccepted ×1: accepted: every 10s',
        'Normal ScheduleChanged ×1: generation 2 is in force: every 20s',
        'Normal Suspended ×1: spec.suspend is true: nothing fires',
        'Normal Resumed ×1: fires again: every 20s; what came due meanwhile does not run',
      ],
    );
  });

  test('a successor tells nothing again of what the status shows was told', async () => {
    world.store.create('a', { every: '10s' });
    world.store.create('b', { schedule: '30 12 * * *', queue: 'elsewhere' });
    allow = ({ queue }) => (queue === 'elsewhere' ? 'spec.queue: elsewhere is not for you' : undefined);
    const first = start();
    await world.clock.advanceBy(5 * SECOND);
    await first.stop();
    assert.deepEqual([...log.reasons()].sort(), [
      ...['NoConsumer', 'QueueNotAllowed', 'ScheduleAccepted', 'ScheduleAccepted'],
    ]);
    for (const [key, status] of first.statuses) world.store.setStatus(key.split('/')[1] ?? '', status);
    start();
    await world.clock.advanceBy(4 * SECOND);
    assert.equal(log.events.size, 4);
  });

  test('an object that cannot fire says why, and that its slots are missed, as one series', async () => {
    allow = () => 'spec.queue: the queue takes no schedules from here';
    world.store.create('a', { every: '10s' });
    start();
    await world.clock.advanceBy(95 * SECOND);
    const lines = log.lines();
    assert.ok(
      lines.includes('Warning QueueNotAllowed ×1: spec.queue: the queue takes no schedules from here'),
    );
    const missed = lines.filter((line) => line.includes('MissedSchedule'));
    assert.equal(missed.length, 1);
    assert.match(missed[0] ?? '', /^Warning MissedSchedule ×[89]: missed 1 slot, .*: QueueNotAllowed$/);
  });

  test('the first slot skipped under Forbid is told, and further ones raise its count', async () => {
    world.store.create('a', { every: '10s', concurrencyPolicy: 'Forbid' });
    start();
    await world.clock.advanceBy(25 * SECOND);
    const skipped = () => log.lines().filter((line) => line.includes('RunSkipped'));
    assert.equal(skipped().length, 1);
    assert.match(skipped()[0] ?? '', /×1: skipped slot .*: an earlier run is still in flight \(Forbid\)$/);
    await world.clock.advanceBy(2 * MINUTE);
    assert.equal(skipped().length, 1);
    assert.match(skipped()[0] ?? '', /×1[0-9]:/);
  });

  test('a slot that replaced a run is told', async () => {
    world.store.create('a', { every: '10s', concurrencyPolicy: 'Replace' });
    start();
    await world.clock.advanceBy(25 * SECOND);
    assert.ok(log.reasons().includes('RunReplaced'));
  });

  test('an emptied broker that is told again raises no event', async () => {
    world.store.create('a', { every: '10s' });
    const { broker } = start();
    await world.clock.advanceBy(15 * SECOND);
    const { calls } = log;
    broker.inner = createMemoryBroker({ clock: world.clock });
    await world.clock.advanceBy(MINUTE);
    const [state] = await broker.inner.queue('default').schedules.states(['uid-1']);
    assert.equal(state?.generation, 1, 'the new broker was told');
    assert.equal(log.calls, calls);
  });

  test('a server that fails gets the events later, and one whose namespace is gone never', async () => {
    log.answer = () => {
      throw new Error('connection refused');
    };
    world.store.create('a', { every: '10s' });
    start();
    await world.clock.advanceBy(MINUTE);
    assert.ok(log.calls > 2 && log.calls < 10, `${log.calls} calls`);
    log.answer = () => 'written';
    await world.clock.advanceBy(MINUTE);
    assert.deepEqual([...log.reasons()].sort(), ['NoConsumer', 'ScheduleAccepted']);
    log.answer = () => 'gone';
    const { calls } = log;
    world.store.edit('a', { suspend: true });
    await world.clock.advanceBy(10 * MINUTE);
    assert.ok(log.calls - calls <= 2, `${log.calls - calls}`);
  });

  describe('by reports alone', () => {
    let recorder: EventRecorder;
    let stop: AbortController;

    beforeEach(() => {
      recorder = new EventRecorder({ store: log, clock: world.clock, log: silentLog });
      stop = new AbortController();
      const done = recorder.run(stop.signal);
      stops.push(async () => {
        stop.abort();
        await world.clock.advanceBy(1);
        await done;
      });
    });

    const state = (failed: number, lastFailedAtMs: number, message = 'no route to host') => ({
      ...{ uid: 'uid-a', generation: 1, withdrawn: false, suspended: false, notBeforeMs: 0, active: 0 },
      ...{ succeeded: 0, missed: 0, skipped: 0, fired: 9, failed, lastFailedAtMs },
      lastRun: {
        ...{ id: `uid-a@${lastFailedAtMs}`, state: 'failed' as const, endedAtMs: lastFailedAtMs, attempt: 3 },
        error: { reason: 'Error' as const, name: 'Error', message },
      },
    });

    test('runs that failed for good are counted, whatever their ids, and none twice', async () => {
      const object = objectOf();
      recorder.report(reportOn(object, { state: state(1, 1_000) }));
      recorder.report(reportOn(object, { state: state(1, 1_000) }));
      await world.clock.advanceBy(SECOND);
      recorder.report(reportOn(object, { state: state(4, 9_000) }));
      await world.clock.advanceBy(MINUTE);
      assert.deepEqual(log.lines(), [
        'Warning RunFailed ×4: run uid-a@1000 failed after 3 attempts: Error: no route to host',
      ]);
    });

    test('a failure that the status knows is not told again', async () => {
      const status = { observedGeneration: 1, lastFailureTime: '1970-01-01T00:00:01Z' };
      recorder.report(reportOn(objectOf({ status }), { state: state(1, 1_000) }));
      await world.clock.advanceBy(MINUTE);
      assert.deepEqual(log.lines(), []);
    });

    test('a trigger is told when it made a run, when it was refused, and when it was only noted', async () => {
      const echo = (request: string, rest: Partial<TriggerEcho>): TriggerEcho => ({
        ...{ request, state: 'Enqueued', atMs: 0, ...rest },
      });
      const object = objectOf();
      for (const trigger of [
        echo('one', { runId: 'r1' }),
        echo('one', { runId: 'r1', state: 'Running' }),
        echo('one', { runId: 'r1', state: 'Succeeded' }),
        echo('two', { state: 'Skipped', message: 'an earlier run is in flight' }),
        echo('three', { state: 'Refused', message: 'spec.params.n: must be a number' }),
        echo('four', { state: 'Recorded' }),
      ])
        recorder.report(reportOn(object, { trigger }));
      await world.clock.advanceBy(SECOND);
      assert.deepEqual([...log.lines()].sort(), [
        'Normal TriggerRecorded ×1: run-now four was there already when the object was first seen: not run',
        'Normal Triggered ×1: run-now one made run r1',
        'Warning TriggerRefused ×1: run-now three was refused: spec.params.n: must be a number',
        'Warning TriggerRefused ×1: run-now two was skipped: an earlier run is in flight',
      ]);
    });

    test('an adoption by force is a warning', async () => {
      const { uid, namespace, name } = objectOf();
      const ref = { uid, namespace, name, queue: 'default', task: 'tick' };
      recorder.observer.adopted({ ...ref, generation: 1, suspended: false, forced: true });
      recorder.report(reportOn(objectOf()));
      await world.clock.advanceBy(SECOND);
      assert.deepEqual(log.reasons(), ['ForcedAdoption']);
    });

    test('who does not lead tells nothing', async () => {
      stop.abort();
      await world.clock.advanceBy(1);
      recorder.report(reportOn(objectOf(), { reason: 'QueueNotAllowed' }));
      await world.clock.advanceBy(MINUTE);
      assert.equal(log.calls, 0);
      const next = new AbortController();
      const done = recorder.run(next.signal);
      recorder.report(reportOn(objectOf(), { reason: 'QueueNotAllowed' }));
      await world.clock.advanceBy(SECOND);
      assert.equal(log.calls, 1, 'and forgets that it saw it');
      next.abort();
      await world.clock.advanceBy(1);
      await done;
    });
  });
});
