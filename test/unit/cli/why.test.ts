import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eraTiming } from '../../../src/cli/show-timing.ts';
import { type EraTiming, why, type WhyInput } from '../../../src/cli/why.ts';
import { unreadableEraSpec } from '../../../src/resource/to-schedule.ts';
import { DECISION_REASONS } from '../../../src/schedule/reasons.ts';
import { generationOf } from '../../../src/controller/file-generation.ts';
import { every } from '../../../src/schedule/every.ts';
import type { DecisionRecord, Era, ScheduleState } from '../../../src/task/schedule-state.ts';

const T = Date.parse('2026-03-01T12:00:00Z');
const MINUTE = 60_000;

/** Every minute since 11:00, edited at 11:30 (generation 2), suspended from 11:40 to 11:50, and running since. */
const eras: readonly Era[] = [
  {
    generation: 1,
    fromMs: T - 60 * MINUTE + 5_000,
    untilMs: T - 30 * MINUTE + 5_000,
    suspended: false,
    spec: '1',
  },
  {
    generation: 2,
    fromMs: T - 30 * MINUTE + 5_000,
    untilMs: T - 20 * MINUTE + 5_000,
    suspended: false,
    spec: '2',
  },
  {
    generation: 3,
    fromMs: T - 20 * MINUTE + 5_000,
    untilMs: T - 10 * MINUTE + 5_000,
    suspended: true,
    spec: '3',
  },
  { generation: 4, fromMs: T - 10 * MINUTE + 5_000, suspended: false, spec: '4' },
];
const state: ScheduleState = {
  uid: 'u',
  generation: 4,
  withdrawn: false,
  suspended: false,
  notBeforeMs: T - 10 * MINUTE + 5_000,
  watermarkMs: T - 2 * MINUTE,
  active: 0,
  succeeded: 0,
  failed: 0,
  missed: 0,
  skipped: 0,
  fired: 0,
};
const timing: EraTiming = { schedule: every('1m'), text: 'every 1m' };
const decision = (minutes: number, rest: Partial<DecisionRecord> = {}): DecisionRecord => ({
  fromMs: T + minutes * MINUTE,
  toMs: T + minutes * MINUTE,
  count: 1,
  countIsExact: true,
  decision: 'fired',
  generation: 4,
  decidedAtMs: T + minutes * MINUTE + 12,
  ...rest,
});

const ask = (minutes: number, given: Partial<WhyInput> = {}) =>
  why({
    state,
    eras,
    decisions: [],
    nowMs: T,
    timingOf: () => timing,
    ...given,
    atMs: given.atMs ?? T + minutes * MINUTE,
  });

interface Case {
  readonly title: string;
  readonly minutes: number;
  readonly given?: Partial<WhyInput>;
  readonly verdict: string;
  readonly says: RegExp;
}

const cases: readonly Case[] = [
  {
    title: 'a slot that fired',
    minutes: -5,
    given: { decisions: [decision(-5)] },
    verdict: 'fired',
    says: /11:55:00Z fired, on time\./,
  },
  {
    title: 'a slot inside a merged range',
    minutes: -5,
    given: { decisions: [decision(-8, { toMs: T - 3 * MINUTE, count: 6 })] },
    verdict: 'fired',
    says: /11:55:00Z fired/,
  },
  {
    title: 'a time inside a merged range that is no slot',
    minutes: 0,
    given: { atMs: T - 5 * MINUTE + 30_000, decisions: [decision(-8, { toMs: T - 3 * MINUTE, count: 6 })] },
    verdict: 'no-slot',
    says: /no slot at 2026-03-01 11:55:30Z/,
  },
  {
    title: 'a slot skipped for overlap',
    minutes: -5,
    given: { decisions: [decision(-5, { decision: 'skipped', reason: 'Overlap' })] },
    verdict: 'skipped',
    says: /was skipped \(Overlap\): an earlier run .* Forbid/,
  },
  {
    title: 'a slot missed in an outage',
    minutes: -5,
    given: {
      decisions: [
        decision(-9, {
          toMs: T - 4 * MINUTE,
          count: 1_000,
          countIsExact: false,
          decision: 'missed',
          reason: 'Superseded',
        }),
      ],
    },
    verdict: 'missed',
    says: /was missed \(Superseded\).* First decided at .*at least 1000 slots/,
  },
  {
    title: 'a slot decided by an older generation just before the edit',
    minutes: -20,
    given: { decisions: [decision(-20, { generation: 2, decision: 'missed', reason: 'Edited' })] },
    verdict: 'missed',
    says: /\(Edited\).*generation 2/,
  },
  {
    title: 'a slot while suspended',
    minutes: -15,
    verdict: 'suspended',
    says: /suspended from 2026-03-01 11:40:05Z until 2026-03-01 11:50:05Z/,
  },
  {
    title: 'a time before the schedule existed',
    minutes: -120,
    verdict: 'before-not-before',
    says: /came into force at 2026-03-01 11:00:05Z/,
  },
  {
    title: 'a time before the oldest spec that is kept',
    minutes: -120,
    given: {
      eras: Array.from({ length: 32 }, (_, i) => ({
        ...eras[3]!,
        generation: 40 + i,
        fromMs: T - (32 - i) * MINUTE,
      })),
    },
    verdict: 'forgotten',
    says: /no longer recorded/,
  },
  {
    title: 'a slot after the era began and before its startTime',
    minutes: -9,
    given: { timingOf: () => ({ ...timing, startMs: T - 5 * MINUTE }) },
    verdict: 'outside-window',
    says: /before startTime/,
  },
  {
    title: 'a slot after endTime',
    minutes: -5,
    given: { timingOf: () => ({ ...timing, endMs: T - 6 * MINUTE }) },
    verdict: 'outside-window',
    says: /after endTime/,
  },
  {
    title: 'a slot in force, but before a later not-before',
    minutes: -9,
    given: { state: { ...state, notBeforeMs: T - 8 * MINUTE } },
    verdict: 'before-not-before',
    says: /never fires retroactively/,
  },
  {
    title: 'a slot that no scheduler has decided',
    minutes: -1,
    verdict: 'undecided',
    says: /decided up to 2026-03-01 11:58:00Z.*still owed/,
  },
  { title: 'a slot whose record was dropped', minutes: -5, verdict: 'forgotten', says: /no longer kept/ },
  { title: 'a slot to come', minutes: 7, verdict: 'not-due', says: /12:07:00Z is still to come/ },
  {
    title: 'a time to come without a slot',
    minutes: 7.5,
    verdict: 'no-slot',
    says: /the one after is 2026-03-01 12:08:00Z/,
  },
  {
    title: 'a spec that could not be evaluated',
    minutes: -5,
    given: { timingOf: () => ({ schedule: undefined, text: 'schedule "61 * * * *" is not valid' }) },
    verdict: 'invalid',
    says: /could not be evaluated .*61/,
  },
  {
    title: 'an era whose time zone is not known',
    minutes: -5,
    given: {
      eras: [{ ...eras[0]!, untilMs: T, spec: '{"schedule":"@daily","timeZone":"Foo/Bar"}' }],
      timingOf: eraTiming,
    },
    verdict: 'invalid',
    says: /could not be evaluated .*"Foo\/Bar"/,
  },
  {
    title: 'an era whose object could not be read',
    minutes: -5,
    given: {
      eras: [{ ...eras[0]!, untilMs: T, spec: unreadableEraSpec('spec.jitter: -3: must be a duration') }],
      timingOf: eraTiming,
    },
    verdict: 'invalid',
    says: /could not be evaluated .*spec\.jitter: -3/,
  },
  {
    title: 'a deleted schedule',
    minutes: -1,
    given: { state: { ...state, withdrawn: true } },
    verdict: 'withdrawn',
    says: /was deleted/,
  },
  {
    title: 'a time after the deletion was recorded',
    minutes: -1,
    given: { state: { ...state, withdrawn: true }, eras: eras.slice(0, 3) },
    verdict: 'withdrawn',
    says: /deleted at 2026-03-01 11:50:05Z/,
  },
  {
    title: 'a name that was never in force',
    minutes: -1,
    given: { state: undefined },
    verdict: 'unknown',
    says: /No schedule of that name/,
  },
];

describe('why', () => {
  for (const { title, minutes, given, verdict, says } of cases) {
    test(`${title}: ${verdict}`, () => {
      const answer = ask(minutes, given);
      assert.equal(answer.verdict, verdict, answer.summary);
      assert.match([answer.summary, ...answer.details].join(' '), says);
    });
  }

  test('a time to the second means the slot within that second', () => {
    const schedule = every('1m', { offset: '250ms' });
    const answer = ask(0, {
      atMs: T - 5 * MINUTE,
      timingOf: () => ({ schedule, text: 'every 1m' }),
      decisions: [decision(-5, { fromMs: T - 5 * MINUTE + 250, toMs: T - 5 * MINUTE + 250 })],
    });
    assert.equal(answer.verdict, 'fired');
    assert.equal(answer.slotMs, T - 5 * MINUTE + 250);
  });

  test('generations from files are shown as editions, those of an API server as they are', () => {
    const fromFile = generationOf(
      'text',
      { generation: generationOf('other', undefined, false), withdrawn: false },
      false,
    );
    const inForce = (generation: number): string =>
      ask(-5, { eras: [{ ...eras[3]!, generation }] }).details.join(' ');
    assert.match(inForce(fromFile), /as edition 2:/);
    assert.match(inForce(7), /as generation 7:/);
  });

  test('every reason has a sentence', () => {
    for (const reason of DECISION_REASONS) {
      const answer = ask(-5, { decisions: [decision(-5, { decision: 'missed', reason })] });
      assert.match(answer.summary, new RegExp(`\\(${reason}\\): .{15,}\\.$`));
    }
  });
});
