/** Schedules by elapsed time: slots are multiples of an interval since the Unix epoch, the same on every machine. */
import { messageOf } from '../runtime/errors.ts';
import { durationMs, formatDuration } from './duration.ts';
import type { EverySpec, Schedule } from './schedule.ts';
import { ScheduleError, type ScheduleField } from './schedule-error.ts';

export const SHORTEST_INTERVAL_MS = 100;
export const LONGEST_INTERVAL_MS = 8_760 * 3_600_000;
/** Also the limit for `cron`: a run that starts an hour late is no longer "spread", it is another schedule. */
export const LONGEST_JITTER_MS = 3_600_000;

/** Instants that `Date` can hold, ms since the epoch. */
const LAST_INSTANT_MS = 8.64e15;

export interface EveryOptions {
  /** Moves every slot by this much: `every('1h', { offset: '5m' })` is due at five past. Shorter than the interval. */
  readonly offset?: string | number;
  /** Starts each run up to this much after its slot, always by the same amount. Shorter than the interval, at most 1 h. */
  readonly jitter?: string | number;
}

/**
 * A schedule with a fixed interval. It counts elapsed time, so it knows no time zone and no change of the clocks.
 *
 * @param duration - `'30s'`, `'1h30m'`, or a whole number of ms; 100 ms to 8760 h
 * @throws ScheduleError (SCHEDULE_INVALID)
 */
export function every(duration: string | number, options: EveryOptions = {}): Schedule {
  const intervalMs = fieldMs('every', duration);
  if (intervalMs < SHORTEST_INTERVAL_MS || intervalMs > LONGEST_INTERVAL_MS) {
    throw new ScheduleError(
      'InvalidSchedule',
      'every',
      `every ${shown(duration)} must be between 100ms and 8760h`,
    );
  }
  const offsetMs = shorterThan(intervalMs, 'offset', options.offset ?? 0);
  const jitterMs = checkedJitterMs(options.jitter ?? 0);
  shorterThan(intervalMs, 'jitter', options.jitter ?? 0);
  return new EverySchedule({ kind: 'every', intervalMs, offsetMs, jitterMs });
}

/**
 * Milliseconds of a jitter: at most 1 h.
 * @throws ScheduleError (SCHEDULE_INVALID)
 */
export function checkedJitterMs(jitter: string | number): number {
  const jitterMs = fieldMs('jitter', jitter);
  if (jitterMs <= LONGEST_JITTER_MS) return jitterMs;
  throw new ScheduleError('InvalidSchedule', 'jitter', `jitter ${shown(jitter)} must be at most 1h`);
}

class EverySchedule implements Schedule {
  readonly spec: EverySpec;

  constructor(spec: EverySpec) {
    this.spec = spec;
  }

  next(afterMs: number): number | undefined {
    return this.#slot(this.#index(afterMs) + 1);
  }

  previous(atMs: number): number | undefined {
    return this.#slot(this.#index(atMs));
  }

  /** Number of the last slot at or before an instant. */
  #index(atMs: number): number {
    return Math.floor((atMs - this.spec.offsetMs) / this.spec.intervalMs);
  }

  #slot(index: number): number | undefined {
    const slotMs = index * this.spec.intervalMs + this.spec.offsetMs;
    return Math.abs(slotMs) <= LAST_INSTANT_MS ? slotMs : undefined;
  }
}

function shorterThan(intervalMs: number, field: 'offset' | 'jitter', value: string | number): number {
  const valueMs = fieldMs(field, value);
  if (valueMs < intervalMs) return valueMs;
  throw new ScheduleError(
    'InvalidSchedule',
    field,
    `${field} ${shown(value)} must be shorter than every ${formatDuration(intervalMs)}`,
  );
}

function fieldMs(field: ScheduleField, value: string | number): number {
  try {
    return durationMs(value);
  } catch (cause) {
    throw new ScheduleError('InvalidSchedule', field, `${field}: ${messageOf(cause)}`, { cause });
  }
}

const shown = (value: string | number): string => (typeof value === 'string' ? value : `${value} ms`);
