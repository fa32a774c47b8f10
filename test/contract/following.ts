/** One generation follows another, and one engine the next, in the contract: no slot falls between them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CreateHarness } from './harness.ts';
import { adopt, decisionsOf, missed, Schedule, slot, trigger, tryAdopt, tryFire } from './schedule-steps.ts';

export function describeFollowing(createHarness: CreateHarness): void {
  describe('what follows', () => {
    test('a generation that was closed until later is followed; one that may owe slots again is not', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      const nowMs = await harness.broker.now();
      const late = await tryAdopt(queue, { generation: 2, closed: { generation: 1, notAfterMs: nowMs - 1 } });
      assert.deepEqual(late, { outcome: 'late' });
      assert.equal((await schedule.state()).generation, 1);
      assert.equal((await queue.schedules.eras('uid-1')).length, 1);
      assert.deepEqual(decisionsOf(await schedule.fire([missed(schedule.at(1), schedule.at(4), 4)])), [
        'missed Superseded',
      ]);
      await adopt(queue, { generation: 2, closed: { generation: 1, notAfterMs: nowMs + 60_000 } });
      assert.equal((await schedule.state()).generation, 2);
    });

    test('another generation than the one that was closed is not followed', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await adopt(queue);
      assert.deepEqual(await tryAdopt(queue, { generation: 3, closed: { generation: 0 } }), {
        outcome: 'late',
      });
      await adopt(queue, { generation: 2, closed: { generation: 1 } });
      assert.deepEqual(await tryAdopt(queue, { generation: 3, closed: { generation: 1 } }), {
        outcome: 'late',
      });
      await adopt(queue, { generation: 3, closed: { generation: 2 } });
    });

    test('what was closed matters only where another generation is in force', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const closed = { generation: 7, notAfterMs: 1 };
      await adopt(queue, { generation: 5, closed });
      assert.equal((await tryAdopt(queue, { generation: 5, closed })).outcome, 'current');
      assert.equal((await tryAdopt(queue, { generation: 4, closed })).outcome, 'stale');
      assert.equal((await tryAdopt(queue, { generation: 4, force: true, closed })).outcome, 'late');
      await adopt(queue, { generation: 4, force: true, closed: { generation: 5 } });
      await queue.schedules.withdraw(['uid-1']);
      assert.equal((await tryAdopt(queue, { generation: 6, closed })).outcome, 'stale');
      await adopt(queue, { generation: 6, force: true, closed });
    });

    test('many are judged each on its own in one call', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      for (const uid of ['uid-1', 'uid-2', 'uid-3']) await adopt(queue, { uid });
      const nowMs = await harness.broker.now();
      const replies = await queue.schedules.adopt(
        [nowMs + 60_000, nowMs - 1, undefined].map((notAfterMs, index) => ({
          ...{ uid: `uid-${index + 1}`, generation: 2, install: 'tests', namespace: 'team', name: 'nightly' },
          ...{ suspended: false, spec: '{}' },
          closed: { generation: 1, ...(notAfterMs !== undefined && { notAfterMs }) },
        })),
      );
      assert.deepEqual(
        replies.map(({ outcome }) => outcome),
        ['adopted', 'late', 'adopted'],
      );
    });

    test('an engine that knows a later watermark is told that the broker is behind, and nothing is done', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      const behind = await tryFire(queue, [slot(schedule.at(3)), trigger('by hand')], {
        expectedWatermarkMs: schedule.at(2),
      });
      assert.deepEqual(behind, { outcome: 'behind' });
      assert.equal((await schedule.state()).watermarkMs, undefined);
      assert.equal((await queue.inspect.stats()).pending, 0);
      await schedule.fire([slot(schedule.at(2))]);
      for (const expectedWatermarkMs of [schedule.at(2), schedule.at(1), undefined]) {
        const reply = await tryFire(queue, [slot(schedule.at(2))], {
          ...(expectedWatermarkMs !== undefined && { expectedWatermarkMs }),
        });
        assert.equal(reply.outcome, 'ok', String(expectedWatermarkMs));
      }
      const still = await tryFire(queue, [slot(schedule.at(4))], { expectedWatermarkMs: schedule.at(3) });
      assert.equal(still.outcome, 'behind');
    });

    test('one schedule that is behind does not keep its neighbours in the call from firing', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      await adopt(queue, { uid: 'uid-2' });
      await harness.passTime(5);
      const run = { task: 'job', priority: 'medium', params: '{}', options: { source: 'schedule' } } as const;
      const at = (await harness.broker.now()) - 1;
      const replies = await queue.schedules.fire([
        {
          ...{ uid: 'uid-1', generation: 1, concurrencyPolicy: 'Allow', run, expectedWatermarkMs: at + 1 },
          entries: [slot(at), trigger('by hand', '{"a":1}'), missed(at + 1, at + 1, 1)],
        },
        {
          ...{ uid: 'uid-2', generation: 1, concurrencyPolicy: 'Allow', run },
          entries: [trigger('by hand')],
        },
      ]);
      assert.deepEqual(replies[0], { outcome: 'behind' });
      assert.ok(replies[1]?.outcome === 'ok');
      assert.deepEqual(decisionsOf(replies[1].decisions), ['fired Triggered']);
    });
  });
}
