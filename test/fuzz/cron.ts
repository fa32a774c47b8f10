/** Cron expressions with their time zones. */
import assert from 'node:assert/strict';
import { cron } from '../../src/schedule/cron.ts';
import type { RandomSource } from '../support/random.ts';
import { takenOr } from './answers.ts';
import { oneOf, some, spoil } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

const FIELDS: readonly (readonly [least: number, most: number, names: readonly string[]])[] = [
  [0, 59, []],
  [0, 23, []],
  [1, 31, []],
  [1, 12, ['JAN', 'feb', 'Mar', 'DEC']],
  [0, 7, ['SUN', 'mon', 'Fri', 'SAT']],
];
const NICKNAMES = [
  '@daily',
  '@hourly',
  '@weekly',
  '@monthly',
  '@yearly',
  '@annually',
  '@midnight',
  '@reboot',
];
const ZONES = [
  'Etc/UTC',
  'Europe/Rome',
  'Australia/Lord_Howe',
  'America/New_York',
  'Pacific/Apia',
  'EST5EDT',
];
/** Before the clocks went forward, back, and a year in which a zone lost a day. */
const FROM_MS = [
  '2026-03-29T00:59:59Z',
  '2026-10-25T00:30:00Z',
  '2011-12-29T00:00:00Z',
  '1970-01-01T00:00:00Z',
].map((text) => Date.parse(text));

function field(random: RandomSource, index: number): string {
  const [least, most, names] = FIELDS[index] ?? [0, 59, []];
  const number = (from: number): number => random.between({ min: from, max: most + 1 });
  const value = (): string =>
    names.length > 0 && random.next() < 0.3 ? oneOf(random, ...names) : String(number(least));
  const range = (): string => {
    const from = number(least);
    return `${from}-${number(from)}`;
  };
  const step = (): string => `/${random.between({ min: 1, max: most })}`;
  const part = (): string =>
    oneOf(
      random,
      '*',
      '*',
      value,
      range,
      () => `*${step()}`,
      () => range() + step(),
    );
  return some(random, 1, 2, part).join(',');
}

const expression = (random: RandomSource): string =>
  random.next() < 0.1
    ? oneOf(random, ...NICKNAMES)
    : FIELDS.map((_, index) => field(random, index)).join(' ');

const SEPARATOR = '\u0001';

export const cronTarget: FuzzTarget = {
  name: 'cron',
  draw: (random) => {
    const zone = random.next() < 0.7 ? oneOf(random, ...ZONES) : spoil(oneOf(random, ...ZONES), random);
    return spoil(expression(random), random) + SEPARATOR + zone;
  },
  check: (input) => {
    const cut = input.lastIndexOf(SEPARATOR);
    const schedule = takenOr('SCHEDULE_INVALID', () =>
      cron(input.slice(0, cut), { timeZone: input.slice(cut + 1) }),
    );
    if (schedule === undefined) return false;
    for (const fromMs of FROM_MS) {
      const nextMs = schedule.next(fromMs);
      assert.ok(
        nextMs === undefined || (nextMs > fromMs && nextMs % 60_000 === 0),
        `after ${fromMs}: ${nextMs}`,
      );
    }
    return true;
  },
};
