/** What an object's status says, from one report and from what it said before. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RecentDecision } from '../../../src/controller/entry.ts';
import type { ObjectReport } from '../../../src/controller/sink.ts';
import { compareStatus } from '../../../src/controller/status-change.ts';
import { statusOf } from '../../../src/controller/status-of.ts';
import { TRIGGER_STATES } from '../../../src/controller/trigger.ts';
import { NOT_READY_REASONS, READY_REASONS } from '../../../src/resource/conditions.ts';
import { type ScheduledTaskStatus, ScheduledTaskStatusSchema } from '../../../src/resource/status-schema.ts';
import { DECISION_REASONS } from '../../../src/schedule/reasons.ts';
import { NEVER_SEEN, objectOf, reportOn } from '../../support/reports.ts';

const NOW = Date.parse('2026-03-01T08:00:00.250Z');
const MINUTE = 60_000;
const at = (time: string): number => Date.parse(`2026-03-01T${time}Z`);

function condition(status: ScheduledTaskStatus, type: string) {
  return status.conditions?.find((one) => one.type === type);
}

function fired(time: string, rest: Partial<RecentDecision> = {}): RecentDecision {
  const slotMs = at(time);
  return { fromMs: slotMs, slotMs, count: 1, decision: 'fired', runId: `u@${time}`, ...rest };
}

describe('the status of an object', () => {
  test('a generation in force is observed, with all three conditions at that generation', () => {
    const status = statusOf(reportOn(objectOf({ generation: 3 })), NEVER_SEEN, NOW);
    assert.equal(status.observedGeneration, 3);
    assert.deepEqual(
      status.conditions?.map(({ type, status: state, observedGeneration }) => [
        type,
        state,
        observedGeneration,
      ]),
      [
        ['Ready', 'True', 3],
        ['Stalled', 'False', 3],
        ['Reconciling', 'False', 3],
      ],
    );
    assert.equal(condition(status, 'Ready')?.lastTransitionTime, '2026-03-01T08:00:00Z');
  });

  test('until the broker acted on a generation, everything known stands, so that tools go on waiting', () => {
    const known = statusOf(reportOn(objectOf({ generation: 1 })), NEVER_SEEN, NOW);
    const edited = objectOf({ generation: 2, status: known });
    const report = reportOn(edited, { inForce: false, reason: 'QueueNotAllowed', message: 'no' });
    assert.equal(compareStatus(known, statusOf(report, known, NOW + MINUTE)), 'same');
    assert.equal(compareStatus(NEVER_SEEN, statusOf(report, undefined, NOW)), 'same');
  });

  test('a transition time moves when the status flips, and only then', () => {
    const first = statusOf(reportOn(objectOf()), NEVER_SEEN, NOW);
    const suspended = statusOf(
      reportOn(objectOf({ generation: 2 }), { reason: 'Suspended' }),
      first,
      NOW + MINUTE,
    );
    assert.equal(condition(suspended, 'Ready')?.lastTransitionTime, '2026-03-01T08:00:00Z');
    assert.equal(condition(suspended, 'Ready')?.reason, 'Suspended');
    const refused = statusOf(
      reportOn(objectOf(), { reason: 'QueueNotAllowed' }),
      suspended,
      NOW + 2 * MINUTE,
    );
    assert.equal(condition(refused, 'Ready')?.lastTransitionTime, '2026-03-01T08:02:00Z');
    assert.equal(condition(refused, 'Stalled')?.lastTransitionTime, '2026-03-01T08:02:00Z');
    assert.equal(condition(refused, 'Reconciling')?.lastTransitionTime, '2026-03-01T08:00:00Z');
  });

  test('the next slot is told of schedules of a minute and more that fire, with milliseconds where there are any', () => {
    const nextOf = (spec: Parameters<typeof objectOf>[0], input: Parameters<typeof reportOn>[1]) =>
      statusOf(reportOn(objectOf(spec), { nextMs: at('09:00:00.100'), ...input }), NEVER_SEEN, NOW)
        .nextScheduleTime;
    assert.equal(nextOf({}, {}), '2026-03-01T09:00:00.100Z');
    assert.equal(nextOf({ spec: { every: '1m' } }, { nextMs: at('09:00:00') }), '2026-03-01T09:00:00Z');
    assert.equal(nextOf({ spec: { every: '59s' } }, {}), undefined);
    assert.equal(nextOf({}, { reason: 'InvalidParams' }), undefined);
    assert.equal(nextOf({}, { reason: 'NoConsumer' }), '2026-03-01T09:00:00.100Z');
  });

  test('a restarted engine, or an emptied broker, takes nothing away from what the status says', () => {
    const full = statusOf(
      reportOn(objectOf(), {
        lastFiredSlotMs: at('07:59:00'),
        lastMissedSlotMs: at('07:50:00'),
        settledThroughMs: at('07:59:00'),
        recent: [fired('07:59:00'), fired('07:58:00')],
        state: {
          ...{ uid: 'u', generation: 1, withdrawn: false, suspended: false, notBeforeMs: 0, active: 2 },
          ...{ succeeded: 9, failed: 1, missed: 7, skipped: 0, fired: 10, lastSucceededAtMs: at('07:59:02') },
          lastFailedAtMs: at('07:40:02'),
          lastRun: { id: 'u@x', state: 'succeeded', endedAtMs: at('07:59:02'), attempt: 1 },
        },
      }),
      NEVER_SEEN,
      NOW,
    );
    const after = statusOf(reportOn(objectOf()), full, NOW + MINUTE);
    assert.equal(compareStatus(full, after), 'same');
    const emptied = statusOf(
      reportOn(objectOf(), {
        state: {
          ...{ uid: 'u', generation: 1, withdrawn: false, suspended: false, notBeforeMs: 0, active: 0 },
          ...{ succeeded: 0, failed: 0, missed: 0, skipped: 0, fired: 0 },
        },
      }),
      full,
      NOW,
    );
    assert.deepEqual({ ...emptied, active: 2 }, after);
  });

  test('decisions of this engine and those that others wrote stand once each, newest first, at most five', () => {
    const before = statusOf(
      reportOn(objectOf(), { recent: ['05', '04', '03', '02', '01'].map((m) => fired(`07:${m}:00`)) }),
      NEVER_SEEN,
      NOW,
    );
    const own = [fired('07:07:00'), fired('07:06:00'), fired('07:05:00')];
    const after = statusOf(reportOn(objectOf(), { recent: own }), before, NOW);
    assert.deepEqual(
      after.recent?.map(({ slot }) => slot.slice(11, 16)),
      ['07:07', '07:06', '07:05', '07:04', '07:03'],
    );
  });

  test('a row of like decisions that grew since it was written stands once, with its first slot and its count', () => {
    const row = (to: string, count: number): RecentDecision => ({
      ...{ fromMs: at('07:01:00'), slotMs: at(to), count, decision: 'skipped', reason: 'Overlap' },
    });
    const before = statusOf(
      reportOn(objectOf(), { recent: [row('07:03:00', 3), fired('07:00:00')] }),
      NEVER_SEEN,
      NOW,
    );
    const after = statusOf(
      reportOn(objectOf(), { recent: [row('07:09:00', 9), fired('07:00:00')] }),
      before,
      NOW,
    );
    assert.deepEqual(after.recent, [
      { slot: '2026-03-01T07:01:00Z', count: 9, decision: 'Skipped', reason: 'Overlap' },
      { slot: '2026-03-01T07:00:00Z', decision: 'Fired', runId: 'u@07:00:00' },
    ]);
  });

  test('decisions that another controller made meanwhile stay between ours', () => {
    const theirs = statusOf(
      reportOn(objectOf(), { recent: [fired('07:03:00'), fired('07:02:00')] }),
      NEVER_SEEN,
      NOW,
    );
    const after = statusOf(
      reportOn(objectOf(), { recent: [fired('07:04:00'), fired('07:01:00')] }),
      theirs,
      NOW,
    );
    assert.deepEqual(
      after.recent?.map(({ slot }) => slot.slice(11, 16)),
      ['07:04', '07:03', '07:02', '07:01'],
    );
  });

  test('people wait for a generation, for Ready and Stalled, and for an answer to a trigger, and for nothing else', () => {
    const known = statusOf(reportOn(objectOf()), NEVER_SEEN, NOW);
    const kindOf = (...[input, generation = 1]: [Parameters<typeof reportOn>[1], number?]) =>
      compareStatus(known, statusOf(reportOn(objectOf({ generation }), input), known, NOW));
    assert.equal(kindOf({}, 2), 'urgent');
    assert.equal(kindOf({ reason: 'Suspended' }), 'urgent');
    assert.equal(kindOf({ reason: 'UnknownTask' }), 'urgent');
    assert.equal(kindOf({ trigger: { request: 'r', state: 'Enqueued', atMs: NOW } }), 'urgent');
    assert.equal(kindOf({ message: 'other words' }), 'refresh');
    assert.equal(kindOf({ lastFiredSlotMs: NOW, recent: [fired('07:00:00')] }), 'refresh');
  });

  test('whatever a report says, the status fits its schema, and the same report changes it no further', () => {
    fc.assert(
      fc.property(anyReport, anyKnown, fc.date({ noInvalidDate: true }), (report, known, now) => {
        const status = statusOf(report, known, now.getTime());
        const stored: unknown = JSON.parse(JSON.stringify(status));
        const parsed = ScheduledTaskStatusSchema.safeParse(stored);
        assert.ok(parsed.success, parsed.error?.message);
        assert.equal(compareStatus(parsed.data, status), 'same');
        const again = statusOf(report, parsed.data, now.getTime() + MINUTE);
        assert.equal(compareStatus(parsed.data, again), 'same');
      }),
      { numRuns: 500 },
    );
  });
});

const anyMs = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 41 }),
  fc.constantFrom(NaN, Infinity, -Infinity, 8.64e15, 1e20, -1, 253_402_300_800_000),
);
const anyCount = fc.oneof(fc.nat(), fc.constantFrom(0, -1, 0.5, NaN, 2 ** 40, 2 ** 60));
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('', 'x'.repeat(40_000), '\ud83d', '😀'.repeat(20_000)),
);
const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const anyDecision = fc.record(
  {
    ...{ fromMs: anyMs, slotMs: anyMs, count: anyCount, runId: anyText },
    decision: fc.constantFrom('fired' as const, 'skipped' as const, 'missed' as const),
    reason: fc.constantFrom(...DECISION_REASONS),
  },
  { requiredKeys: ['fromMs', 'slotMs', 'count', 'decision'] },
);
const anyState = fc.record({
  ...{ uid: fc.constant('u'), generation: fc.nat(), withdrawn: fc.boolean(), suspended: fc.boolean() },
  ...{ notBeforeMs: anyMs, active: anyCount, succeeded: anyCount, failed: anyCount, missed: anyCount },
  ...{ skipped: anyCount, fired: anyCount, lastSucceededAtMs: anyMs, lastFailedAtMs: anyMs },
  lastRun: fc.record({
    ...{ id: anyText, slotMs: anyMs, startedAtMs: anyMs, endedAtMs: anyMs, attempt: anyCount },
    state: fc.constantFrom('succeeded' as const, 'failed' as const, 'cancelled' as const, 'expired' as const),
    error: fc.record({ reason: fc.constant('Error' as const), name: anyText, message: anyText }),
  }),
});
const anyTrigger = fc.record(
  {
    request: anyText,
    state: fc.constantFrom(...TRIGGER_STATES),
    runId: anyText,
    message: anyText,
    atMs: anyMs,
  },
  { requiredKeys: ['request', 'state', 'atMs'] },
);
const anyReport: fc.Arbitrary<ObjectReport> = fc
  .record({
    generation: fc.integer({ min: 1, max: 1_000_000 }),
    spec: fc.constantFrom({ every: '1s' }, { every: '1h' }, { schedule: '* * * * *' }, { every: 'never' }),
    reason: fc.constantFrom(...READY_REASONS, ...NOT_READY_REASONS),
    ...{ message: anyText, inForce: fc.boolean(), recent: fc.array(anyDecision, { maxLength: 7 }) },
    ...{ nextMs: some(anyMs), settledThroughMs: some(anyMs), lastFiredSlotMs: some(anyMs) },
    ...{ lastMissedSlotMs: some(anyMs), state: some(anyState), trigger: some(anyTrigger) },
  })
  .map(({ generation, spec, ...rest }) => {
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    return reportOn(objectOf({ generation, spec }), given);
  });
/** What another report left, or nothing, or what the CRD puts there. */
const anyKnown: fc.Arbitrary<ScheduledTaskStatus | undefined> = fc.oneof(
  fc.constantFrom(undefined, NEVER_SEEN),
  anyReport.map((report) =>
    ScheduledTaskStatusSchema.parse(JSON.parse(JSON.stringify(statusOf(report, NEVER_SEEN, NOW)))),
  ),
);
