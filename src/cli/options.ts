/** Options that several commands have, parsed with messages that name the flag. */
import { z } from 'zod';
import { DURATION_PATTERN, parseDuration } from '../schedule/duration.ts';

const durationRule = (flag: string): string => `${flag} must be a duration such as 500ms, 30s or 1h30m`;

export function integerOption(flag: string, fallback: number, min: number, max: number) {
  const message = `${flag} must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^[0-9]{1,9}$/, message)
    .default(String(fallback))
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
}

export function optionalDurationOption(flag: string) {
  return z.string().regex(DURATION_PATTERN, durationRule(flag)).transform(parseDuration).optional();
}

export function durationOption(flag: string, fallback: string) {
  return z.string().regex(DURATION_PATTERN, durationRule(flag)).default(fallback).transform(parseDuration);
}
