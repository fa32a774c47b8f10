import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { durationMs, formatDuration, parseDuration } from '../../../src/schedule/duration.ts';

const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof TidemillError && error.code === 'SCHEDULE_INVALID' && pattern.test(error.message);

const GOOD: readonly (readonly [text: string, ms: number, canonical: string])[] = [
  ['0s', 0, '0s'],
  ['500ms', 500, '500ms'],
  ['1s', 1_000, '1s'],
  ['90s', 90_000, '1m30s'],
  ['1h30m', 5_400_000, '1h30m'],
  ['1m5ms', 60_005, '1m5ms'],
  ['720h', 2_592_000_000, '720h'],
  ['99999h', 359_996_400_000, '99999h'],
  ['1s1s', 2_000, '2s'],
  ['1h2m3s4ms', 3_723_004, '1h2m3s4ms'],
  ['00001s', 1_000, '1s'],
];
for (const [text, ms, canonical] of GOOD) {
  test(`${text} is ${ms} ms and is written ${canonical}`, () => {
    assert.equal(parseDuration(text), ms);
    assert.equal(formatDuration(ms), canonical);
  });
}

const BAD = [
  ...[
    '',
    ' ',
    '10',
    '1h30',
    '-1s',
    '+1s',
    '1.5s',
    '1e9h',
    'NaN',
    'PT1H',
    '1d',
    '1w',
    '1y',
    '100000s',
    '1h1m1s1ms1h',
  ],
  ...[
    '1 s',
    ' 1s',
    '1s ',
    '1s\n',
    '1S',
    '1H',
    '0x10s',
    '１s',
    '1\u0000s',
    's',
    'ms',
    '9007199254740992',
    'Infinity',
    '1µs',
    '1us',
    '1ns',
  ],
  ...['__proto__', 'constructor', '1h'.repeat(50_000)],
];
for (const text of BAD) {
  test(`the duration ${JSON.stringify(text.slice(0, 20))} is refused with its value and the rule`, () => {
    assert.throws(
      () => parseDuration(text),
      refusal(/^duration ".*must be a duration such as 500ms, 30s or 1h30m/s),
    );
    assert.throws(
      () => parseDuration(text),
      (error: Error) => error.message.length < 300,
    );
  });
}

test('what formatDuration writes, parseDuration reads back', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 359_999_999_999 }),
      (ms) => parseDuration(formatDuration(ms)) === ms,
    ),
  );
});

for (const ms of [-1, 1.5, Number.NaN, Infinity, 360_000_000_000]) {
  test(`${ms} ms cannot be written as a duration`, () => {
    assert.throws(() => formatDuration(ms), refusal(/must be a whole number from 0/));
  });
}

test('code may give a duration as text or as whole milliseconds', () => {
  assert.equal(durationMs('2s'), 2_000);
  assert.equal(durationMs(250), 250);
  for (const bad of [-1, 0.5, Number.NaN, 2 ** 53])
    assert.throws(() => durationMs(bad), refusal(/whole number of milliseconds/));
});
