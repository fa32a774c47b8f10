/** Field types that the object's schema is made of, each with its meaning for zod, for OpenAPI and for CEL. */
import { z } from 'zod';
import { DURATION_PATTERN, DURATION_RULE, parseDuration } from '../schedule/duration.ts';
import { celMatches, celRules, checkRules, type Rule } from './rules.ts';

/** RFC 3339, which is what the API server takes for `format: date-time`. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/** CEL: whether the text of an expression is no duration, so that another rule reports it. */
export const celNoDuration = (expression: string): string => `!${celMatches(expression, DURATION_PATTERN)}`;

/** Milliseconds, or `undefined` for an absent or wrong duration: the field's own rule reports that. */
export function msOf(duration: string | undefined): number | undefined {
  return duration !== undefined && DURATION_PATTERN.test(duration) ? parseDuration(duration) : undefined;
}

/** A string with rules of its own. Bounded, since CEL's cost is reckoned from the longest value. */
export function ruledText(description: string, maxLength: number, rules: readonly Rule<string>[]) {
  const text = z
    .string()
    .min(1, 'must have at least 1 character')
    .max(maxLength, `must have at most ${maxLength} characters`);
  return text.superRefine(checkRules(rules)).meta({ description, ...celRules(rules) });
}

export function duration(description: string, rules: readonly Rule<string>[] = []) {
  const grammar: Rule<string> = {
    cel: celMatches('self', DURATION_PATTERN),
    message: DURATION_RULE,
    holds: (text) => DURATION_PATTERN.test(text),
  };
  return ruledText(description, 32, [grammar, ...rules]);
}

const DATE_TIME_RULE = 'must be a time such as 2026-03-01T08:00:00Z';

export function dateTime(description: string) {
  return z
    .string()
    .refine((text) => DATE_TIME.test(text) && isRealDate(text), DATE_TIME_RULE)
    .meta({ format: 'date-time', description });
}

/**
 * A time that a user writes. The API server's `format: date-time` takes more than its rules can read (`t` and `z`, a
 * comma, an offset of 25 hours, even an empty list), and such a field would break every later rule that looks at it:
 * so a rule of its own reads it first.
 */
export function givenTime(description: string) {
  const readable: Rule<string> = {
    cel: "self >= timestamp('0001-01-01T00:00:00Z')",
    message: DATE_TIME_RULE,
    // What is no date at all is told by the field's own rule.
    holds: (text) => !(Date.parse(text) < FIRST_TIME_MS),
  };
  return dateTime(description)
    .superRefine(checkRules([readable]))
    .meta(celRules([readable]));
}
const FIRST_TIME_MS = Date.parse('0001-01-01T00:00:00Z');

/** `Date` reads 30 February as 2 March, and 24:00 as the next day: day and hour must come back as they went in. */
function isRealDate(text: string): boolean {
  const clock = new Date(`${text.slice(0, 19)}Z`);
  if (Number.isNaN(clock.getTime()) || Number.isNaN(Date.parse(text))) return false;
  return clock.toISOString().startsWith(text.slice(0, 19));
}

/** A whole number; the bounds are told to the API server as well. */
export function integer(
  format: 'int32' | 'int64',
  description: string,
  { min, max }: { readonly min?: number; readonly max?: number } = {},
) {
  const whole = z.int('must be a whole number');
  const low = min === undefined ? whole : whole.min(min, `must be at least ${min}`);
  return (max === undefined ? low : low.max(max, `must be at most ${max}`)).meta({ format, description });
}

/** Text that we write ourselves: only bounded. */
export function text(description: string, maxLength: number) {
  return z.string().max(maxLength).meta({ description });
}
