import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScheduleError } from '../../../src/schedule/schedule-error.ts';
import { canonicalTimeZone, localText, timeZone } from '../../../src/schedule/time-zone.ts';

const REFUSED: readonly (readonly [name: string, message: RegExp])[] = [
  ['', /time zone "" must be an IANA time zone name/],
  ['Foo/Bar', /time zone "Foo\/Bar" is not an IANA name known to this build/],
  ['local', /must be an IANA/],
  ['Local', /must be an IANA/],
  ['../../etc/passwd', /must be an IANA/],
  ['/etc/localtime', /must be an IANA/],
  ['+05:30', /"\+05:30" must be an IANA.*no offsets/],
  ['-08', /no offsets/],
  ['UTC+2', /not an IANA name/],
  ['GMT+2', /not an IANA name/],
  ['Z'.repeat(10_000), /must be an IANA.*/],
  ['Europe/Berlin\u0000', /must be an IANA/],
  ['Europe/Berlin ', /must be an IANA/],
  ['Europe/', /must be an IANA/],
  ['Europe//Berlin', /must be an IANA/],
  ['Europe', /not an IANA name/],
  ['IST', /not an IANA name/],
  ['PST', /not an IANA name/],
  ['SystemV/EST5', /not an IANA name/],
  ['Factory', /not an IANA name/],
  ['Etc/Unknown', /not an IANA name/],
  ['__proto__', /must be an IANA/],
  ['constructor', /not an IANA name/],
];
for (const [name, message] of REFUSED) {
  test(`the zone ${JSON.stringify(name.slice(0, 30))} is refused as unknown`, () => {
    assert.throws(
      () => canonicalTimeZone(name),
      (error: unknown) => {
        assert.ok(error instanceof ScheduleError);
        assert.equal(error.code, 'SCHEDULE_INVALID');
        assert.equal(error.reason, 'UnknownTimeZone');
        assert.equal(error.field, 'timeZone');
        assert.match(error.message, message);
        assert.ok(error.message.length < 400);
        return true;
      },
    );
  });
}

const TAKEN: readonly (readonly [name: string, canonical: string])[] = [
  ['Europe/Berlin', 'Europe/Berlin'],
  ['Europe/berlin', 'Europe/Berlin'],
  ['EUROPE/BERLIN', 'Europe/Berlin'],
  ['america/port-au-prince', 'America/Port-au-Prince'],
  ['Asia/Kolkata', 'Asia/Kolkata'],
  ['America/Argentina/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
  ['Etc/UTC', 'Etc/UTC'],
  ['UTC', 'UTC'],
  ['utc', 'UTC'],
  ['GMT', 'GMT'],
  ['EST5EDT', 'EST5EDT'],
  ['Etc/GMT+5', 'Etc/GMT+5'],
  ['US/Eastern', 'US/Eastern'],
  ['CET', 'CET'],
];
for (const [name, canonical] of TAKEN) {
  test(`the zone ${name} is ${canonical}`, () => {
    assert.equal(canonicalTimeZone(name), canonical);
  });
}

test('every zone of this build is taken under its own name', () => {
  for (const zone of Intl.supportedValuesOf('timeZone')) assert.equal(canonicalTimeZone(zone), zone);
});

test('local time is shown with the offset of that moment', () => {
  const newYork = timeZone('America/New_York');
  assert.equal(localText(newYork, Date.parse('2026-03-08T06:59:59Z')), '2026-03-08T01:59:59-05:00');
  assert.equal(localText(newYork, Date.parse('2026-03-08T07:00:00Z')), '2026-03-08T03:00:00-04:00');
  assert.equal(localText(timeZone('Asia/Kathmandu'), 0), '1970-01-01T05:30:00+05:30');
  assert.equal(localText(timeZone('Etc/UTC'), 0), '1970-01-01T00:00:00+00:00');
});

test('offsets agree with Intl at every hour of two years, in zones that change often', () => {
  for (const name of [
    'Africa/Casablanca',
    'Africa/Cairo',
    'America/Boa_Vista',
    'Antarctica/Troll',
    'Europe/London',
  ]) {
    const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
    const zone = timeZone(name);
    for (const year of [2000, 2026]) {
      for (let hour = 0; hour < 366 * 24; hour += 1) {
        const atMs = Date.UTC(year, 0, 1, hour);
        const shown = format.format(atMs).split('GMT')[1] ?? '';
        const [, sign = '+', hours = '0', minutes = '0'] = /([+-])(\d+):(\d+)/.exec(shown) ?? [];
        const expectedMs = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
        if (zone.offsetAt(atMs) !== expectedMs)
          assert.fail(`${name} at ${new Date(atMs).toISOString()}: ${zone.offsetAt(atMs)}`);
      }
    }
  }
});

test('changes of the clocks are found to the second, with their direction', () => {
  const changes = timeZone('Europe/Berlin').changes(Date.UTC(2026, 0, 1), Date.UTC(2027, 0, 1));
  assert.deepEqual(
    changes.map(({ atMs, shiftMs }) => [new Date(atMs).toISOString(), shiftMs]),
    [
      ['2026-03-29T01:00:00.000Z', 3_600_000],
      ['2026-10-25T01:00:00.000Z', -3_600_000],
    ],
  );
  assert.deepEqual(timeZone('Asia/Tokyo').changes(0, Date.UTC(2030, 0, 1)), []);
});

test('a local time exists once, twice in a fold, and not at all in a gap', () => {
  const berlin = timeZone('Europe/Berlin');
  assert.equal(berlin.instantsOf(Date.UTC(2026, 5, 1, 12)).length, 1);
  assert.deepEqual(berlin.instantsOf(Date.UTC(2026, 9, 25, 2, 30)), [
    Date.UTC(2026, 9, 25, 0, 30),
    Date.UTC(2026, 9, 25, 1, 30),
  ]);
  assert.deepEqual(berlin.instantsOf(Date.UTC(2026, 2, 29, 2, 30)), []);
  assert.equal(berlin.gapAround(Date.UTC(2026, 2, 29, 2, 30))?.atMs, Date.UTC(2026, 2, 29, 1));
  assert.equal(berlin.gapAround(Date.UTC(2026, 5, 1, 12)), undefined);
});
