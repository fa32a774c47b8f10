/** Runs by hand: what annotations and the mailbox of a queue ask for happens once, whatever dies in between. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FireReply } from '../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import type { TriggerEcho } from '../../../src/controller/trigger.ts';
import { statusOf } from '../../../src/controller/status-of.ts';
import { consumerOf, FAILURE, type TestConsumer } from '../../contract/harness.ts';
import {
  createWorld,
  type EngineHandle,
  type SchedulerFault,
  type StartOptions,
  type World,
} from '../../support/schedule-world.ts';

const SECOND = 1_000;
const RUN_NOW = 'tidemill.dev/run-now';
const PARAMS = 'tidemill.dev/run-now-params';
/** Fires nothing by itself while a test looks. */
const YEARLY = { schedule: '0 0 1 1 *' };
const UID = 'uid-1';
const NEEDS_A_NUMBER = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };

describe('runs by hand', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(async () => {
    await world.stopAll();
  });

  const runNow = (request: string, params?: string): unknown =>
    world.store.annotate('a', { [RUN_NOW]: request, [PARAMS]: params });
  const seconds = (count: number): Promise<void> => world.clock.advanceBy(count * SECOND);
  const runs = async (broker = world.broker): Promise<readonly string[]> =>
    (await broker.queue('default').inspect.runs({ scheduleUid: UID, limit: 100 })).runs.map(({ id }) => id);
  const echoOf = ({ reports }: EngineHandle): TriggerEcho | undefined => reports.get('default/a')?.trigger;
  const log = async (): Promise<readonly string[]> => {
    const records = await world.broker.queue('default').schedules.decisions(UID, { limit: 100 });
    return records.map(({ request, decision, reason }) => `${request} ${decision} ${reason}`);
  };
  const consumer = (): Promise<TestConsumer> =>
    consumerOf(world.broker.queue('default'), { tasks: ['tick'], leaseMs: 3_600_000 });
  /** An engine that has seen the object without an annotation. */
  const started = async (options?: StartOptions): Promise<EngineHandle> => {
    const engine = world.start(options);
    await seconds(2);
    return engine;
  };
  /** The engine dies, and what it last said stands in the object's status. */
  const restarted = async (engine: EngineHandle): Promise<EngineHandle> => {
    const report = engine.reports.get('default/a');
    assert.ok(report);
    await engine.stop();
    world.store.setStatus('a', statusOf(report, undefined, world.clock.now()));
    return started();
  };

  describe('asked for by annotation', () => {
    test('a value that changed makes one run, and the echo follows it to its end', async () => {
      world.store.create('a', YEARLY);
      const engine = await started();
      const worker = await consumer();
      runNow('one');
      await seconds(2);
      assert.deepEqual(await runs(), [`${UID}@run-now.one`]);
      assert.deepEqual(
        { ...echoOf(engine), atMs: 0 },
        { request: 'one', state: 'Enqueued', runId: `${UID}@run-now.one`, atMs: 0 },
      );
      const claimed = await worker.claim();
      await seconds(2);
      assert.equal(echoOf(engine)?.state, 'Running');
      await worker.settle(claimed);
      await seconds(2);
      assert.equal(echoOf(engine)?.state, 'Succeeded');
      await seconds(30);
      assert.deepEqual(await runs(), [`${UID}@run-now.one`]);
      assert.deepEqual(
        engine.events.filter((event) => event.startsWith('triggered')),
        ['triggered a one Enqueued'],
      );
      assert.equal(engine.reports.get('default/a')?.recent[0]?.reason, 'Triggered');
    });

    test('a run that fails, is cancelled or expires is told with the reason', async () => {
      world.store.create('a', { ...YEARLY, startingDeadlineSeconds: 30 });
      const engine = await started();
      const worker = await consumer();
      runNow('fails');
      await seconds(2);
      await worker.settle(await worker.claim(), { kind: 'failed', error: FAILURE });
      await seconds(2);
      assert.equal(echoOf(engine)?.state, 'Failed');
      assert.equal(echoOf(engine)?.message, 'Error: it broke');
      runNow('cancelled');
      await seconds(2);
      await world.broker.queue('default').runs.cancel([`${UID}@run-now.cancelled`], 'no need');
      await seconds(2);
      assert.equal(echoOf(engine)?.state, 'Cancelled');
      assert.equal(echoOf(engine)?.message, 'no need');
      runNow('expires');
      await seconds(40);
      await world.broker.queue('default').work.promote();
      await seconds(2);
      assert.equal(echoOf(engine)?.state, 'Expired');
    });

    test('a value that is there when the object is first seen is recorded, and no restart runs it', async () => {
      world.store.create('a', YEARLY);
      runNow('from-git');
      const engine = await started();
      assert.equal(echoOf(engine)?.state, 'Recorded');
      // Nothing of it was written into the status.
      await engine.stop();
      const next = await started();
      assert.equal(echoOf(next)?.state, 'Recorded');
      assert.deepEqual(await runs(), []);
      runNow('by-hand');
      await seconds(2);
      assert.deepEqual(await runs(), [`${UID}@run-now.by-hand`]);
    });

    test('a value that changed while no engine ran makes one run, also where only the status or only the broker knows the object', async () => {
      world.store.create('a', YEARLY);
      await (await started()).stop();
      runNow('broker-knows');
      await started();
      assert.deepEqual(await runs(), [`${UID}@run-now.broker-knows`]);
      await world.stopAll();

      world.store.setStatus('a', { observedGeneration: 1, lastTrigger: { request: 'broker-knows' } });
      runNow('status-knows');
      const emptied = createMemoryBroker({ clock: world.clock });
      const { broker } = world.start();
      broker.inner = emptied;
      await seconds(3);
      assert.deepEqual(await runs(emptied), [`${UID}@run-now.status-knows`]);
    });

    test('taking the value away does nothing, and putting the same one back neither', async () => {
      world.store.create('a', YEARLY);
      const engine = await started();
      runNow('one');
      await seconds(2);
      const before = echoOf(engine);
      world.store.annotate('a', { [RUN_NOW]: undefined });
      await seconds(2);
      assert.deepEqual(echoOf(engine), before);
      runNow('one');
      await seconds(2);
      runNow('two');
      await seconds(2);
      runNow('one');
      await seconds(2);
      assert.deepEqual((await runs()).toSorted(), [`${UID}@run-now.one`, `${UID}@run-now.two`]);
      assert.equal(echoOf(engine)?.request, 'one', 'the echo names what stands in the object');
    });

    test('other annotations, other params and a new generation run nothing', async () => {
      world.store.create('a', YEARLY);
      await started();
      runNow('one');
      await seconds(2);
      world.store.annotate('a', { 'tidemill.dev/other': 'x', [PARAMS]: '{"a":1}' });
      await seconds(2);
      world.store.edit('a', { schedule: '0 0 2 1 *' });
      await seconds(2);
      assert.equal((await runs()).length, 1);
    });

    test('a schedule that is suspended, over, or wrong in its timing runs when it is asked to', async () => {
      for (const spec of [
        { ...YEARLY, suspend: true },
        { ...YEARLY, endTime: '2020-01-01T00:00:00Z' },
        { ...YEARLY, timeZone: 'Mars/Olympus' },
      ]) {
        world = createWorld();
        world.store.create('a', spec);
        await started();
        runNow('one');
        await seconds(2);
        assert.deepEqual(await runs(), [`${UID}@run-now.one`], JSON.stringify(spec));
        await world.stopAll();
      }
    });

    test('the overlap policy of the object holds', async () => {
      world.store.create('a', { ...YEARLY, concurrencyPolicy: 'Forbid' });
      const engine = await started();
      runNow('one');
      await seconds(2);
      runNow('two');
      await seconds(2);
      assert.deepEqual(await runs(), [`${UID}@run-now.one`]);
      assert.equal(echoOf(engine)?.state, 'Skipped');
      assert.match(echoOf(engine)?.message ?? '', /in flight, and concurrencyPolicy is Forbid/);
      world.store.edit('a', { concurrencyPolicy: 'Replace' });
      runNow('three');
      await seconds(2);
      const first = await world.broker.queue('default').runs.get(`${UID}@run-now.one`);
      assert.equal(first?.cancelReason, 'Replaced');
      assert.equal(echoOf(engine)?.state, 'Enqueued');
    });

    test('params of its own take the place of those of the object', async () => {
      world.store.create('a', { ...YEARLY, params: { from: 'object' } });
      await started();
      runNow('one');
      await seconds(2);
      runNow('two', '{ "from": "annotation" }');
      await seconds(2);
      const queue = world.broker.queue('default');
      assert.equal((await queue.runs.get(`${UID}@run-now.one`))?.params, '{"from":"object"}');
      assert.equal((await queue.runs.get(`${UID}@run-now.two`))?.params, '{"from":"annotation"}');
    });

    test('what cannot run is refused with field, value and rule, once and for all', async () => {
      await consumerOf(world.broker.queue('default'), {
        tasks: [{ name: 'tick', paramsSchema: NEEDS_A_NUMBER }],
        leaseMs: 3_600_000,
      });
      world.store.create('a', { ...YEARLY, params: { n: 1 } });
      const engine = await started({
        allow: ({ namespace, queue }) =>
          allowed
            ? undefined
            : `spec.queue: queue "${queue}" takes no schedules from namespace "${namespace}"`,
      });
      let allowed = true;
      const refusals: readonly (readonly [request: string, params: string | undefined, message: RegExp])[] = [
        [
          'bad json',
          '{}',
          /^metadata\.annotations\[tidemill\.dev\/run-now\]: "bad json" must be 1 to 63 letters/,
        ],
        ['x'.repeat(64), '{}', /must be 1 to 63 letters/],
        ['json', '{"n":', /^metadata\.annotations\[tidemill\.dev\/run-now-params\]: .*JSON/],
        ['list', '[1]', /run-now-params\]: must be a JSON object/],
        ['typed', '{"n":"seven"}', /run-now-params\]\.n: .*expected number, received string/],
        ['large', JSON.stringify({ n: 1, x: 'x'.repeat(256 * 1024) }), /run-now-params\]: .*256 KiB/],
      ];
      for (const [request, params, message] of refusals) {
        runNow(request, params);
        await seconds(2);
        assert.equal(echoOf(engine)?.state, 'Refused', request);
        assert.match(echoOf(engine)?.message ?? '', message);
        assert.equal(echoOf(engine)?.request, request.slice(0, 63));
      }
      allowed = false;
      runNow('queue', '{"n":7}');
      await seconds(2);
      assert.match(echoOf(engine)?.message ?? '', /^spec\.queue: queue "default" takes no schedules/);
      allowed = true;
      assert.deepEqual(await runs(), []);
      assert.deepEqual((await log()).slice(-2), [
        'large skipped InvalidParams',
        'queue skipped QueueNotAllowed',
      ]);
      // A consumer that takes them may come up later: what was refused stays so.
      await engine.stop();
      await started();
      assert.deepEqual(await runs(), []);
    });

    test('params of the object that do not fit are refused as those of the object', async () => {
      await consumerOf(world.broker.queue('default'), {
        tasks: [{ name: 'tick', paramsSchema: NEEDS_A_NUMBER }],
      });
      world.store.create('a', YEARLY);
      const engine = await started();
      runNow('one');
      await seconds(2);
      assert.match(echoOf(engine)?.message ?? '', /^spec\.params/);
      assert.equal(echoOf(engine)?.state, 'Refused');
    });

    test('an object whose spec cannot be read is refused', async () => {
      const object = world.store.create('a', YEARLY);
      world.store.put({
        ...object,
        spec: { unreadable: 'spec.task: is missing', queue: 'default' },
      });
      const engine = await started();
      runNow('one');
      await seconds(2);
      assert.equal(echoOf(engine)?.state, 'Refused');
      assert.equal(echoOf(engine)?.message, 'spec.task: is missing');
      assert.deepEqual(await log(), ['one skipped InvalidSchedule']);
    });

    test('where a source keeps no status, annotations mean nothing', async () => {
      const object = world.store.create('a', YEARLY);
      await started();
      world.store.put({ ...object, annotations: { [RUN_NOW]: 'one' } });
      await seconds(2);
      assert.deepEqual(await runs(), []);
    });

    test('a broker that is full keeps the request open', async () => {
      world.store.create('a', YEARLY);
      const { broker } = await started();
      let full = true;
      broker.onFire = (requests) =>
        full ? Promise.resolve(requests.map((): FireReply => ({ outcome: 'no-memory' }))) : undefined;
      runNow('one');
      await seconds(20);
      assert.deepEqual(await runs(), []);
      full = false;
      await seconds(6);
      assert.deepEqual(await runs(), [`${UID}@run-now.one`]);
    });

    test('a broker that was emptied is not told to run what was run before', async () => {
      world.store.create('a', YEARLY);
      const engine = await started();
      const worker = await consumer();
      runNow('one');
      await seconds(2);
      await worker.settle(await worker.claim());
      await seconds(2);
      const emptied = createMemoryBroker({ clock: world.clock });
      engine.broker.inner = emptied;
      engine.broker.reconnects += 1;
      await seconds(5);
      const next = await restarted(engine);
      next.broker.inner = emptied;
      await seconds(5);
      assert.deepEqual(await runs(emptied), []);
      assert.equal(echoOf(next)?.state, 'Succeeded');
      const [reply] = await emptied.queue('default').schedules.fire([
        {
          uid: UID,
          generation: 1,
          concurrencyPolicy: 'Allow',
          entries: [{ kind: 'trigger', request: 'one' }],
          run: { task: 'tick', priority: 'medium', params: '{}', options: { source: 'schedule' } },
        },
      ]);
      assert.ok(reply?.outcome === 'ok');
      assert.deepEqual(reply.decisions, [{ decision: 'duplicate' }]);
    });
  });

  describe('when engines die', () => {
    test('a successor follows the run that its predecessor made', async () => {
      world.store.create('a', YEARLY);
      const engine = await started();
      const worker = await consumer();
      runNow('one');
      await seconds(2);
      const claimed = await worker.claim();
      await seconds(2);
      const next = await restarted(engine);
      assert.equal(echoOf(next)?.state, 'Running');
      await worker.settle(claimed);
      await seconds(2);
      assert.equal(echoOf(next)?.state, 'Succeeded');
    });

    test('when the record of the run is gone, what the schedule remembers of its last run counts', async () => {
      world.store.create('a', YEARLY);
      const engine = await started();
      const worker = await consumerOf(world.broker.queue('default'), {
        tasks: ['tick'],
        leaseMs: 3_600_000,
        settings: { retainSucceededMs: 0 },
      });
      runNow('one');
      await seconds(2);
      const claimed = await worker.claim();
      await seconds(2);
      const next = await restarted(engine);
      await next.stop();
      await worker.settle(claimed);
      await seconds(1);
      await world.broker.queue('default').work.promote();
      assert.deepEqual(await runs(), []);
      assert.equal(echoOf(await started())?.state, 'Succeeded');
    });

    test('a run of which nothing is known any more is not guessed at', async () => {
      world.store.create('a', YEARLY);
      runNow('one');
      const lastTrigger = { request: 'one', state: 'Running', runId: `${UID}@run-now.one` };
      world.store.setStatus('a', { observedGeneration: 1, lastTrigger });
      const engine = await started();
      assert.equal(echoOf(engine)?.state, 'Running');
      assert.match(echoOf(engine)?.message ?? '', /record of the run is gone/);
      assert.deepEqual(await runs(), []);
    });

    /** Each call of an engine in turn is the last that arrives, or the first that does not. */
    for (const fault of ['before', 'after'] as const) {
      test(`one run is made, wherever the engine dies (${fault} a call arrived)`, async () => {
        for (let point = 1; point <= 14; point += 1) {
          world = createWorld();
          world.store.create('a', YEARLY);
          let calls = -1;
          let died = false;
          const engine = await started({
            gate: async (): Promise<SchedulerFault> => {
              if (calls < 0) return undefined;
              if (died) return 'before';
              calls += 1;
              died = calls === point;
              return died ? fault : undefined;
            },
          });
          calls = 0;
          runNow('one');
          await seconds(10);
          assert.ok(died, 'the engine makes more calls than this test needs');
          const status = engine.reports.get('default/a');
          await engine.stop();
          // Half of the time what it said came to be known.
          if (point % 2 === 0 && status !== undefined)
            world.store.setStatus('a', statusOf(status, undefined, world.clock.now()));
          const next = await started();
          await seconds(5);
          assert.deepEqual(await runs(), [`${UID}@run-now.one`], `died at call ${point}`);
          assert.equal(echoOf(next)?.state, 'Enqueued', `died at call ${point}`);
          await world.stopAll();
        }
      });

      test(`nothing runs of what was there at first, wherever the first engine dies (${fault} a call arrived)`, async () => {
        for (let point = 1; point <= 12; point += 1) {
          world = createWorld();
          world.store.create('a', YEARLY);
          runNow('from-git');
          let calls = 0;
          const engine = world.start({
            gate: async (): Promise<SchedulerFault> => {
              calls += 1;
              if (calls > point) return 'before';
              return calls === point ? fault : undefined;
            },
          });
          await seconds(5);
          await engine.stop();
          const next = await started();
          assert.deepEqual(await runs(), [], `died at call ${point}`);
          assert.equal(echoOf(next)?.state, 'Recorded', `died at call ${point}`);
          await world.stopAll();
        }
      });
    }

    test('several engines at once make one run of each request', async () => {
      world.store.create('a', YEARLY);
      const engines = [await started(), await started(), await started()];
      for (let request = 1; request <= 20; request += 1) {
        runNow(`r${request}`);
        await seconds(1);
      }
      await seconds(5);
      assert.equal((await runs()).length, 20);
      for (const engine of engines) assert.equal(echoOf(engine)?.request, 'r20');
    });
  });

  describe('asked for in the mailbox of the queue', () => {
    const ask = (request: string, params?: string) =>
      world.broker
        .queue('default')
        .schedules.request(UID, { request, ...(params !== undefined && { params }) });
    const waiting = async (): Promise<number> =>
      (await world.broker.queue('default').schedules.requested('test', 100)).length;

    test('a run is made within two seconds, and decided once', async () => {
      world.store.create('a', { ...YEARLY, params: { from: 'object' } });
      const engine = await started();
      assert.equal(await ask('one'), 'requested');
      assert.equal(await ask('two', '{"from":"me"}'), 'requested');
      await seconds(2);
      assert.deepEqual((await runs()).toSorted(), [`${UID}@run-now.one`, `${UID}@run-now.two`]);
      const second = await world.broker.queue('default').runs.get(`${UID}@run-now.two`);
      assert.equal(second?.params, '{"from":"me"}');
      assert.equal(await ask('one'), 'duplicate');
      assert.equal(await waiting(), 0);
      assert.equal(echoOf(engine), undefined, 'the echo is for annotations');
    });

    test('what cannot run is refused in the log of the schedule', async () => {
      world.store.create('a', YEARLY);
      await started({ allow: () => 'spec.queue: no' });
      await ask('one');
      await seconds(2);
      assert.deepEqual(await log(), ['one skipped QueueNotAllowed']);
      assert.equal(await waiting(), 0);
    });

    test('a request that no engine read in time is given up, and the log says so', async () => {
      world.store.create('a', YEARLY);
      const engine = await started();
      await engine.stop();
      await ask('late');
      await seconds(9 * 60);
      assert.equal(await ask('fresh'), 'requested');
      await seconds(2 * 60);
      const next = await started();
      assert.deepEqual(await log(), ['late skipped DeadlineExceeded', 'fresh fired Triggered']);
      assert.deepEqual(await runs(), [`${UID}@run-now.fresh`]);
      assert.ok(next.events.includes('triggered a late Skipped'));
    });

    test('the requests of a schedule that is deleted go with it', async () => {
      world.store.create('a', YEARLY);
      const engine = await started();
      await engine.stop();
      await ask('one');
      world.store.delete('a');
      await world.broker.queue('default').schedules.withdraw([UID]);
      assert.equal(await waiting(), 0);
      assert.equal(await ask('two'), 'unknown');
    });

    test('lost calls and lost replies lose no request and double none', async () => {
      world.store.create('a', YEARLY);
      let calls = 0;
      await started({
        gate: async (): Promise<SchedulerFault> => {
          calls += 1;
          return calls % 7 === 0 ? 'after' : calls % 11 === 0 ? 'before' : undefined;
        },
      });
      for (let request = 1; request <= 20; request += 1) {
        await ask(`r${request}`);
        await seconds(3);
      }
      await seconds(20);
      assert.equal((await runs()).length, 20);
      assert.equal((await log()).length, 20);
    });
  });
});
