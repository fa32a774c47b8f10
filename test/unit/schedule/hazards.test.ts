import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cron } from '../../../src/schedule/cron.ts';
import { every } from '../../../src/schedule/every.ts';
import { clockHazards } from '../../../src/schedule/hazards.ts';

const FROM = Date.UTC(2026, 0, 1);
const TO = Date.UTC(2027, 0, 1);
const hazards = (expression: string, timeZone: string) =>
  clockHazards(cron(expression, { timeZone }), FROM, TO);

test('a fixed time in a gap is told as shifted to the end of the gap', () => {
  const [hazard, ...more] = hazards('30 2 * * *', 'America/New_York');
  assert.deepEqual(more, []);
  assert.equal(hazard?.kind, 'shifted');
  assert.deepEqual(hazard.localTimes, ['2026-03-08T02:30:00']);
  assert.deepEqual(hazard.slots, [Date.parse('2026-03-08T07:00Z')]);
  assert.match(
    hazard.text,
    /^2026-03-08T02:30:00 does not exist and fires once.*2026-03-08T03:00:00-04:00 \(2026-03-08T07:00:00.000Z\)$/,
  );
});

test('a fixed time in a fold is told as firing once', () => {
  const [hazard] = hazards('30 1 * * *', 'America/New_York');
  assert.equal(hazard?.kind, 'once');
  assert.deepEqual(hazard.slots, [Date.parse('2026-11-01T05:30Z')]);
  assert.match(hazard.text, /happens twice and fires the first time only: 2026-11-01T01:30:00-04:00/);
});

test('an interval of some hours is told as skipped in the gap and repeated in the fold', () => {
  const found = hazards('*/30 1-2 * * *', 'America/New_York');
  assert.deepEqual(
    found.map(({ kind, count }) => [kind, count]),
    [
      ['skipped', 2],
      ['repeated', 2],
    ],
  );
  assert.deepEqual(found[0]?.slots, []);
  assert.equal(found[1]?.slots.length, 4);
});

test('what a hazard says is what the schedule does', () => {
  for (const [expression, zone] of [
    ['15 2 * * *', 'Australia/Lord_Howe'],
    ['30 23 * * *', 'America/Nuuk'],
    ['0,20 1,2 * * *', 'Europe/Berlin'],
    ['*/9 1-3 * * *', 'Europe/Dublin'],
  ] as const) {
    const schedule = cron(expression, { timeZone: zone });
    for (const { slots } of clockHazards(schedule, FROM, TO)) {
      for (const slotMs of slots) assert.equal(schedule.previous(slotMs), slotMs, `${expression} ${zone}`);
    }
  }
});

test('a long list is counted in full and shown in part', () => {
  const [, fold] = hazards('* 1-2 * * *', 'America/New_York');
  assert.equal(fold?.count, 60);
  assert.equal(fold.localTimes.length, 10);
  assert.match(fold.text, /and 59 more/);
});

test('a day struck from the calendar is told as skipped', () => {
  const schedule = cron('0 12 30 12 *', { timeZone: 'Pacific/Apia' });
  const [hazard] = clockHazards(schedule, Date.UTC(2011, 11, 1), Date.UTC(2012, 0, 1));
  assert.equal(hazard?.kind, 'skipped');
});

test('there is no hazard for elapsed time, for all 24 hours, and in zones that never change', () => {
  assert.deepEqual(clockHazards(every('1h'), FROM, TO), []);
  assert.deepEqual(hazards('*/5 * * * *', 'America/New_York'), []);
  assert.deepEqual(hazards('30 2 * * *', 'Etc/UTC'), []);
  assert.deepEqual(hazards('0 12 * * *', 'America/New_York'), []);
});
