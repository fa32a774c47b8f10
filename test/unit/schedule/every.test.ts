import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { every } from '../../../src/schedule/every.ts';
import { ScheduleError, type ScheduleField } from '../../../src/schedule/schedule-error.ts';

const DAY_MS = 86_400_000;

test('slots are the multiples of the interval since the epoch plus the offset', () => {
  const schedule = every('1h', { offset: '5m' });
  const noon = Date.UTC(2026, 0, 1, 12);
  assert.equal(schedule.next(noon), noon + 300_000);
  assert.equal(schedule.next(noon + 300_000), noon + 3_900_000);
  assert.equal(schedule.previous(noon + 300_000), noon + 300_000);
  assert.equal(schedule.previous(noon + 299_999), noon - 3_300_000);
});

test('two schedules made at different times have the same slots', () => {
  assert.equal(every('7s').next(1_000_000_003_000), every(7_000).next(1_000_000_003_000));
});

test('half a second is exact to the millisecond for a day', () => {
  const schedule = every('500ms');
  let slotMs: number = DAY_MS;
  for (let count = 0; count < 2_000; count++) {
    const nextMs = schedule.next(slotMs);
    assert.equal(nextMs, slotMs + 500);
    slotMs = nextMs!;
  }
});

test('a thirty-day interval is longer than any timer and still exact', () => {
  const schedule = every('720h');
  assert.equal(schedule.next(0), 30 * DAY_MS);
  assert.equal(schedule.next(30 * DAY_MS - 1), 30 * DAY_MS);
});

test('the spec holds milliseconds, whatever the units that were given', () => {
  const schedule = every('1m', { offset: '1s', jitter: 500 });
  assert.deepEqual(schedule.spec, { kind: 'every', intervalMs: 60_000, offsetMs: 1_000, jitterMs: 500 });
});

test('next and previous are each other’s inverse for any interval, offset and instant', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 8_760 * 3_600_000 }),
      fc.nat(),
      fc.integer({ min: -4e12, max: 2.5e14 }),
      (intervalMs, offset, atMs) => {
        const offsetMs = offset % intervalMs;
        const schedule = every(intervalMs, { offset: offsetMs });
        const nextMs = schedule.next(atMs)!;
        const previousMs = schedule.previous(atMs)!;
        assert.equal(Math.abs((nextMs - offsetMs) % intervalMs), 0);
        assert.equal(nextMs - previousMs, intervalMs);
        assert.ok(previousMs <= atMs && atMs < nextMs);
        assert.equal(schedule.previous(nextMs), nextMs);
        assert.equal(schedule.next(previousMs - 1), previousMs);
      },
    ),
  );
});

test('beyond what a date can hold there is no slot', () => {
  assert.equal(every('8760h').next(8.64e15), undefined);
  assert.equal(every('1s').next(Number.NaN), undefined);
  assert.equal(every('1s').next(Infinity), undefined);
});

const BAD: readonly (readonly [string, () => unknown, ScheduleField, RegExp])[] = [
  ['0s', () => every('0s'), 'every', /"?0s"? must be between 100ms and 8760h/],
  ['1ms', () => every('1ms'), 'every', /1ms must be between/],
  ['99ms', () => every('99ms'), 'every', /between 100ms/],
  ['99 as a number', () => every(99), 'every', /99 ms must be between/],
  ['8761h', () => every('8761h'), 'every', /8760h/],
  ['-1s', () => every('-1s'), 'every', /duration "-1s" must be/],
  ['-1', () => every(-1), 'every', /-1 must be a whole number/],
  ['NaN', () => every(Number.NaN), 'every', /NaN/],
  ['2^53', () => every(2 ** 53), 'every', /9007199254740992/],
  ['PT1H', () => every('PT1H'), 'every', /"PT1H"/],
  ['1e9h', () => every('1e9h'), 'every', /"1e9h"/],
  ['1h30', () => every('1h30'), 'every', /"1h30"/],
  [
    'offset = every',
    () => every('1m', { offset: '1m' }),
    'offset',
    /offset 1m must be shorter than every 1m/,
  ],
  ['offset > every', () => every('1m', { offset: 90_000 }), 'offset', /offset 90000 ms must be shorter/],
  ['offset bad', () => every('1m', { offset: '1d' }), 'offset', /"1d"/],
  [
    'jitter = every',
    () => every('1m', { jitter: '60s' }),
    'jitter',
    /jitter 60s must be shorter than every 1m/,
  ],
  ['jitter > 1h', () => every('2h', { jitter: '1h1ms' }), 'jitter', /jitter 1h1ms must be at most 1h/],
  ['jitter bad', () => every('1m', { jitter: '2d' }), 'jitter', /"2d"/],
];
for (const [name, make, field, message] of BAD) {
  test(`every refuses ${name}, naming ${field}, value and rule`, () => {
    assert.throws(make, (error: unknown) => {
      assert.ok(error instanceof ScheduleError);
      assert.equal(error.code, 'SCHEDULE_INVALID');
      assert.equal(error.reason, 'InvalidSchedule');
      assert.equal(error.field, field);
      assert.match(error.message, message);
      return true;
    });
  });
}
