/** Contract: every decision can be asked about later. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DecisionRecord } from '../../src/task/schedule-state.ts';
import { consumerOf, type CreateHarness } from './harness.ts';
import { adopt, missed, Schedule, slot, trigger, UID } from './schedule-steps.ts';

const ALL = { limit: 10_000 };

const short = ({ decision, reason, count, generation }: DecisionRecord): string =>
  `${decision} ${reason ?? '-'} ${count} g${generation}`;

export function describeDecisions(createHarness: CreateHarness): void {
  describe('decision log', () => {
    test('like decisions in a row merge into one range with an exact count', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      for (let index = 0; index < 5; index += 1) await schedule.fire([slot(schedule.at(index))]);
      await schedule.fire([slot(schedule.at(5)), slot(schedule.at(6))]);
      const [record, ...others] = await schedule.queue.schedules.decisions(UID, ALL);
      assert.deepEqual(others, []);
      assert.ok(record && record.decidedAtMs >= schedule.firstMs);
      const { decidedAtMs, ...rest } = record;
      assert.ok(decidedAtMs <= (await harness.broker.now()));
      const span = { fromMs: schedule.at(0), toMs: schedule.at(6), count: 7, countIsExact: true };
      assert.deepEqual(rest, { ...span, decision: 'fired', generation: 1 });
    });

    test('another decision, reason or generation begins a new record', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { queue } = schedule;
      await consumerOf(queue);
      await schedule.fire([slot(schedule.at(0)), missed(schedule.at(1), schedule.at(3), 3)]);
      await schedule.fire([slot(schedule.at(4)), slot(schedule.at(5))], 'Forbid');
      await schedule.fire([{ kind: 'slot', slotMs: schedule.at(6), delayMs: 0, reason: 'CatchUp' }]);
      await schedule.fire([slot(schedule.at(7))]);
      const second = await adopt(queue, { generation: 2 });
      await harness.passTime(10);
      await schedule.fire([slot(second.notBeforeMs)], 'Allow', { generation: 2 });
      const records = await queue.schedules.decisions(UID, ALL);
      assert.deepEqual(records.map(short), [
        'fired - 1 g1',
        'missed Superseded 3 g1',
        'skipped Overlap 2 g1',
        'fired CatchUp 1 g1',
        'fired - 1 g1',
        'fired - 1 g2',
      ]);
      const state = await schedule.state();
      assert.deepEqual([state.fired, state.missed, state.skipped], [4, 3, 2]);
    });

    test('missed ranges merge with their counts, and a lower bound stays one', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await schedule.fire([
        missed(schedule.at(0), schedule.at(3), 1_000, false),
        missed(schedule.at(4), schedule.at(5), 2),
      ]);
      const [record, ...others] = await schedule.queue.schedules.decisions(UID, ALL);
      assert.deepEqual(others, []);
      assert.deepEqual([record?.count, record?.countIsExact, record?.toMs], [1_002, false, schedule.at(5)]);
      assert.equal((await schedule.state()).missed, 1_002);
    });

    test('runs by hand stand alone, with their request', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await schedule.fire([trigger('a'), trigger('b')]);
      await schedule.fire([slot(schedule.at(1)), slot(schedule.at(2))]);
      const records = await schedule.queue.schedules.decisions(UID, ALL);
      assert.deepEqual(
        records.map(({ request, reason, count }) => [request, reason, count]),
        [
          ['a', 'Triggered', 1],
          ['b', 'Triggered', 1],
          [undefined, undefined, 2],
        ],
      );
      assert.equal(records[0]?.fromMs, records[0]?.decidedAtMs);
    });

    test('a span gives the records that touch it, the newest when there are more than asked for', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      const { schedules } = schedule.queue;
      const entries = [0, 1, 2, 3, 4, 5].map((index) =>
        index % 2 === 0
          ? slot(schedule.at(index * 2))
          : missed(schedule.at(index * 2), schedule.at(index * 2 + 1), 2),
      );
      await schedule.fire(entries);
      const spans = async (span: {
        fromMs?: number;
        toMs?: number;
        limit: number;
      }): Promise<readonly number[]> =>
        (await schedules.decisions(UID, span)).map((record) => (record.fromMs - schedule.firstMs) / 2);
      assert.deepEqual(await spans(ALL), [0, 1, 2, 3, 4, 5]);
      assert.deepEqual(await spans({ ...ALL, fromMs: schedule.at(3), toMs: schedule.at(6) }), [1, 2, 3]);
      assert.deepEqual(await spans({ limit: 2 }), [4, 5]);
      assert.deepEqual(await spans({ limit: 2, toMs: schedule.at(5) }), [1, 2]);
      assert.deepEqual(await spans({ limit: 0 }), []);
      assert.deepEqual(await schedules.decisions('nobody', ALL), []);
    });

    test('the log keeps its newest 1,000 records, and the counts of all', async () => {
      await using harness = await createHarness();
      const schedule = await Schedule.adopted(harness);
      await harness.passTime(1_100);
      const entries = Array.from({ length: 1_100 }, (_, index) =>
        index % 2 === 0
          ? missed(schedule.at(index), schedule.at(index), 1)
          : ({ ...missed(schedule.at(index), schedule.at(index), 1), reason: 'Late' } as const),
      );
      await schedule.fire(entries);
      const records = await schedule.queue.schedules.decisions(UID, ALL);
      assert.equal(records.length, 1_000);
      assert.equal(records.at(-1)?.toMs, schedule.at(1_099));
      assert.equal((await schedule.state()).missed, 1_100);
    });
  });
}
