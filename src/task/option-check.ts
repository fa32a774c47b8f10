/** Collects every wrong option of one definition or call, so that an author mends them in one go. */
import { type ErrorCode, messageOf, type Problem, ProblemsError, TidemillError } from '../runtime/errors.ts';
import { durationMs, formatDuration } from '../schedule/duration.ts';
import { quote } from '../schedule/schedule-error.ts';
import { didYouMean } from './near-names.ts';
import { PRIORITIES, type Priority } from './run.ts';

export interface Range {
  readonly least: number;
  readonly most: number;
}

/** A wrong value for a message: text quoted and cut, anything else by its kind, so that no value can spoil the message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value);
  if (typeof value === 'bigint') return 'a BigInt';
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

/** @throws TidemillError TASK_INVALID for anything but an object, which JavaScript may pass */
export function requireOptions(what: string, options: unknown): void {
  if (typeof options === 'object' && options !== null) return;
  throw new TidemillError(
    'TASK_INVALID',
    `${what} is defined by one object of options, not ${shown(options)}`,
  );
}

export class OptionCheck {
  readonly #problems: Problem[] = [];

  add(at: string, message: string): void {
    this.#problems.push({ at, message });
  }

  /** Runs a check that throws, and keeps its message as the problem. */
  attempt<T>(at: string, check: () => T): T | undefined {
    try {
      return check();
    } catch (error) {
      this.add(at, messageOf(error));
      return undefined;
    }
  }

  /** Refuses names that we do not know: a mistyped option would be ignored in silence. */
  knownKeys(at: string, options: object, known: readonly string[]): void {
    for (const key of Object.keys(options)) {
      if (known.includes(key)) continue;
      this.add(
        `${at}${key.slice(0, 80)}`,
        `is not an option${didYouMean(key, known)}; the options are ${known.join(', ')}`,
      );
    }
  }

  /** Milliseconds of a duration within a range; `fallbackMs` when it is not given or wrong. */
  duration<T extends number | undefined>(
    at: string,
    value: unknown,
    range: Range,
    fallbackMs: T,
  ): number | T {
    if (value === undefined) return fallbackMs;
    if (typeof value !== 'string' && typeof value !== 'number') {
      this.add(at, `must be a duration such as '30s', or a number of ms, not ${shown(value)}`);
      return fallbackMs;
    }
    const ms = this.attempt(at, () => durationMs(value));
    if (ms === undefined || this.#within(at, value, ms, range)) return ms ?? fallbackMs;
    return fallbackMs;
  }

  #within(at: string, value: string | number, ms: number, { least, most }: Range): boolean {
    if (ms >= least && ms <= most) return true;
    this.add(at, `must be from ${formatDuration(least)} to ${formatDuration(most)}, not ${shown(value)}`);
    return false;
  }

  /** A whole number within a range; `fallback` when it is not given or wrong. */
  integer<T extends number | undefined>(at: string, value: unknown, range: Range, fallback: T): number | T {
    if (value === undefined) return fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value >= range.least && value <= range.most)
      return value;
    this.add(at, `must be a whole number from ${range.least} to ${range.most}, not ${shown(value)}`);
    return fallback;
  }

  priority(at: string, value: unknown): Priority | undefined {
    if (value === undefined) return undefined;
    const known = PRIORITIES.find((priority) => priority === value);
    if (known === undefined) this.add(at, `must be one of ${PRIORITIES.join(', ')}, not ${shown(value)}`);
    return known;
  }

  boolean(at: string, value: unknown): boolean | undefined {
    if (value === undefined || typeof value === 'boolean') return value;
    this.add(at, `must be true or false, not ${shown(value)}`);
    return undefined;
  }

  text(at: string, value: unknown, maxLength: number): string | undefined {
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value.length >= 1 && value.length <= maxLength) return value;
    this.add(at, `must be a text of 1 to ${maxLength} characters, not ${shown(value)}`);
    return undefined;
  }

  /** @throws ProblemsError with all that was found */
  done(code: ErrorCode, summary: string): void {
    if (this.#problems.length > 0) throw new ProblemsError(code, summary, this.#problems);
  }
}
