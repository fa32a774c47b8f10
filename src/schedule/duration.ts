/** The one duration grammar, used by YAML, flags, options in code and messages alike: GEP-2257, such as `1h30m` or `500ms`. */
import { TidemillError } from '../runtime/errors.ts';
import { quote } from './schedule-error.ts';

/** One to four numbers of at most five digits, each with its unit. Also the CRD's rule, so RE2 must understand it. */
export const DURATION_PATTERN = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;
export const DURATION_RULE =
  'must be a duration such as 500ms, 30s or 1h30m (units h, m, s, ms; no days, no fractions)';

const UNIT_MS = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
const UNITS = ['h', 'm', 's', 'ms'] as const;
const PART = /([0-9]{1,5})(ms|h|m|s)/g;
const LONGEST_MS = 99_999 * UNIT_MS.h + 59 * UNIT_MS.m + 59 * UNIT_MS.s + 999;

const unitMs = (unit: string | undefined): number => UNIT_MS[UNITS.find((known) => known === unit) ?? 'ms'];

/**
 * Milliseconds of a duration such as `1h30m`.
 * @throws TidemillError SCHEDULE_INVALID
 */
export function parseDuration(text: string): number {
  if (!DURATION_PATTERN.test(text)) {
    throw new TidemillError('SCHEDULE_INVALID', `duration ${quote(text)} ${DURATION_RULE}`);
  }
  let totalMs = 0;
  for (const [, digits, unit] of text.matchAll(PART)) totalMs += Number(digits) * unitMs(unit);
  return totalMs;
}

/**
 * The shortest text that `parseDuration` reads back as `ms`: units from large to small, none of them zero.
 * @param ms - a whole number from 0 to 99,999 hours
 * @throws TidemillError SCHEDULE_INVALID
 */
export function formatDuration(ms: number): string {
  if (!Number.isInteger(ms) || ms < 0 || ms > LONGEST_MS) {
    throw new TidemillError(
      'SCHEDULE_INVALID',
      `duration ${ms} ms must be a whole number from 0 to ${LONGEST_MS}`,
    );
  }
  if (ms === 0) return '0s';
  let restMs = ms;
  let text = '';
  for (const unit of UNITS) {
    const amount = Math.floor(restMs / UNIT_MS[unit]);
    restMs -= amount * UNIT_MS[unit];
    if (amount > 0) text += `${amount}${unit}`;
  }
  return text;
}

/**
 * Milliseconds of what code may give for a duration: text, or a whole number of ms.
 * @throws TidemillError SCHEDULE_INVALID
 */
export function durationMs(duration: string | number): number {
  if (typeof duration === 'string') return parseDuration(duration);
  if (Number.isSafeInteger(duration) && duration >= 0) return duration;
  throw new TidemillError(
    'SCHEDULE_INVALID',
    `duration ${typeof duration === 'number' ? duration : `of type ${typeof duration}`} must be a whole number of milliseconds, 0 or more, or a text such as '30s'`,
  );
}
