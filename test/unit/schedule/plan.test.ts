import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cron } from '../../../src/schedule/cron.ts';
import { every } from '../../../src/schedule/every.ts';
import {
  CATCH_UP_SPREAD_MS,
  COUNT_CAP,
  MISSED_RUN_POLICIES,
  type MissedRange,
  ON_TIME_MS,
  type OwedSlot,
  plan,
  type Plan,
  type PlanInput,
  type PlanPolicy,
} from '../../../src/schedule/plan.ts';
import type { Schedule } from '../../../src/schedule/schedule.ts';
import { stableFraction } from '../../../src/schedule/stable-hash.ts';

const NOON = Date.UTC(2026, 0, 1, 12);
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

const policy = (changes: Partial<PlanPolicy> = {}): PlanPolicy => ({
  missedRunPolicy: 'Latest',
  maxCatchUp: 100,
  ...changes,
});
const owed = (schedule: Schedule, sinceMs: number, nowMs: number, changes: Partial<PlanPolicy> = {}): Plan =>
  plan({ schedule, policy: policy(changes), uid: 'uid-1', sinceMs, nowMs });

/** A plan as short text: `12:00` on time, `12:00 late`, `11:00-11:30 x3 Reason`. */
function brief({ owed: entries }: Plan): string[] {
  const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19).replace(/:00$/, '');
  return entries.map((entry) =>
    entry.kind === 'slot'
      ? `${clock(entry.slotMs)}${entry.late ? ' late' : ''}`
      : `${clock(entry.fromMs)}-${clock(entry.toMs)} x${entry.count}${entry.countIsExact ? '' : '+'} ${entry.reason}`,
  );
}

const at = (clock: string): number => Date.parse(`2026-01-01T${clock}Z`);

const TABLE: readonly (readonly [
  title: string,
  schedule: Schedule,
  since: string,
  now: string,
  changes: Partial<PlanPolicy>,
  expected: readonly string[],
])[] = [
  ['nothing is owed before the first slot', every('1h'), '12:00', '12:59:59.999', {}, []],
  ['a slot is owed at its very millisecond', every('1h'), '12:00', '13:00:00.000', {}, ['13:00']],
  ['a settled slot is not owed again', every('1h'), '13:00', '13:00:10.000', {}, []],
  ['a slot noticed 30 s after its time is on time', every('1h'), '12:00', '13:00:30.000', {}, ['13:00']],
  [
    'a slot noticed later than 30 s is late and fires as the latest',
    every('1h'),
    '12:00',
    '13:00:30.001',
    {},
    ['13:00 late'],
  ],
  [
    'Latest fires the newest late slot and supersedes the others',
    every('1h'),
    '09:00',
    '12:30',
    {},
    ['10:00-11:00 x2 Superseded', '12:00 late'],
  ],
  [
    'Latest: a slot that is on time stands for all late ones',
    every('1h'),
    '09:00',
    '12:00:05.000',
    {},
    ['10:00-11:00 x2 Superseded', '12:00'],
  ],
  [
    'Skip misses every late slot',
    every('1h'),
    '09:00',
    '12:30',
    { missedRunPolicy: 'Skip' },
    ['10:00-12:00 x3 Late'],
  ],
  [
    'Skip fires what is on time',
    every('1h'),
    '09:00',
    '12:00:20.000',
    { missedRunPolicy: 'Skip' },
    ['10:00-11:00 x2 Late', '12:00'],
  ],
  [
    'All fires every late slot, oldest first',
    every('1h'),
    '09:00',
    '12:30',
    { missedRunPolicy: 'All' },
    ['10:00 late', '11:00 late', '12:00 late'],
  ],
  [
    'All fires late slots and those on time',
    every('1h'),
    '09:00',
    '12:00:20.000',
    { missedRunPolicy: 'All' },
    ['10:00 late', '11:00 late', '12:00'],
  ],
  [
    'All fires the newest maxCatchUp and misses the rest',
    every('1h'),
    '05:00',
    '12:30',
    { missedRunPolicy: 'All', maxCatchUp: 2 },
    ['06:00-10:00 x5 CatchUpCap', '11:00 late', '12:00 late'],
  ],
  [
    'slots on time do not count against maxCatchUp',
    every('1h'),
    '09:00',
    '12:00:20.000',
    { missedRunPolicy: 'All', maxCatchUp: 1 },
    ['10:00-10:00 x1 CatchUpCap', '11:00 late', '12:00'],
  ],
  [
    'a deadline misses what is later, under Latest',
    every('1h'),
    '09:00',
    '12:30',
    { startingDeadlineMs: 20 * MINUTE_MS },
    ['10:00-12:00 x3 DeadlineExceeded'],
  ],
  [
    'a deadline misses what is later, under Skip, before Late',
    every('1h'),
    '09:00',
    '12:30',
    { missedRunPolicy: 'Skip', startingDeadlineMs: 45 * MINUTE_MS },
    ['10:00-11:00 x2 DeadlineExceeded', '12:00-12:00 x1 Late'],
  ],
  [
    'a deadline misses what is later, under All',
    every('1h'),
    '09:00',
    '12:30',
    { missedRunPolicy: 'All', startingDeadlineMs: 100 * MINUTE_MS },
    ['10:00-10:00 x1 DeadlineExceeded', '11:00 late', '12:00 late'],
  ],
  [
    'a slot exactly as late as the deadline is not missed',
    every('1h'),
    '11:00',
    '12:30',
    { startingDeadlineMs: 30 * MINUTE_MS },
    ['12:00 late'],
  ],
  [
    'a deadline shorter than 30 s comes first',
    every('10s'),
    '12:00',
    '12:00:40.000',
    { startingDeadlineMs: 10_000 },
    ['12:00:10-12:00:20 x2 DeadlineExceeded', '12:00:30', '12:00:40'],
  ],
  [
    'an engine that paused for ten seconds fires each slot that is still on time',
    every('2s'),
    '12:00',
    '12:00:10.000',
    {},
    ['12:00:02', '12:00:04', '12:00:06', '12:00:08', '12:00:10'],
  ],
  [
    'no slot before startTime is owed',
    every('1h'),
    '09:00',
    '12:10',
    { missedRunPolicy: 'All', startMs: at('11:00') },
    ['11:00 late', '12:00 late'],
  ],
  [
    'no slot after endTime is owed',
    every('1h'),
    '09:00',
    '12:10',
    { missedRunPolicy: 'All', endMs: at('11:00') },
    ['10:00 late', '11:00 late'],
  ],
  ['a window that has not begun owes nothing', every('1h'), '09:00', '12:10', { startMs: at('15:00') }, []],
  [
    'a window that ended before since owes nothing',
    every('1h'),
    '11:00',
    '12:10',
    { endMs: at('10:00') },
    [],
  ],
  ['a clock that went back owes nothing again', every('1h'), '12:00', '10:00', {}, []],
  [
    'cron: Latest over a night',
    cron('0 */2 * * *'),
    '00:00',
    '07:00',
    {},
    ['02:00-04:00 x2 Superseded', '06:00 late'],
  ],
  [
    'a clock step of one hour forward is lateness like any other',
    cron('*/15 * * * *'),
    '12:00',
    '13:00',
    {},
    ['12:15-12:45 x3 Superseded', '13:00'],
  ],
];
for (const [title, schedule, since, now, changes, expected] of TABLE) {
  test(title, () => {
    assert.deepEqual(brief(owed(schedule, at(since), at(now), changes)), expected);
  });
}

test('counting stops at 1,000 and says so, the ends of the range being exact', () => {
  const week = 7 * 24 * HOUR_MS;
  const [range] = owed(every('100ms'), NOON - week, NOON).owed as readonly MissedRange[];
  assert.deepEqual(range, {
    kind: 'missed',
    fromMs: NOON - week + 100,
    toMs: NOON - ON_TIME_MS - 100,
    count: COUNT_CAP,
    countIsExact: false,
    reason: 'Superseded',
  });
  const exact = owed(every('1s'), NOON - 1_031_000, NOON).owed[0];
  assert.deepEqual(exact, {
    kind: 'missed',
    fromMs: NOON - 1_030_000,
    toMs: NOON - 31_000,
    count: 1_000,
    countIsExact: true,
    reason: 'Superseded',
  });
});

test('the work does not grow with the time away', () => {
  let steps = 0;
  const inner = every('100ms');
  const counted: Schedule = {
    spec: inner.spec,
    next: (ms) => (steps++, inner.next(ms)),
    previous: (ms) => (steps++, inner.previous(ms)),
  };
  for (const missedRunPolicy of MISSED_RUN_POLICIES) {
    steps = 0;
    owed(counted, NOON - 400 * 24 * HOUR_MS, NOON, {
      missedRunPolicy,
      maxCatchUp: 1_000,
      startingDeadlineMs: 24 * HOUR_MS,
    });
    assert.ok(steps < 4 * COUNT_CAP, `${missedRunPolicy}: ${steps}`);
  }
});

test('next is the first slot after now, within the window', () => {
  const hourly = every('1h');
  assert.equal(owed(hourly, NOON, NOON).nextMs, NOON + HOUR_MS);
  assert.equal(owed(hourly, NOON, NOON, { startMs: NOON + 5 * HOUR_MS }).nextMs, NOON + 5 * HOUR_MS);
  assert.equal(owed(hourly, NOON, NOON, { endMs: NOON + HOUR_MS }).nextMs, NOON + HOUR_MS);
  assert.equal(owed(hourly, NOON, NOON, { endMs: NOON + HOUR_MS - 1 }).nextMs, undefined);
});

test('up to a horizon slots are owed before they come, and lateness counts from now', () => {
  const ahead = (sinceMs: number, horizonMs: number, changes: Partial<PlanPolicy> = {}): Plan =>
    plan({
      schedule: every('1h'),
      policy: policy(changes),
      uid: 'uid-1',
      sinceMs,
      nowMs: NOON - 40,
      horizonMs,
    });
  assert.deepEqual(brief(ahead(NOON - 1_000, NOON - 1)), []);
  const soon = ahead(NOON - 1_000, NOON + 5);
  assert.deepEqual(soon.owed, [{ kind: 'slot', slotMs: NOON, late: false, delayMs: 0 }]);
  assert.equal(soon.nextMs, NOON + HOUR_MS);
  assert.deepEqual(ahead(NOON - 1_000, NOON + 5, { endMs: NOON - 1 }).owed, []);
  assert.deepEqual(brief(ahead(NOON - 90 * MINUTE_MS, NOON + 5)), ['11:00-11:00 x1 Superseded', '12:00']);
});

test('the jitter of a slot that is still ahead counts from the slot', () => {
  const schedule = every('1h', { jitter: '10m' });
  const input = { schedule, policy: policy(), uid: 'uid-7', sinceMs: NOON - 1_000 };
  const [ahead] = plan({ ...input, nowMs: NOON - 40, horizonMs: NOON }).owed;
  assert.deepEqual([ahead], plan({ ...input, nowMs: NOON }).owed);
});

test('jitter delays each run from its slot by the same share, which follows from the uid', () => {
  const schedule = every('1h', { jitter: '10m' });
  const delay = (uid: string, nowMs: number): number => {
    const [slot] = plan({ schedule, policy: policy(), uid, sinceMs: nowMs - 30_000, nowMs })
      .owed as readonly OwedSlot[];
    return slot!.delayMs;
  };
  const delays = Array.from({ length: 200 }, (_, index) => delay(`uid-${index}`, NOON));
  assert.ok(delays.every((ms) => ms >= 0 && ms < 600_000));
  assert.ok(Math.min(...delays) < 60_000 && Math.max(...delays) > 540_000, 'the whole jitter is used');
  assert.equal(delay('uid-1', NOON), delay('uid-1', NOON + HOUR_MS));
  // Noticed ten seconds late, the run still starts at the same instant.
  const steady = `uid-${delays.findIndex((ms) => ms > 20_000)}`;
  assert.equal(delay(steady, NOON + 10_000), delay(steady, NOON) - 10_000);
});

test('catch-ups are spread over a minute in their order, differently for each schedule', () => {
  const delays = (uid: string): number[] =>
    (
      plan({
        schedule: every('1m'),
        policy: policy({ missedRunPolicy: 'All' }),
        uid,
        sinceMs: NOON - HOUR_MS,
        nowMs: NOON + 40_000,
      }).owed as readonly OwedSlot[]
    ).map(({ delayMs }) => delayMs);
  const first = delays('uid-1');
  assert.equal(first.length, 60);
  assert.deepEqual(
    first,
    first.toSorted((a, b) => a - b),
  );
  assert.ok(first.every((ms) => ms >= 0 && ms < CATCH_UP_SPREAD_MS));
  assert.ok(first.at(-1)! > CATCH_UP_SPREAD_MS * 0.9);
  assert.deepEqual(delays('uid-1'), first);
  assert.notDeepEqual(delays('uid-2'), first);
});

test('hashes fill the range evenly, also for texts that differ by one letter', () => {
  const buckets = Array.from({ length: 10 }, () => 0);
  for (let index = 0; index < 10_000; index++) buckets[Math.floor(stableFraction(`uid-${index}`) * 10)]! += 1;
  assert.ok(
    buckets.every((count) => count > 850 && count < 1_150),
    buckets.join(' '),
  );
  assert.equal(stableFraction('uid-1'), stableFraction('uid-1'));
});

const inputs = fc.record({
  schedule: fc.oneof(
    fc.integer({ min: 100, max: 7_200_000 }).map((ms) => every(ms)),
    fc
      .constantFrom('* * * * *', '*/7 * * * *', '0,30 1-3 * * *', '15 2 * * *')
      .map((text) => cron(text, { timeZone: 'Europe/Berlin' })),
  ),
  awayMs: fc.oneof(fc.integer({ min: 0, max: 120_000 }), fc.integer({ min: 0, max: 3 * 24 * HOUR_MS })),
  nowMs: fc.integer({ min: Date.UTC(2026, 2, 28), max: Date.UTC(2026, 2, 31) }),
  missedRunPolicy: fc.constantFrom(...MISSED_RUN_POLICIES),
  maxCatchUp: fc.integer({ min: 1, max: 1_000 }),
  deadline: fc.option(fc.integer({ min: 1_000, max: 24 * HOUR_MS })),
  start: fc.option(fc.integer({ min: -48 * HOUR_MS, max: HOUR_MS })),
  end: fc.option(fc.integer({ min: -24 * HOUR_MS, max: HOUR_MS })),
});

test('every slot after since and up to now is owed exactly once, ascending, and with the reason of the rule', () => {
  fc.assert(
    fc.property(inputs, ({ schedule, awayMs, nowMs, missedRunPolicy, maxCatchUp, deadline, start, end }) => {
      const rule = policy({
        missedRunPolicy,
        maxCatchUp,
        ...(deadline !== null && { startingDeadlineMs: deadline }),
        ...(start !== null && { startMs: nowMs + start }),
        ...(end !== null && { endMs: nowMs + end }),
      });
      const input: PlanInput = { schedule, policy: rule, uid: 'uid-1', sinceMs: nowMs - awayMs, nowMs };
      checkEverySlot(input, plan(input));
    }),
    { numRuns: 600 },
  );
});

function checkEverySlot(
  { schedule, policy: rule, sinceMs, nowMs }: PlanInput,
  { owed: entries }: Plan,
): void {
  let position = 0;
  let counted = 0;
  const late: boolean[] = [];
  for (
    let slotMs = schedule.next(sinceMs);
    slotMs !== undefined && slotMs <= nowMs;
    slotMs = schedule.next(slotMs)
  ) {
    if (slotMs < (rule.startMs ?? -Infinity) || slotMs > (rule.endMs ?? Infinity)) continue;
    const entry = entries[position];
    assert.ok(entry !== undefined, 'a slot is not in the plan');
    const lateMs = nowMs - slotMs;
    if (entry.kind === 'slot') {
      assert.equal(entry.slotMs, slotMs);
      assert.equal(entry.late, lateMs > ON_TIME_MS);
      assert.ok(lateMs <= (rule.startingDeadlineMs ?? Infinity));
      assert.ok(!(entry.late && rule.missedRunPolicy === 'Skip'));
      late.push(entry.late);
      position++;
      continue;
    }
    assert.ok(entry.fromMs <= slotMs && slotMs <= entry.toMs, 'the slot lies in its range');
    assert.equal(entry.reason === 'DeadlineExceeded', lateMs > (rule.startingDeadlineMs ?? Infinity));
    counted++;
    if (slotMs < entry.toMs) continue;
    assert.equal(entry.count, Math.min(counted, COUNT_CAP));
    assert.equal(entry.countIsExact, counted <= COUNT_CAP);
    counted = 0;
    position++;
  }
  assert.equal(position, entries.length, 'the plan holds nothing else');
  const lateCount = late.filter(Boolean).length;
  if (rule.missedRunPolicy === 'Latest') assert.ok(lateCount === 0 || (lateCount === 1 && late.length === 1));
  if (rule.missedRunPolicy === 'All') assert.ok(lateCount <= rule.maxCatchUp);
}
