import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  printable,
  showDuration,
  showInstant,
  showInZone,
  showRelative,
  showTook,
} from '../../../src/cli/format.ts';
import { runDetails, runJson } from '../../../src/cli/show-run.ts';
import { nextSlots, parseInstant, showSpec } from '../../../src/cli/show-timing.ts';
import { table } from '../../../src/cli/table.ts';
import { cron } from '../../../src/schedule/cron.ts';
import { every } from '../../../src/schedule/every.ts';
import type { RunRecord } from '../../../src/task/run.ts';

const T = Date.parse('2026-03-29T00:30:00Z');

describe('formats', () => {
  test('durations have two units at most', () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, '0ms'],
      [340, '340ms'],
      [1_250, '1.3s'],
      [42_000, '42s'],
      [192_000, '3m12s'],
      [18_240_000, '5h04m'],
      [90_000_000, '1d01h'],
      [-1_500, '-1.5s'],
    ];
    for (const [ms, text] of cases) assert.equal(showDuration(ms), text);
  });

  test('a run that was cancelled before it was due took no time, and not less than none', () => {
    assert.equal(showTook(T, T + 340), '340ms');
    assert.equal(showTook(T, T - 100), '0ms');
  });

  test('instants are shown in UTC, in a zone, and as a distance', () => {
    assert.equal(showInstant(T), '2026-03-29 00:30:00Z');
    assert.equal(showInstant(T + 5), '2026-03-29 00:30:00.005Z');
    assert.equal(showInZone(T, 'Europe/Berlin'), '2026-03-29 01:30:00 +01:00');
    assert.equal(showInZone(T + 3_600_000, 'Europe/Berlin'), '2026-03-29 03:30:00 +02:00');
    assert.equal(showInZone(T, 'Etc/UTC'), '2026-03-29 00:30:00 +00:00');
    assert.equal(showRelative(T - 12_000, T), '12s ago');
    assert.equal(showRelative(T + 12_000, T), 'in 12s');
    assert.equal(showRelative(T, T), 'now');
  });

  test('foreign text cannot move the cursor or forge a line', () => {
    assert.equal(
      printable('a\u001b[2J\r\nb\u009b\u2028\u202e'),
      'a\\u001b[2J\\u000d\\nb\\u009b\\u2028\\u202e',
    );
  });
});

describe('table', () => {
  test('columns are aligned, missing cells are a dash, and no line has blanks at its end', () => {
    const text = table<{ name: string; count?: number }>(
      [
        { heading: 'NAME', cell: ({ name }) => name },
        { heading: 'COUNT', cell: ({ count }) => count, align: 'right' },
        { heading: 'X', cell: () => '' },
      ],
      [{ name: 'a', count: 7 }, { name: 'größer👍', count: 1_234_567 }, { name: 'evil\nline' }],
    );
    assert.equal(
      text,
      [
        'NAME          COUNT  X',
        'a                 7',
        'größer👍     1234567',
        'evil\\nline        -',
        '',
      ].join('\n'),
    );
  });
});

describe('instants that people type', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['2026-03-29T00:30:00Z', 'Europe/Berlin', '2026-03-29T00:30:00.000Z'],
    ['2026-03-29 00:30Z', 'Europe/Berlin', '2026-03-29T00:30:00.000Z'],
    ['2026-03-29T02:30:00.5+02:00', 'Etc/UTC', '2026-03-29T00:30:00.500Z'],
    ['2026-03-29T01:30', 'Europe/Berlin', '2026-03-29T00:30:00.000Z'],
    ['2026-03-29 03:30:10', 'Europe/Berlin', '2026-03-29T01:30:10.000Z'],
    ['2026-03-29', 'Etc/UTC', '2026-03-29T00:00:00.000Z'],
    ['2026-10-25T02:30', 'Europe/Berlin', '2026-10-25T00:30:00.000Z'], // twice: the first
  ];
  for (const [text, zone, instant] of cases) {
    test(`${text} in ${zone} is ${instant}`, () =>
      assert.equal(new Date(parseInstant(text, zone)).toISOString(), instant));
  }

  test('a local time that the clocks leave out is refused with the reason', () => {
    assert.throws(() => parseInstant('2026-03-29T02:30', 'Europe/Berlin'), {
      code: 'TIME_INVALID',
      message: /never show 2026-03-29T02:30/,
    });
  });

  for (const text of [
    '',
    'now',
    'tomorrow',
    '12:00',
    '2026-13-01',
    '2026-02-30T25:00',
    '1795507555',
    '2026-03-29T00:30:00ZZ',
  ]) {
    test(`${JSON.stringify(text)} is refused with an example`, () => {
      assert.throws(() => parseInstant(text, 'Etc/UTC'), { code: 'TIME_INVALID', message: /must be like/ });
    });
  }
});

describe('schedules in words', () => {
  test('every and cron say all that they were given', () => {
    assert.equal(
      showSpec(every('30s', { offset: '5s', jitter: '500ms' }).spec),
      'every 30s, offset 5s, jitter 500ms',
    );
    assert.equal(
      showSpec(cron('0 9 * * 1-5', { timeZone: 'Europe/Rome' }).spec),
      'cron "0 9 * * 1-5" in Europe/Rome',
    );
  });

  test('slots stay inside the window of the object', () => {
    const schedule = every('1m');
    assert.deepEqual(nextSlots(schedule, T, 3), [T + 60_000, T + 120_000, T + 180_000]);
    assert.deepEqual(nextSlots(schedule, T, 9, { startMs: T + 600_000, endMs: T + 660_000 }), [
      T + 600_000,
      T + 660_000,
    ]);
  });
});

describe('a run', () => {
  const run: RunRecord = {
    id: 'uid@2026-03-29T00:30:00.000Z',
    queue: 'default',
    task: 'report',
    priority: 'medium',
    state: 'failed',
    params: '{"month":3}',
    options: {
      source: 'schedule',
      schedule: { uid: 'uid', namespace: 'team-a', name: 'monthly', slotMs: T },
    },
    attempt: 2,
    deaths: 0,
    enqueuedAtMs: T,
    startedAtMs: T + 1_000,
    endedAtMs: T + 3_500,
    error: {
      reason: 'Timeout',
      name: 'TidemillError',
      message: 'longer than 2s\u001b[31m',
      stack: 'TidemillError: longer\n    at x',
    },
  };

  test('for a person: a line for each fact, harmless on a terminal', () => {
    const text = runDetails(run, T + 10_000);
    assert.match(text, /^schedule {2}team-a\/monthly$/m);
    assert.match(text, /^took {6}2.5s$/m);
    assert.match(text, /^error {5}Timeout: TidemillError: longer than 2s\\u001b\[31m$/m);
    assert.ok(!text.includes('\u001b'));
  });

  test('for a program: params parsed, instants as ISO texts', () => {
    assert.deepEqual(JSON.parse(JSON.stringify(runJson(run))), {
      id: run.id,
      queue: 'default',
      task: 'report',
      priority: 'medium',
      state: 'failed',
      attempt: 2,
      deaths: 0,
      error: run.error,
      source: 'schedule',
      schedule: { uid: 'uid', namespace: 'team-a', name: 'monthly', slot: '2026-03-29T00:30:00.000Z' },
      enqueuedAt: '2026-03-29T00:30:00.000Z',
      startedAt: '2026-03-29T00:30:01.000Z',
      endedAt: '2026-03-29T00:30:03.500Z',
      params: { month: 3 },
    });
  });

  test('params that are no JSON are shown as they are', () => {
    assert.equal(runJson({ ...run, params: '{"cut' })['params'], '{"cut');
  });
});
