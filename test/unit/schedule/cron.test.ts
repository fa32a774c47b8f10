import assert from 'node:assert/strict';
import { test } from 'node:test';
import v8 from 'node:v8';
import vm from 'node:vm';
import fc from 'fast-check';
import { cron } from '../../../src/schedule/cron.ts';
import { ScheduleError, type ScheduleErrorReason } from '../../../src/schedule/schedule-error.ts';

/** The table of fire times that every release must keep: zone, expression, from, expected instants (UTC). */
const FIRE_TIMES: readonly (readonly [
  zone: string,
  expression: string,
  from: string,
  expected: readonly string[],
])[] = [
  ['America/New_York', '30 2 * * *', '2026-03-07T12:00', ['2026-03-08T07:00', '2026-03-09T06:30']],
  [
    'America/New_York',
    '0 * * * *',
    '2026-03-08T05:30',
    ['2026-03-08T06:00', '2026-03-08T07:00', '2026-03-08T08:00'],
  ],
  [
    'America/New_York',
    '*/20 2 * * *',
    '2026-03-07T12:00',
    ['2026-03-09T06:00', '2026-03-09T06:20', '2026-03-09T06:40'],
  ],
  ['America/New_York', '30 1 * * *', '2026-10-31T12:00', ['2026-11-01T05:30', '2026-11-02T06:30']],
  [
    'America/New_York',
    '*/30 * * * *',
    '2026-11-01T04:45',
    ['2026-11-01T05:00', '2026-11-01T05:30', '2026-11-01T06:00', '2026-11-01T06:30', '2026-11-01T07:00'],
  ],
  [
    'America/New_York',
    '0,30 2 * * *',
    '2026-03-07T12:00',
    ['2026-03-08T07:00', '2026-03-09T06:00', '2026-03-09T06:30'],
  ],
  [
    'America/New_York',
    '0,30 1 * * *',
    '2026-10-31T12:00',
    ['2026-11-01T05:00', '2026-11-01T05:30', '2026-11-02T06:00'],
  ],
  [
    'America/New_York',
    '0 2-3 * * *',
    '2026-03-07T12:00',
    ['2026-03-08T07:00', '2026-03-09T06:00', '2026-03-09T07:00'],
  ],
  ['Europe/Berlin', '0 2 * * *', '2026-10-24T12:00', ['2026-10-25T00:00', '2026-10-26T01:00']],
  ['Australia/Lord_Howe', '15 2 * * *', '2026-10-02T18:00', ['2026-10-03T15:30', '2026-10-04T15:15']],
  ['Australia/Lord_Howe', '45 1 * * *', '2026-04-03T18:00', ['2026-04-04T14:45', '2026-04-05T15:15']],
  [
    'Australia/Lord_Howe',
    '*/30 * * * *',
    '2026-04-04T13:45',
    ['2026-04-04T14:00', '2026-04-04T14:30', '2026-04-04T15:00', '2026-04-04T15:30', '2026-04-04T16:00'],
  ],
  [
    'Africa/Cairo',
    '30 0 * * *',
    '2026-04-22T12:00',
    ['2026-04-22T22:30', '2026-04-23T22:00', '2026-04-24T21:30'],
  ],
  [
    'Asia/Beirut',
    '0 0 * * *',
    '2026-03-27T12:00',
    ['2026-03-27T22:00', '2026-03-28T22:00', '2026-03-29T21:00'],
  ],
  [
    'America/Santiago',
    '15 0 * * *',
    '2026-09-04T12:00',
    ['2026-09-05T04:15', '2026-09-06T04:00', '2026-09-07T03:15'],
  ],
  [
    'America/Nuuk',
    '30 23 * * *',
    '2026-03-27T12:00',
    ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30'],
  ],
  [
    'Antarctica/Troll',
    '30 1 * * *',
    '2026-03-27T12:00',
    ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-29T23:30'],
  ],
  [
    'Africa/Casablanca',
    '30 2 * * *',
    '2026-02-13T12:00',
    ['2026-02-14T01:30', '2026-02-15T01:30', '2026-02-16T02:30'],
  ],
  ['Europe/Dublin', '30 1 * * *', '2026-10-24T12:00', ['2026-10-25T00:30', '2026-10-26T01:30']],
  ['Pacific/Apia', '0 12 30 12 *', '2011-01-01T00:00', ['2012-12-29T22:00']],
  ['Asia/Kathmandu', '0 6 * * *', '2026-01-01T00:00', ['2026-01-01T00:15', '2026-01-02T00:15']],
  ['Etc/UTC', '0 0 29 2 *', '2026-01-01T00:00', ['2028-02-29T00:00', '2032-02-29T00:00']],
  ['Etc/UTC', '0 0 29 2 *', '2096-03-01T00:00', ['2104-02-29T00:00']],
  ['Etc/UTC', '0 0 13 * 5', '2026-02-01T00:00', ['2026-02-06T00:00', '2026-02-13T00:00', '2026-02-20T00:00']],
  // A step of a star restricts its field: either day will do, as in CronJob.
  [
    'Etc/UTC',
    '0 0 */10 * 1',
    '2026-02-01T12:00',
    ['2026-02-02T00:00', '2026-02-09T00:00', '2026-02-11T00:00', '2026-02-16T00:00', '2026-02-21T00:00'],
  ],
  [
    'Etc/UTC',
    '0 0 1 * */3',
    '2026-02-01T12:00',
    ['2026-02-04T00:00', '2026-02-07T00:00', '2026-02-08T00:00'],
  ],
  ['Etc/UTC', '0 0 * * 7', '2026-02-02T00:00', ['2026-02-08T00:00']],
  [
    'Etc/UTC',
    '0 0 * * SAT-SUN',
    '2026-02-02T00:00',
    ['2026-02-07T00:00', '2026-02-08T00:00', '2026-02-14T00:00'],
  ],
  [
    'Etc/UTC',
    '0 0 * * 5-7',
    '2026-02-02T00:00',
    ['2026-02-06T00:00', '2026-02-07T00:00', '2026-02-08T00:00'],
  ],
  ['Etc/UTC', '0 0 * * SUN-SUN', '2026-02-02T00:00', ['2026-02-08T00:00', '2026-02-15T00:00']],
  ['Etc/UTC', '0 0 1 jan,JUL *', '2026-02-02T00:00', ['2026-07-01T00:00', '2027-01-01T00:00']],
  [
    'Etc/UTC',
    '5-20/7 23 31 * *',
    '2026-02-02T00:00',
    ['2026-03-31T23:05', '2026-03-31T23:12', '2026-03-31T23:19', '2026-05-31T23:05'],
  ],
  ['Etc/UTC', '@yearly', '2026-02-02T00:00', ['2027-01-01T00:00']],
  ['Etc/UTC', '@annually', '2026-02-02T00:00', ['2027-01-01T00:00']],
  ['Etc/UTC', '@monthly', '2026-02-02T00:00', ['2026-03-01T00:00']],
  ['Etc/UTC', '@weekly', '2026-02-02T00:00', ['2026-02-08T00:00']],
  ['Etc/UTC', '@daily', '2026-02-02T00:00', ['2026-02-03T00:00']],
  ['Etc/UTC', '@midnight', '2026-02-02T00:00', ['2026-02-03T00:00']],
  ['Etc/UTC', '@hourly', '2026-02-02T00:00', ['2026-02-02T01:00']],
];
for (const [timeZone, expression, from, expected] of FIRE_TIMES) {
  test(`${expression} in ${timeZone} after ${from}Z fires at ${expected.join(', ')}`, () => {
    const schedule = cron(expression, { timeZone });
    let atMs = Date.parse(`${from}Z`);
    const fired = expected.map(() => new Date((atMs = schedule.next(atMs)!)).toISOString());
    assert.deepEqual(
      fired,
      expected.map((instant) => `${instant}:00.000Z`),
    );
    const back = expected.map(() => {
      const slotMs = schedule.previous(atMs)!;
      atMs = slotMs - 1;
      return new Date(slotMs).toISOString();
    });
    assert.deepEqual(back, fired.toReversed());
  });
}

test('a change of the zone data moves the slots with it (Vancouver stops changing its clocks in 2026)', () => {
  const [year = '', letter = ''] = (process.versions['tz'] ?? '').match(/^\d{4}|[a-z]$/g) ?? [];
  const knowsTheChange = `${year}${letter}` >= '2026c';
  const nextMs = cron('30 1 * * *', { timeZone: 'America/Vancouver' }).next(Date.parse('2026-11-01T12:00Z'))!;
  assert.equal(new Date(nextMs).toISOString(), `2026-11-02T${knowsTheChange ? '08' : '09'}:30:00.000Z`);
});

test('the default zone is UTC, and the zone’s own case is kept in the spec', () => {
  assert.deepEqual(cron('0 0 * * *').spec, {
    kind: 'cron',
    expression: '0 0 * * *',
    timeZone: 'Etc/UTC',
    jitterMs: 0,
  });
  const spec = cron('@daily', { timeZone: 'Europe/berlin', jitter: '30s' }).spec;
  assert.deepEqual(spec, { kind: 'cron', expression: '@daily', timeZone: 'Europe/Berlin', jitterMs: 30_000 });
});

test('slots lie between 1970 and 9999 and outside it there is none', () => {
  const schedule = cron('0 0 1 1 *');
  assert.equal(schedule.next(-1e15), 0);
  assert.equal(schedule.previous(-1), undefined);
  assert.equal(schedule.previous(0), 0);
  assert.equal(schedule.next(Date.parse('9999-06-01T00:00Z')), undefined);
  assert.equal(schedule.previous(8.64e15), Date.parse('9999-01-01T00:00Z'));
  assert.equal(schedule.next(Number.NaN), undefined);
  assert.equal(schedule.previous(Number.NaN), undefined);
  assert.equal(cron('30 2 * * *', { timeZone: 'America/New_York' }).next(Infinity), undefined);
});

const huge = '*'.repeat(100_000);
const REFUSED: readonly (readonly [expression: string, message: RegExp])[] = [
  ['', /cron expression "" must be five cron fields/],
  ['   ', /must be five cron fields/],
  ['* * * *', /"\* \* \* \*" must be five cron fields/],
  ['* * * * * *', /must be five cron fields.*seconds.*not supported/],
  ['* * * * * * * *', /must be five cron fields/],
  ['60 * * * *', /minute "60" must be a number from 0 to 59/],
  ['* 24 * * *', /hour "24" must be a number from 0 to 23/],
  ['* * 0 * *', /day-of-month "0" must be a number from 1 to 31/],
  ['* * 32 * *', /day-of-month "32" must be a number from 1 to 31/],
  ['* * * 0 *', /month "0" must be a number from 1 to 12 or JAN to DEC/],
  ['* * * 13 *', /month "13" must be a number from 1 to 12 or JAN to DEC/],
  ['* * * * 8', /day-of-week "8" must be a number from 0 to 7 or SUN to SAT/],
  ['*/0 * * * *', /minute "\*\/0" must have a step from 1 to 60/],
  ['*/61 * * * *', /minute "\*\/61" must have a step from 1 to 60/],
  ['*/-1 * * * *', /minute "\*\/-1" must have a step from 1 to 60/],
  ['* * * * */8', /day-of-week "\*\/8" must have a step from 1 to 7/],
  ['*/ * * * *', /minute "\*\/" must have a step/],
  ['*/5/2 * * * *', /minute "\*\/5\/2" must have at most one step/],
  ['1-0 * * * *', /minute "1-0" must be a range that runs upwards/],
  ['* 22-2 * * *', /hour "22-2" must be a range that runs upwards/],
  ['* * * * FRI-MON', /day-of-week "FRI-MON" must be a range that runs upwards/],
  ['5/70 * * * *', /minute "5\/70" must have '\*' or a range before its step/],
  ['5/15 * * * *', /write 5-59\/15/],
  ['1,,2 * * * *', /minute "1,,2" must not have an empty part in its list/],
  [', * * * *', /minute "," must not have an empty part/],
  ['1-2-3 * * * *', /minute "1-2-3" must be a number, a range or '\*'/],
  ['-5 * * * *', /minute "" in "-5" must be a number/],
  ['*5 * * * *', /minute "\*5" must be a number/],
  ['** * * * *', /minute "\*\*" must be a number/],
  ['*-5 * * * *', /minute "\*" in "\*-5" must be a number/],
  ['1.5 * * * *', /must be five cron fields/],
  ['1e1 * * * *', /minute "1e1" must be a number/],
  ['0x10 * * * *', /minute "0x10" must be a number/],
  ['005 * * * *', /minute "005" must be a number/],
  ['+5 * * * *', /must be five cron fields/],
  ['５ * * * *', /must be five cron fields/],
  ['5\u0000 * * * *', /"5\\u0000 \* \* \* \*" must be five cron fields/],
  ['* * * * *\n', /must be five cron fields/],
  ['* * * *\n*', /must be five cron fields/],
  [' * * * * *', /must be five cron fields/],
  ['*\t* * * *', /must be five cron fields/],
  ['@reboot', /"@reboot" must be five cron fields/],
  ['@every 5m', /must be five cron fields/],
  ['@Daily', /must be five cron fields/],
  ['TZ=UTC * * * * *', /must not carry TZ= or CRON_TZ=: set timeZone instead/],
  ['CRON_TZ=Europe/Rome 0 6 * * *', /must not carry TZ= or CRON_TZ=/],
  ['H * * * *', /minute "H" must be a number/],
  ['* * * * MON-XYZ', /day-of-week "XYZ" in "MON-XYZ" must be a number from 0 to 7 or SUN to SAT/],
  ['* * * * MONDAY', /day-of-week "MONDAY"/],
  ['* * * JANUARY *', /month "JANUARY"/],
  ['MON * * * *', /minute "MON"/],
  ['* * * MON *', /month "MON"/],
  ['* * * * JAN', /day-of-week "JAN"/],
  ['__proto__', /must be five cron fields/],
  ['constructor', /must be five cron fields/],
  ['constructor * * * *', /minute "constructor" must be a number/],
  ['* * * toString *', /month "toString"/],
  [huge, /must have at most 128 characters/],
  [Array.from({ length: 20_000 }, (_, i) => i % 60).join(','), /must have at most 128 characters/],
  [`${'0,'.repeat(60)}0 * * * *`, /must have at most 128 characters/],
  ['? * * * *', /\?.*not supported/],
  ['0 0 ? * MON', /\?.*not supported/],
  ['0 0 L * *', /day-of-month "L" must be a number/],
  ['0 0 15W * *', /day-of-month "15W" must be a number/],
  ['0 0 LW * *', /day-of-month "LW"/],
  ['0 0 * * 5L', /day-of-week "5L"/],
  ['0 0 * * 5#2', /must be five cron fields.*# are not supported/],
  ['2026-01-01T00:00:00', /must be five cron fields/],
];
for (const [expression, message] of REFUSED) {
  test(`the expression ${JSON.stringify(expression.slice(0, 40))} is refused, naming field, value and rule`, () => {
    assertRefused(expression, 'InvalidSchedule', message);
  });
}

for (const expression of [
  '0 0 30 2 *',
  '0 0 31 2 *',
  '0 0 31 4,6,9,11 *',
  '0 0 31 */2 *',
  '0 0 30-31 FEB *',
]) {
  const fires = expression === '0 0 31 */2 *'; // 1, 3, 5, 7, 9, 11: January has 31 days
  test(`the expression ${expression} ${fires ? 'fires' : 'is refused because it never fires'}`, () => {
    if (fires) assert.ok(cron(expression).next(0) !== undefined);
    else assertRefused(expression, 'NeverFires', /never fires: no month of ".*" has day-of-month/);
  });
}

test('a day that no month has still fires on its weekdays', () => {
  assert.equal(cron('0 0 31 2 1').next(Date.parse('2026-02-01T00:00Z')), Date.parse('2026-02-02T00:00Z'));
});

function assertRefused(expression: string, reason: ScheduleErrorReason, message: RegExp): void {
  assert.throws(
    () => cron(expression),
    (error: unknown) => {
      assert.ok(error instanceof ScheduleError);
      assert.equal(error.code, 'SCHEDULE_INVALID');
      assert.equal(error.reason, reason);
      assert.equal(error.field, 'schedule');
      assert.match(error.message, message);
      assert.ok(error.message.length < 500);
      return true;
    },
  );
}

test('no text makes it throw anything but a ScheduleError', () => {
  const pieces = fc.constantFrom(
    '*',
    '*/',
    '-',
    ',',
    '/',
    ' ',
    '0',
    '7',
    '59',
    'MON',
    'jan',
    '@daily',
    '__proto__',
    '\u0000',
    '٣',
  );
  const texts = fc
    .array(fc.oneof(pieces, fc.string({ maxLength: 3 })), { maxLength: 20 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(texts, fc.oneof(fc.constant('Etc/UTC'), texts), (expression, zone) => {
      try {
        cron(expression, { timeZone: zone });
      } catch (error) {
        assert.ok(error instanceof ScheduleError);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('jitter of a cron schedule is at most an hour', () => {
  assert.throws(() => cron('@daily', { jitter: '61m' }), /jitter 61m must be at most 1h/);
  assert.equal(cron('@hourly', { jitter: '1h' }).spec.jitterMs, 3_600_000);
});

test('no expression takes longer than 5 ms to read, refused or not', () => {
  const slowest = (expression: string): number => {
    let bestMs = Infinity;
    // The fastest of five: the machine may be busy, the parser is not.
    for (let round = 0; round < 5; round++) {
      const startMs = performance.now();
      try {
        cron(expression);
      } catch (error) {
        assert.ok(error instanceof ScheduleError);
      }
      bestMs = Math.min(bestMs, performance.now() - startMs);
    }
    return bestMs;
  };
  for (const expression of [
    huge,
    '0-59/1 0-23/1 1-31/1 1-12/1 0-7/1',
    `${'*,'.repeat(59)}* * * * *`,
    '0 0 30 2 *',
  ]) {
    assert.ok(slowest(expression) < 5, expression.slice(0, 40));
  }
});

test('ten thousand schedules, all different and all asked, cost less than 8 KB each', () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  const zones = ['Europe/Berlin', 'America/New_York', 'Asia/Tokyo', 'Australia/Lord_Howe'];
  const make = (index: number): ReturnType<typeof cron> => {
    const schedule = cron(
      `${index % 60} ${Math.floor(index / 60) % 24} ${1 + Math.floor(index / 1_440)} * *`,
      {
        timeZone: zones[index % zones.length]!,
      },
    );
    assert.ok(schedule.next(Date.UTC(2026, 0, 1)) !== undefined);
    return schedule;
  };
  for (let index = 0; index < 100; index++) make(index); // zones and code are warm
  collect();
  const before = process.memoryUsage().heapUsed;
  const schedules = Array.from({ length: 10_000 }, (_, index) => make(index));
  collect();
  const bytesEach = (process.memoryUsage().heapUsed - before) / schedules.length;
  assert.ok(bytesEach < 8_192, `${Math.round(bytesEach)} bytes each`);
});
