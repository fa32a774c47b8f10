/** Contract: a slot is decided once, by the newest spec, and never before the schedule was adopted. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FireEntry } from '../../src/broker/broker.ts';
import { slotRunId } from '../../src/task/ids.ts';
import { consumerOf, type CreateHarness } from './harness.ts';
import {
  adopt,
  adoption,
  decisionsOf,
  firing,
  missed,
  Schedule,
  slot,
  templateOf,
  trigger,
  tryAdopt,
  tryFire,
  UID,
  whileAhead,
} from './schedule-steps.ts';

export function describeFiring(createHarness: CreateHarness): void {
  describe('adopting', () => {
    test('not-before is the instant of adoption, or the start time when that is later', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const beforeMs = await harness.broker.now();
      const state = await adopt(queue);
      assert.ok(state.notBeforeMs >= beforeMs && state.notBeforeMs <= (await harness.broker.now()));
      const { notBeforeMs, ...rest } = state;
      const counts = { active: 0, succeeded: 0, failed: 0, missed: 0, skipped: 0, fired: 0 };
      assert.deepEqual(rest, { uid: UID, generation: 1, withdrawn: false, suspended: false, ...counts });
      assert.deepEqual(await queue.schedules.states([UID, 'nobody']), [state, undefined]);
      const startMs = notBeforeMs + 3_600_000;
      assert.equal((await adopt(queue, { uid: 'later', startMs })).notBeforeMs, startMs);
      const [past] = await queue.schedules.adopt([adoption({ uid: 'past', startMs: 5 })]);
      assert.ok(past?.outcome === 'adopted' && past.state.notBeforeMs >= beforeMs);
    });

    test('adopting a generation again changes nothing, so a restart is no edit', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const first = await adopt(queue);
      await harness.passTime(20);
      assert.deepEqual(await tryAdopt(queue), { outcome: 'current', state: first });
      assert.equal((await queue.schedules.eras(UID)).length, 1);
    });

    test('a schedule that was lost here goes on where its adopter remembers it settled', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const settledThroughMs = (await harness.broker.now()) - 60_000;
      const state = await adopt(queue, { settledThroughMs });
      assert.equal(state.watermarkMs, settledThroughMs);
      assert.equal(state.notBeforeMs, settledThroughMs + 1);
      assert.equal((await queue.schedules.eras(UID))[0]?.fromMs, settledThroughMs + 1);
      const reply = await tryFire(queue, [slot(settledThroughMs), slot(settledThroughMs + 1_000)]);
      assert.deepEqual(reply.outcome === 'ok' && decisionsOf(reply.decisions), ['duplicate', 'fired']);
    });

    test('what an adopter remembers says nothing of a schedule that is known here', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const first = await adopt(queue);
      await harness.passTime(20);
      const settledThroughMs = first.notBeforeMs - 60_000;
      const edited = await adopt(queue, { generation: 2, settledThroughMs });
      assert.ok(edited.notBeforeMs > first.notBeforeMs);
      assert.equal(edited.watermarkMs, undefined);
    });

    test('an older generation is stale, unless it is forced because it is the live one', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await adopt(queue, { generation: 5 });
      assert.deepEqual(await tryAdopt(queue, { generation: 4 }), {
        outcome: 'stale',
        generation: 5,
        withdrawn: false,
      });
      assert.equal((await adopt(queue, { generation: 4, force: true })).generation, 4);
      assert.deepEqual(await tryFire(queue, [], { generation: 5 }), {
        outcome: 'stale',
        generation: 4,
        withdrawn: false,
      });
    });

    test('a withdrawn schedule leaves a tombstone: nothing adopts or fires for it but by force', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness, { generation: 3 });
      const { queue } = schedule;
      await queue.schedules.withdraw([UID, 'nobody']);
      const stale = { outcome: 'stale', generation: 3, withdrawn: true } as const;
      assert.deepEqual(await tryFire(queue, [slot(schedule.at(1)), trigger('t')], { generation: 3 }), stale);
      assert.deepEqual(await tryAdopt(queue, { generation: 3 }), stale);
      assert.deepEqual(await tryAdopt(queue, { generation: 4 }), stale);
      assert.equal((await schedule.state()).withdrawn, true);
      assert.deepEqual(await queue.schedules.states(['nobody']), [undefined]);
      const again = await adopt(queue, { generation: 1, force: true });
      assert.equal(again.withdrawn, false);
      assert.ok(again.notBeforeMs >= schedule.firstMs + 20);
    });

    test('runs in flight go on after a withdrawal', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await schedule.fire([slot(schedule.at(1))]);
      await schedule.queue.schedules.withdraw([UID]);
      assert.equal((await (await consumerOf(schedule.queue)).drain()).length, 1);
      assert.equal((await schedule.state()).succeeded, 1);
    });

    test('eras tell which spec was in force from when to when, the last 32', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await adopt(queue, { spec: '{"every":"1s"}' });
      await harness.passTime(5);
      const second = await adopt(queue, {
        generation: 2,
        suspended: true,
        spec: '{"every":"2s","text":"a\\nb"}',
      });
      const [one, two, ...others] = await queue.schedules.eras(UID);
      assert.deepEqual(others, []);
      assert.ok(one?.untilMs !== undefined && one.untilMs >= one.fromMs + 5);
      assert.equal(two?.fromMs, one.untilMs);
      assert.deepEqual(two, {
        generation: 2,
        fromMs: second.notBeforeMs,
        suspended: true,
        spec: '{"every":"2s","text":"a\\nb"}',
      });
      for (let generation = 3; generation <= 40; generation += 1) await adopt(queue, { generation });
      const eras = await queue.schedules.eras(UID);
      assert.deepEqual(
        eras.map((era) => era.generation),
        Array.from({ length: 32 }, (_, index) => index + 9),
      );
      await queue.schedules.withdraw([UID]);
      assert.ok((await queue.schedules.eras(UID)).at(-1)?.untilMs !== undefined);
      assert.deepEqual(await queue.schedules.eras('nobody'), []);
    });

    test('a sweep sees the schedules of its own install that are not withdrawn', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await queue.schedules.adopt([
        adoption({ uid: 'a', name: 'one' }),
        adoption({ uid: 'b', name: 'two' }),
        adoption({ uid: 'c', install: 'another' }),
      ]);
      await queue.schedules.withdraw(['b']);
      assert.deepEqual(await queue.schedules.adopted('tests'), [
        { uid: 'a', namespace: 'team', name: 'one' },
      ]);
      await adopt(queue, { uid: 'b', name: 'two', force: true });
      const names = (await queue.schedules.adopted('tests')).map(({ name }) => name);
      assert.deepEqual([...names].sort(), ['one', 'two']);
      assert.deepEqual(await queue.schedules.adopted('nobody'), []);
    });
  });

  describe('firing', () => {
    test('a slot becomes one run, named by uid and slot, with the template and the slot in it', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const slotMs = schedule.at(3);
      const runId = slotRunId(UID, slotMs);
      const reply = await tryFire(schedule.queue, [slot(slotMs)]);
      assert.deepEqual(reply, {
        outcome: 'ok',
        decisions: [{ decision: 'fired', runId }],
        watermarkMs: slotMs,
      });
      const record = await schedule.queue.runs.get(runId);
      assert.ok(record);
      assert.equal(record.state, 'pending');
      assert.equal(record.params, '{"from":"schedule"}');
      const origin = { uid: UID, namespace: 'team', name: 'nightly', slotMs };
      assert.deepEqual(record.options, { source: 'schedule', schedule: origin });
      const state = await schedule.state();
      assert.deepEqual([state.watermarkMs, state.active, state.fired], [slotMs, 1, 1]);
    });

    test('a second controller, or a resent call, finds the slot decided', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const entries = [slot(schedule.at(1)), missed(schedule.at(2), schedule.at(4), 3), slot(schedule.at(5))];
      assert.deepEqual(decisionsOf(await schedule.fire(entries)), ['fired', 'missed Superseded', 'fired']);
      assert.deepEqual(decisionsOf(await schedule.fire(entries)), ['duplicate', 'duplicate', 'duplicate']);
      assert.deepEqual(decisionsOf(await schedule.fire([slot(schedule.at(3))])), ['duplicate']);
      const state = await schedule.state();
      assert.deepEqual([state.fired, state.missed, state.watermarkMs], [2, 3, schedule.at(5)]);
      assert.equal((await schedule.queue.inspect.stats()).pending, 2);
    });

    test('a slot before not-before never fires: create, edit and resume are not retroactive', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const refusedSlots = [slot(schedule.at(-10)), missed(schedule.at(-8), schedule.at(-2), 3)];
      const decisions = await schedule.fire([...refusedSlots, slot(schedule.at(0))]);
      assert.deepEqual(decisionsOf(decisions), ['refused not-before', 'refused not-before', 'fired']);
      await harness.passTime(10);
      await adopt(schedule.queue, { generation: 2 });
      const [late] = await schedule.fire([slot(schedule.at(5))], 'Allow', { generation: 2 });
      assert.deepEqual(late, { decision: 'refused', why: 'not-before' });
    });

    test('a controller with an older spec is refused, and so is one with a newer that was not adopted', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness, { generation: 2 });
      const stale = { outcome: 'stale', generation: 2, withdrawn: false } as const;
      assert.deepEqual(await tryFire(schedule.queue, [slot(schedule.at(1))], { generation: 1 }), stale);
      assert.deepEqual(await tryFire(schedule.queue, [trigger('t')], { generation: 3 }), stale);
      const unknown = await tryFire(schedule.queue, [slot(schedule.at(1))], { uid: 'nobody' });
      assert.deepEqual(unknown, { outcome: 'stale', generation: 0, withdrawn: false });
      assert.equal((await schedule.state()).watermarkMs, undefined);
      assert.equal((await schedule.queue.inspect.stats()).pending, 0);
    });

    test('a suspended schedule fires no slot, and stays owed nothing but a run by hand', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness, { suspended: true });
      const decisions = await schedule.fire([
        slot(schedule.at(1)),
        missed(schedule.at(2), schedule.at(3), 2),
        trigger('by-hand'),
      ]);
      assert.deepEqual(decisionsOf(decisions), ['refused suspended', 'refused suspended', 'fired Triggered']);
      assert.equal((await schedule.state()).watermarkMs, undefined);
    });

    test('a slot more than 150 ms ahead is refused, whatever the clock of the controller says', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const nowMs = await harness.broker.now();
      const decisions = await schedule.fire([slot(schedule.at(1)), slot(nowMs + 1_000)]);
      assert.deepEqual(decisionsOf(decisions), ['fired', 'refused future']);
      assert.equal((await schedule.state()).watermarkMs, schedule.at(1));
      assert.deepEqual(decisionsOf(await schedule.fire([slot((await harness.broker.now()) + 20)])), [
        'fired',
      ]);
    });

    test('the run of a slot that is decided ahead waits for it', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      await adopt(queue, { uid: 'jittered' });
      const aheadMs = await whileAhead(harness, async (slotMs) => {
        const replies = await queue.schedules.fire([
          firing([slot(slotMs)]),
          { ...firing([slot(slotMs, 5_000)], { run: templateOf('jittered') }), uid: 'jittered' },
        ]);
        return () => {
          for (const { outcome, ...reply } of replies) {
            assert.equal(outcome, 'ok');
            assert.deepEqual('decisions' in reply && decisionsOf(reply.decisions), ['fired']);
          }
        };
      });
      const [plain, jittered] = await Promise.all(
        [UID, 'jittered'].map((uid) => queue.runs.get(slotRunId(uid, aheadMs))),
      );
      assert.equal(plain?.dueAtMs, aheadMs);
      assert.deepEqual([jittered?.state, jittered?.dueAtMs], ['delayed', aheadMs + 5_000]);
      assert.equal((await schedule.state()).watermarkMs, aheadMs);
    });

    for (const policy of ['Forbid', 'Replace'] as const)
      test(`${policy}: a slot is not decided ahead while a run stands against it, nor is what follows`, async () => {
        await using harness = await createHarness();
        const schedule = await Schedule.adopted(harness);
        const consumer = await consumerOf(schedule.queue);
        await whileAhead(harness, async (slotMs) => {
          await schedule.fire([slot(slotMs - 46)], policy);
          const asked = await schedule.fire([slot(slotMs), slot(slotMs + 1)], policy);
          const state = await schedule.state();
          return () => {
            assert.deepEqual(decisionsOf(asked), ['refused ahead', 'refused watermark']);
            assert.equal(state.watermarkMs, slotMs - 46);
          };
        });
        await consumer.drain();
        await whileAhead(harness, async (slotMs) => {
          const asked = await schedule.fire([slot(slotMs)], policy);
          return () => assert.deepEqual(decisionsOf(asked), ['fired']);
        });
      });

    test('a slot is not decided ahead while there is no room for its run', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await consumerOf(schedule.queue, { settings: { maxPendingPerSchedule: 1 } });
      await schedule.fire([slot(schedule.at(1))]);
      await whileAhead(harness, async (slotMs) => {
        const asked = await schedule.fire([slot(slotMs)]);
        return () => assert.deepEqual(decisionsOf(asked), ['refused ahead']);
      });
    });

    test('an edit after a slot was decided ahead takes force behind it: no slot stands between', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      let generation = 1;
      await whileAhead(harness, async (slotMs) => {
        await schedule.fire([slot(slotMs)], 'Allow', { generation });
        generation += 1;
        const edited = await adopt(schedule.queue, { generation });
        const eras = await schedule.queue.schedules.eras(UID);
        return () => {
          assert.equal(edited.notBeforeMs, slotMs + 1);
          assert.deepEqual([eras.at(-2)?.untilMs, eras.at(-1)?.fromMs], [slotMs + 1, slotMs + 1]);
        };
      });
    });

    test('a range that another controller has half decided is refused, with all that follows, to be planned again', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await schedule.fire([missed(schedule.at(1), schedule.at(4), 4)]);
      const decisions = await schedule.fire([
        slot(schedule.at(2)),
        missed(schedule.at(3), schedule.at(8), 6),
        slot(schedule.at(9)),
      ]);
      assert.deepEqual(decisionsOf(decisions), ['duplicate', 'refused watermark', 'refused watermark']);
      assert.equal((await schedule.state()).watermarkMs, schedule.at(4));
    });

    test('a jittered slot waits in the queue, and counts as decided', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await schedule.fire([slot(schedule.at(1), 60_000)]);
      const record = await schedule.queue.runs.get(slotRunId(UID, schedule.at(1)));
      assert.equal(record?.state, 'delayed');
      assert.equal((await schedule.state()).watermarkMs, schedule.at(1));
    });

    test('the run of a slot expires at the instant given, however late it is enqueued, and not before it is due', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const expiring = (index: number, delayMs: number, expiresAtMs: number): FireEntry => ({
        ...{ kind: 'slot', slotMs: schedule.at(index), delayMs, expiresAtMs },
      });
      const dueFromMs = (await harness.broker.now()) + 60_000;
      await schedule.fire([
        expiring(1, 0, schedule.at(1) + 50_000),
        expiring(2, 60_000, schedule.at(2) + 90_000),
        expiring(3, 60_000, schedule.at(3) + 1_000),
        slot(schedule.at(4)),
      ]);
      const [prompt, delayed, short, endless] = await Promise.all(
        [1, 2, 3, 4].map((index) => schedule.queue.runs.get(slotRunId(UID, schedule.at(index)))),
      );
      assert.equal(prompt?.expiresAtMs, schedule.at(1) + 50_000);
      assert.equal(delayed?.expiresAtMs, schedule.at(2) + 90_000);
      assert.ok(short?.dueAtMs !== undefined && short.dueAtMs >= dueFromMs);
      assert.equal(short.expiresAtMs, short.dueAtMs);
      assert.equal(endless?.expiresAtMs, undefined);
    });

    test('a run by hand has no slot to count from: it expires so long after it was asked for', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const run = { ...templateOf(UID), expiresInMs: 1_000 };
      const [made] = await schedule.fire([trigger('now'), slot(schedule.at(1))], 'Allow', { run });
      assert.ok(made?.decision === 'fired' && made.runId !== undefined);
      const record = await schedule.queue.runs.get(made.runId);
      assert.ok(record !== undefined);
      assert.equal(record.expiresAtMs, record.enqueuedAtMs + 1_000);
      const scheduled = await schedule.queue.runs.get(slotRunId(UID, schedule.at(1)));
      assert.equal(scheduled?.expiresAtMs, undefined);
    });

    test('a catch-up keeps its reason', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const decisions = await schedule.fire([
        { kind: 'slot', slotMs: schedule.at(1), delayMs: 0, reason: 'CatchUp' },
      ]);
      assert.deepEqual(decisionsOf(decisions), ['fired CatchUp']);
    });

    test('slots of an object that cannot fire are recorded missed, with the reason, and enqueue nothing', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const entry = { kind: 'missed', count: 2, countIsExact: true, reason: 'InvalidParams' } as const;
      const decisions = await schedule.fire([{ ...entry, fromMs: schedule.at(1), toMs: schedule.at(2) }]);
      assert.deepEqual(decisionsOf(decisions), ['missed InvalidParams']);
      assert.equal((await schedule.queue.inspect.stats()).pending, 0);
    });

    test('many schedules go in one call, and each is decided on its own', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const uids = Array.from({ length: 150 }, (_, index) => `uid-${index}`);
      const adopted = await queue.schedules.adopt(
        uids.map((uid) => adoption({ uid, generation: uid === 'uid-7' ? 9 : 1 })),
      );
      await harness.passTime(60);
      const firstMs = Math.max(
        ...adopted.map((reply) => (reply.outcome === 'adopted' ? reply.state.notBeforeMs : 0)),
      );
      const requests = uids.map((uid) =>
        firing([slot(firstMs), slot(firstMs + 1)], { uid, run: templateOf(uid) }),
      );
      const replies = await queue.schedules.fire([...requests, firing([slot(firstMs)], { uid: 'nobody' })]);
      assert.equal(replies.length, 151);
      replies.forEach((reply, index) => {
        if (index === 7) assert.deepEqual(reply, { outcome: 'stale', generation: 9, withdrawn: false });
        else if (index === 150) assert.equal(reply.outcome, 'stale');
        else
          assert.ok(
            reply.outcome === 'ok' && decisionsOf(reply.decisions).join() === 'fired,fired',
            `schedule ${index}`,
          );
      });
      assert.equal((await queue.inspect.stats()).pending, 298);
      const ids = (await (await consumerOf(queue)).drain()).filter((id) => id.startsWith('uid-42@'));
      assert.deepEqual(ids, [slotRunId('uid-42', firstMs), slotRunId('uid-42', firstMs + 1)]);
    });
  });
}
