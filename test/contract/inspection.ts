/** Contract: what people see and switch, and the lock that schedulers share. */
import assert from 'node:assert/strict';
import { DEFAULT_QUEUE_SETTINGS } from '../../src/broker/broker.ts';
import { describe, test } from 'node:test';
import type { Outcome, RunState } from '../../src/task/run.ts';
import {
  consumerOf,
  FAILURE,
  LEASE_MS,
  numbered,
  recoverFrom,
  request,
  TestConsumer,
  until,
  type CreateHarness,
} from './harness.ts';
import { Schedule, slot, UID } from './schedule-steps.ts';

export function describeInspection(createHarness: CreateHarness): void {
  describe('inspecting', () => {
    test('stats count what waits, runs and is kept', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const later = [request('soon', { delayMs: 10_000 }), request('far', { delayMs: 100_000 })];
      await queue.runs.enqueue([...numbered('run', 5), ...later]);
      await harness.passTime(50);
      const [good, bad, _held] = await consumer.claim(3);
      await consumer.settle([good!]);
      await consumer.settle([bad!], { kind: 'failed', error: FAILURE });
      const stats = await queue.inspect.stats(30_000);
      const { oldestPendingAgeMs, retainedBytes, ...counts } = stats;
      assert.deepEqual(counts, {
        ...{ queue: 'work', pending: 2, delayed: 2, running: 1, retainedSucceeded: 1, retainedFailed: 1 },
        ...{ paused: false, consumers: 1, dueSoon: 1, maxPending: DEFAULT_QUEUE_SETTINGS.maxPending },
      });
      assert.ok(oldestPendingAgeMs >= 50, `oldest waits ${oldestPendingAgeMs} ms`);
      assert.ok(retainedBytes > 0);
      await queue.inspect.setQueuePaused(true);
      assert.equal((await queue.inspect.stats()).paused, true);
    });

    test('a consumer whose lease is over counts for nothing, also where nobody is left to end it', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { tasks: ['job'] });
      const seen = async () => {
        const [{ consumers }, tasks] = [await queue.inspect.stats(), await queue.inspect.tasks()];
        return { consumers, known: tasks.map(({ task, known }) => [task, known]) };
      };
      assert.deepEqual(await seen(), { consumers: 1, known: [['job', true]] });
      await harness.passTime(LEASE_MS + 50);
      assert.deepEqual(await seen(), { consumers: 0, known: [['job', false]] });
      await queue.work.renew(consumer.incarnation);
      assert.deepEqual(await seen(), { consumers: 1, known: [['job', true]] });
    });

    test('an empty queue has empty stats', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const zero = {
        pending: 0,
        delayed: 0,
        running: 0,
        retainedSucceeded: 0,
        retainedFailed: 0,
        retainedBytes: 0,
      };
      const { maxPending } = DEFAULT_QUEUE_SETTINGS;
      const rest = { paused: false, oldestPendingAgeMs: 0, consumers: 0, dueSoon: 0, maxPending };
      assert.deepEqual(await queue.inspect.stats(), { queue: 'work', ...zero, ...rest });
      assert.deepEqual(await queue.inspect.tasks(), []);
      assert.deepEqual(await queue.inspect.consumers(), []);
      assert.deepEqual(await queue.inspect.manifests(), []);
      assert.deepEqual(await queue.inspect.runs({ limit: 10 }), { runs: [], searched: 0, complete: true });
    });

    test('tasks show who can run them and what waits, also a task that nobody knows', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, {
        tasks: ['job', { name: 'heavy', executor: 'cpu', maxConcurrency: 4 }],
      });
      await queue.runs.enqueue([request('a')]);
      await consumer.claimOne();
      const waiting = [request('b', { priority: 'low' }), request('c', { task: 'ghost', priority: 'high' })];
      await queue.runs.enqueue(waiting);
      await queue.inspect.setTaskPaused('heavy', true);
      const none = { high: 0, medium: 0, low: 0 };
      assert.deepEqual(await queue.inspect.tasks(), [
        {
          task: 'ghost',
          executor: 'unknown',
          pending: { ...none, high: 1 },
          running: 0,
          paused: false,
          known: false,
        },
        {
          task: 'heavy',
          executor: 'cpu',
          pending: none,
          running: 0,
          maxConcurrency: 4,
          paused: true,
          known: true,
        },
        { task: 'job', executor: 'io', pending: { ...none, low: 1 }, running: 1, paused: false, known: true },
      ]);
    });

    test('consumers and manifests are listed, and a manifest outlives its consumers', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const one = await consumerOf(queue, { tasks: ['job'], builtAtMs: 1_000, host: 'host-a' });
      const two = await consumerOf(queue, { tasks: ['job', 'more'], builtAtMs: 2_000, host: 'host-b' });
      await queue.runs.enqueue([request('a')]);
      await one.claimOne();
      const consumers = await queue.inspect.consumers();
      const listed = consumers.map(({ incarnation, host, pid, version, held }) => ({
        incarnation,
        host,
        pid,
        version,
        held,
      }));
      listed.sort((a, b) => (a.host < b.host ? -1 : 1));
      assert.deepEqual(listed, [
        { incarnation: one.incarnation, host: 'host-a', pid: 1, version: '0.0.0', held: 1 },
        { incarnation: two.incarnation, host: 'host-b', pid: 1, version: '0.0.0', held: 0 },
      ]);
      const nowMs = await harness.broker.now();
      for (const { leaseExpiresAtMs } of consumers)
        assert.ok(leaseExpiresAtMs > nowMs - LEASE_MS && leaseExpiresAtMs <= nowMs + LEASE_MS);
      await queue.work.leave(two.incarnation);
      const manifests = await queue.inspect.manifests();
      const names = manifests.map(({ manifest, live }) => [manifest.tasks.map(({ name }) => name), live]);
      assert.deepEqual(names, [
        [['job'], true],
        [['job', 'more'], false],
      ]);
      const executors = (await queue.inspect.tasks()).map(({ task, known }) => [task, known]);
      assert.deepEqual(executors, [
        ['job', true],
        ['more', false],
      ]);
    });

    test('runs are found by state, task and schedule, and the search says whether it was complete', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      const consumer = await consumerOf(queue, { tasks: ['job', 'other'] });
      await queue.runs.enqueue([request('good'), request('bad')]);
      const [good, bad] = await consumer.claim(2);
      await consumer.settle([good!]);
      await consumer.settle([bad!], { kind: 'failed', error: FAILURE });
      await queue.runs.enqueue([request('held', { task: 'other' })]);
      await consumer.claimOne();
      await queue.runs.enqueue([request('waits'), request('later', { delayMs: 60_000 })]);
      await schedule.fire([slot(schedule.at(1))]);
      const slotId = `${UID}@${new Date(schedule.at(1)).toISOString()}`;
      const find = async (
        filter: Omit<Parameters<typeof queue.inspect.runs>[0], 'limit'>,
      ): Promise<readonly string[]> => {
        const page = await queue.inspect.runs({ ...filter, limit: 100 });
        assert.equal(page.complete, true);
        assert.ok(page.searched >= page.runs.length);
        return page.runs.map(({ id }) => id).sort();
      };
      assert.deepEqual(await find({}), ['bad', 'good', 'held', 'later', slotId, 'waits'].sort());
      assert.deepEqual(await find({ states: ['succeeded', 'failed'] }), ['bad', 'good']);
      assert.deepEqual(await find({ states: ['failed'] }), ['bad']);
      assert.deepEqual(await find({ states: ['running'] }), ['held']);
      assert.deepEqual(await find({ states: ['delayed'] }), ['later']);
      assert.deepEqual(await find({ states: ['pending'] }), [slotId, 'waits'].sort());
      assert.deepEqual(await find({ task: 'other' }), ['held']);
      assert.deepEqual(await find({ scheduleUid: UID }), [slotId]);
      const page = await queue.inspect.runs({ states: ['pending'], limit: 1 });
      assert.equal(page.runs.length, 1);
      assert.equal(page.complete, false);
    });

    test('the newest runs are found over all states, whatever stands before them', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const find = async (limit: number, states?: readonly RunState[]): Promise<readonly string[]> => {
        const page = await queue.inspect.runs({ limit, ...(states && { states }) });
        assert.equal(page.complete, false);
        assert.ok(page.searched >= page.runs.length);
        return page.runs.map(({ id }) => id);
      };
      const settleAll = async (ids: readonly string[], outcome?: Outcome): Promise<void> => {
        for (const id of ids) {
          await queue.runs.enqueue([request(id)]);
          await consumer.settle([await consumer.claimOne()], outcome);
          await harness.passTime(3);
        }
      };
      // Delayed first: the oldest of all, but in the list that is read before those of the ended.
      await queue.runs.enqueue([request('later', { delayMs: 600_000 })]);
      await harness.passTime(3);
      const bad = Array.from({ length: 25 }, (_, index) => `bad-${index}`);
      await settleAll(bad, { kind: 'failed', error: FAILURE });
      await settleAll(['good-1', 'good-2', 'good-3']);
      assert.deepEqual(await find(5), ['good-3', 'good-2', 'good-1', 'bad-24', 'bad-23']);
      assert.deepEqual(await find(3, ['failed', 'delayed']), ['bad-24', 'bad-23', 'bad-22']);
      for (const id of ['w1', 'w2', 'w3', 'w4']) {
        await queue.runs.enqueue([request(id)]);
        await harness.passTime(3);
      }
      assert.deepEqual(await find(2, ['pending']), ['w4', 'w3']);
      // A redriven run goes to the tail of its lane and is as old as it was.
      assert.deepEqual(await queue.runs.redrive(['bad-0']), ['redriven']);
      assert.deepEqual(await find(2, ['pending']), ['w4', 'w3']);
      assert.deepEqual(await find(6), ['w4', 'w3', 'w2', 'w1', 'good-3', 'good-2']);
      const all = await queue.inspect.runs({ limit: 33 });
      assert.deepEqual([all.runs.length, all.searched >= 33, all.complete], [33, true, true]);
      assert.deepEqual(
        all.runs.slice(-2).map(({ id }) => id),
        ['bad-0', 'later'],
      );
    });

    test('purge cancels what waits, a bounded number at a time, and leaves what runs', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { tasks: ['job', 'other'] });
      await queue.runs.enqueue([request('held')]);
      const held = await consumer.claimOne();
      await queue.runs.enqueue([
        ...numbered('run', 6),
        ...numbered('other', 3, { task: 'other' }),
        request('late', { delayMs: 60_000 }),
      ]);
      const first = await queue.inspect.purge('spring clean', 4);
      assert.deepEqual(first, { cancelled: 4, more: true });
      let cancelled = 0;
      for (let more = true; more;) {
        const reply = await queue.inspect.purge('spring clean', 4);
        cancelled += reply.cancelled;
        more = reply.more;
      }
      assert.equal(cancelled, 6);
      const record = await queue.runs.get('late');
      assert.equal(record?.state, 'cancelled');
      assert.equal(record.cancelReason, 'spring clean');
      assert.deepEqual(await consumer.claimIds(), []);
      assert.deepEqual(await consumer.settle([held]), ['settled']);
      const stats = await queue.inspect.stats();
      assert.deepEqual([stats.pending, stats.delayed, stats.running], [0, 0, 0]);
    });
  });

  describe('lock', () => {
    test('one holder at a time, renewable, free after its lease or its release', async () => {
      await using harness = await createHarness();
      const { broker } = harness;
      assert.equal(await broker.holdLock('scheduler', 'one', 300), true);
      assert.equal(await broker.holdLock('scheduler', 'two', 300), false);
      assert.equal(await broker.holdLock('another', 'two', 300), true);
      assert.equal(await broker.holdLock('scheduler', 'one', 300), true);
      await broker.releaseLock('scheduler', 'two');
      assert.equal(await broker.holdLock('scheduler', 'two', 300), false);
      await until(
        harness,
        'the lease of the lock ends',
        () => broker.holdLock('scheduler', 'two', 60_000),
        50,
      );
      await broker.releaseLock('scheduler', 'two');
      assert.equal(await broker.holdLock('scheduler', 'one', 300), true);
    });
  });

  describe('heartbeat', () => {
    test('keeps the lease and brings cancellations, until it is stopped', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      await consumer.claimOne();
      const seen: { cancelled: string[]; gone: number } = { cancelled: [], gone: 0 };
      await using heartbeat = harness.broker.startHeartbeat({
        ...{
          incarnation: consumer.incarnation,
          queues: ['work'],
          leaseMs: LEASE_MS,
          renewEveryMs: LEASE_MS / 4,
          stallMs: LEASE_MS * 100,
        },
        onCancellations: (_queue, cancellations) => seen.cancelled.push(...cancellations.map(({ id }) => id)),
        onLeaseGone: () => (seen.gone += 1),
        onRenewal: () => undefined,
      });
      const startMs = await harness.broker.now();
      await until(harness, 'three leases have passed', async () => {
        heartbeat.beat();
        assert.deepEqual((await queue.work.recover()).ended, []);
        return (await harness.broker.now()) - startMs > LEASE_MS * 3;
      });
      await queue.runs.cancel(['a'], 'enough');
      await until(harness, 'the cancellation arrives', async () => {
        heartbeat.beat();
        await queue.work.recover();
        return seen.cancelled.includes('a');
      });
      assert.equal(seen.gone, 0);
      await heartbeat[Symbol.asyncDispose]();
      await recoverFrom(harness, consumer);
    });

    test('tells when the lease is gone', async () => {
      await using harness = await createHarness();
      const consumer = await consumerOf(harness.broker.queue('work'));
      await recoverFrom(harness, consumer);
      let gone = 0;
      await using heartbeat = harness.broker.startHeartbeat({
        ...{ incarnation: consumer.incarnation, queues: ['work'] },
        ...{ leaseMs: LEASE_MS, renewEveryMs: LEASE_MS / 4, stallMs: LEASE_MS * 100 },
        onCancellations: () => undefined,
        onLeaseGone: () => (gone += 1),
        onRenewal: () => undefined,
      });
      await until(harness, 'the heartbeat hears that its lease is gone', async () => {
        heartbeat.beat();
        return gone > 0;
      });
    });

    test('renews in a queue that comes later, and no more in one whose lease is gone, of which it tells once', async () => {
      await using harness = await createHarness();
      const [first, later] = [harness.broker.queue('first'), harness.broker.queue('later')];
      const lost = await consumerOf(first);
      await recoverFrom(harness, lost);
      const kept = await new TestConsumer(later, lost.incarnation).register();
      const gone: string[] = [];
      let renewed = 0;
      await using heartbeat = harness.broker.startHeartbeat({
        ...{ incarnation: kept.incarnation, queues: ['first'] },
        ...{ leaseMs: LEASE_MS, renewEveryMs: LEASE_MS / 4, stallMs: LEASE_MS * 100 },
        onCancellations: () => undefined,
        onLeaseGone: (queue) => gone.push(queue),
        onRenewal: (result) => (renewed += result === 'ok' ? 1 : 0),
      });
      heartbeat.add('later');
      const startMs = await harness.broker.now();
      await until(harness, 'three leases have passed', async () => {
        heartbeat.beat();
        assert.deepEqual((await later.work.recover()).ended, []);
        return (await harness.broker.now()) - startMs > LEASE_MS * 3 && renewed > 8;
      });
      assert.deepEqual(gone, ['first']);
    });
  });
}
