/** Contract: what happens when a slot is due while an earlier run of its schedule is still in flight. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotRunId, triggerRunId } from '../../src/task/ids.ts';
import type { Outcome } from '../../src/task/run.ts';
import { consumerOf, FAILURE, recoverFrom, request, until, type CreateHarness } from './harness.ts';
import { decisionsOf, Schedule, slot, trigger, UID } from './schedule-steps.ts';

export function describeOverlap(createHarness: CreateHarness): void {
  describe('Forbid', () => {
    test('skips while a run is pending, running, waiting for a retry or recovered, and fires when it has ended', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      const consumer = await consumerOf(queue);
      const next = async (index: number): Promise<readonly string[]> =>
        decisionsOf(await schedule.fire([slot(schedule.at(index))], 'Forbid'));
      assert.deepEqual(await next(1), ['fired']);
      assert.deepEqual(await next(2), ['skipped Overlap']);
      const claimed = await consumer.claimOne();
      assert.deepEqual(await next(3), ['skipped Overlap']);
      await consumer.settle([claimed], { kind: 'retry', delayMs: 10, error: FAILURE });
      assert.deepEqual(await next(4), ['skipped Overlap']);
      await harness.passTime(20);
      await queue.work.promote();
      const dead = await consumerOf(queue);
      await dead.claimOne();
      await recoverFrom(harness, dead, [consumer]);
      assert.deepEqual(await next(5), ['skipped Overlap']);
      await consumer.drain();
      assert.deepEqual(await next(6), ['fired']);
      const state = await schedule.state();
      assert.deepEqual([state.fired, state.skipped, state.active, state.succeeded], [2, 4, 1, 1]);
    });

    test('lets only the first of several slots of one call fire', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const decisions = await schedule.fire(
        [slot(schedule.at(1)), slot(schedule.at(2)), slot(schedule.at(3))],
        'Forbid',
      );
      assert.deepEqual(decisionsOf(decisions), ['fired', 'skipped Overlap', 'skipped Overlap']);
    });

    test('counts a delayed run and a run by hand as in flight, and a dead letter not', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const consumer = await consumerOf(schedule.queue);
      await schedule.fire([trigger('hand')], 'Forbid');
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(1))], 'Forbid')), [
        'skipped Overlap',
      ]);
      await consumer.drain({ kind: 'failed', error: FAILURE });
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(2), 60_000)], 'Forbid')), ['fired']);
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(3))], 'Forbid')), [
        'skipped Overlap',
      ]);
      await schedule.queue.runs.redrive([triggerRunId(UID, 'hand')]);
      assert.equal((await schedule.state()).active, 2);
    });

    test('does not count runs of another schedule', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await schedule.queue.runs.enqueue([request('by-hand'), request('uid-2@2026-01-01T00:00:00.000Z')]);
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(1))], 'Forbid')), ['fired']);
    });
  });

  describe('Replace', () => {
    test('withdraws what waits and enqueues', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const [first, second, third] = [1, 2, 3].map((index) => schedule.at(index));
      assert.deepEqual(decisionsOf(await schedule.fire([slot(first!)], 'Replace')), ['fired']);
      assert.deepEqual(decisionsOf(await schedule.fire([slot(second!, 60_000)], 'Replace')), [
        'fired Replaced',
      ]);
      assert.deepEqual(decisionsOf(await schedule.fire([slot(third!)], 'Replace')), ['fired Replaced']);
      const record = await schedule.queue.runs.get(slotRunId(UID, first!));
      assert.equal(record?.state, 'cancelled');
      assert.equal(record.cancelReason, 'Replaced');
      assert.equal((await schedule.queue.runs.get(slotRunId(UID, second!)))?.state, 'cancelled');
      assert.deepEqual(await (await consumerOf(schedule.queue)).drain(), [slotRunId(UID, third!)]);
      assert.equal((await schedule.state()).active, 0);
    });

    test('fences what runs: its settle is refused, its consumer is told, its limit is free', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      const consumer = await consumerOf(queue, { tasks: [{ name: 'job', maxConcurrency: 1 }] });
      await schedule.fire([slot(schedule.at(1))], 'Replace');
      const old = await consumer.claimOne();
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(2))], 'Replace')), [
        'fired Replaced',
      ]);
      assert.equal((await queue.runs.get(old.record.id))?.state, 'cancelled');
      const { cancellations } = await queue.work.renew(consumer.incarnation);
      assert.deepEqual(cancellations, [{ id: old.record.id, reason: 'Replaced' }]);
      const fresh = await consumer.claimOne();
      assert.equal(fresh.record.id, slotRunId(UID, schedule.at(2)));
      assert.deepEqual(await consumer.settle([old]), ['unknown']);
      assert.equal((await queue.runs.get(old.record.id))?.state, 'cancelled');
      assert.deepEqual((await consumer.cycle()).cancellations, []);
      assert.deepEqual(await consumer.settle([fresh]), ['settled']);
      const { runs } = await queue.work.held(consumer.incarnation);
      assert.deepEqual(runs, []);
    });

    test('replaces the run of a dead consumer that recovery has not given back yet', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const [dead, alive] = [await consumerOf(schedule.queue), await consumerOf(schedule.queue)];
      await schedule.fire([slot(schedule.at(1))], 'Replace');
      const old = await dead.claimOne();
      await schedule.fire([slot(schedule.at(2))], 'Replace');
      assert.equal((await recoverFrom(harness, dead, [alive])).returned, 0);
      assert.deepEqual(await alive.drain(), [slotRunId(UID, schedule.at(2))]);
      assert.equal((await schedule.queue.runs.get(old.record.id))?.state, 'cancelled');
    });

    test('withdraws nothing for a run that then finds no room', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const consumer = await consumerOf(schedule.queue, { settings: { maxPending: 1 } });
      await schedule.fire([slot(schedule.at(1))], 'Replace');
      const running = await consumer.claimOne();
      await schedule.queue.runs.enqueue([request('filler')]);
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(2))], 'Replace')), [
        'skipped Backlog',
      ]);
      assert.deepEqual(await consumer.settle([running]), ['settled']);
    });

    test('has room when what it withdraws makes some', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await consumerOf(schedule.queue, { settings: { maxPending: 1 } });
      await schedule.fire([slot(schedule.at(1))], 'Replace');
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(2))], 'Replace')), [
        'fired Replaced',
      ]);
      assert.equal((await schedule.queue.inspect.stats()).pending, 1);
    });
  });

  describe('Allow and backlog', () => {
    test('Allow enqueues beside what is in flight', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await schedule.fire([slot(schedule.at(1)), slot(schedule.at(2))]);
      assert.equal((await schedule.state()).active, 2);
    });

    test('a schedule, and a queue, that hold as many as they may skip the slot as backlog', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const consumer = await consumerOf(schedule.queue, {
        settings: { maxPendingPerSchedule: 2, maxPending: 3 },
      });
      const three = [slot(schedule.at(1)), slot(schedule.at(2)), slot(schedule.at(3))];
      assert.deepEqual(decisionsOf(await schedule.fire(three)), ['fired', 'fired', 'skipped Backlog']);
      await consumer.drain();
      await schedule.queue.runs.enqueue([request('a'), request('b'), request('c')]);
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(4))])), ['skipped Backlog']);
      assert.equal((await schedule.state()).watermarkMs, schedule.at(4));
    });
  });

  describe('runs by hand', () => {
    test('a trigger enqueues once for its request, with its own params', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      const decisions = await schedule.fire([trigger('req-1', '{"by":"hand"}'), trigger('req-1')]);
      const runId = triggerRunId(UID, 'req-1');
      assert.deepEqual(decisions, [
        { decision: 'fired', reason: 'Triggered', runId },
        { decision: 'duplicate' },
      ]);
      const record = await queue.runs.get(runId);
      assert.equal(record?.params, '{"by":"hand"}');
      assert.equal(record.options.source, 'trigger');
      assert.equal(record.options.schedule?.slotMs, undefined);
      await (await consumerOf(queue)).drain();
      assert.deepEqual(decisionsOf(await schedule.fire([trigger('req-1')])), ['duplicate']);
      assert.equal((await schedule.state()).watermarkMs, undefined);
    });

    test('a repeated trigger is a duplicate although its run is no longer retained', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      const consumer = await consumerOf(queue, { settings: { retainSucceededMs: 10 } });
      await schedule.fire([trigger('req-1')]);
      await consumer.drain();
      await until(harness, 'the record is dropped', async () => {
        await queue.work.promote();
        return (await queue.runs.get(triggerRunId(UID, 'req-1'))) === undefined;
      });
      assert.deepEqual(decisionsOf(await schedule.fire([trigger('req-1')])), ['duplicate']);
    });

    test('a trigger obeys the overlap policy', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await schedule.fire([slot(schedule.at(1))]);
      assert.deepEqual(decisionsOf(await schedule.fire([trigger('a')], 'Forbid')), ['skipped Overlap']);
      assert.deepEqual(decisionsOf(await schedule.fire([trigger('a')], 'Forbid')), ['duplicate']);
      assert.deepEqual(decisionsOf(await schedule.fire([trigger('b')], 'Replace')), ['fired Triggered']);
      assert.equal((await schedule.queue.runs.get(slotRunId(UID, schedule.at(1))))?.state, 'cancelled');
    });
  });

  describe('outcomes', () => {
    test('the settle writes last run and counts into the schedule', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const consumer = await consumerOf(schedule.queue);
      const end = async (index: number, outcome: Outcome): Promise<void> => {
        await schedule.fire([slot(schedule.at(index))]);
        await consumer.settle([await consumer.claimOne()], outcome);
      };
      await end(1, { kind: 'succeeded', result: '1' });
      const good = await schedule.state();
      const record = await schedule.queue.runs.get(slotRunId(UID, schedule.at(1)));
      assert.deepEqual(good.lastRun, {
        ...{ id: record?.id, state: 'succeeded', slotMs: schedule.at(1), attempt: 1 },
        ...{ startedAtMs: record?.startedAtMs, endedAtMs: record?.endedAtMs },
      });
      assert.equal(good.lastSucceededAtMs, record?.endedAtMs);
      assert.equal(good.lastFailedAtMs, undefined);
      await end(2, { kind: 'failed', error: FAILURE });
      const bad = await schedule.state();
      assert.equal(bad.lastRun?.state, 'failed');
      assert.deepEqual(bad.lastRun.error, FAILURE);
      assert.equal(bad.lastFailedAtMs, bad.lastRun.endedAtMs);
      assert.equal(bad.lastSucceededAtMs, record?.endedAtMs);
      await end(3, { kind: 'cancelled', reason: 'abort()' });
      const state = await schedule.state();
      assert.equal(state.lastRun?.state, 'cancelled');
      assert.deepEqual([state.active, state.fired, state.succeeded, state.failed], [0, 3, 1, 1]);
    });

    test('an expired and a cancelled run leave the schedule, too', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      await schedule.fire([slot(schedule.at(1))]);
      await queue.runs.cancel([slotRunId(UID, schedule.at(1))], 'by hand');
      assert.equal((await schedule.state()).active, 0);
      await schedule.fire([trigger('t')]);
      await queue.inspect.purge('clean', 10);
      const state = await schedule.state();
      assert.equal(state.active, 0);
      assert.equal(state.lastRun?.id, triggerRunId(UID, 't'));
      assert.equal(state.lastRun.slotMs, undefined);
    });
  });
}
