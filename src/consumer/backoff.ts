/** How long to wait after a broker call failed, and a loop that goes on whatever its passes do. */
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import type { Log } from '../telemetry/log.ts';

const FIRST_BACKOFF_MS = 50;
/** Short enough that work resumes within 3 s of the broker's return. */
const LONGEST_BACKOFF_MS = 2_000;

/** Doubles with each failure in a row, with jitter so that a fleet does not return as one. */
export function callBackoffMs(failures: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 10));
  return ceiling * (0.5 + random() / 2);
}

/** Nothing was changed by the call: no need to ask what became of it. */
export function nothingHappened(error: unknown): boolean {
  return (
    error instanceof TidemillError && (error.code === 'BROKER_REFUSED' || error.code === 'BROKER_FORMAT')
  );
}

export interface BackgroundLoopOptions {
  /** Names the loop in the log: "recovery failed". */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** One pass; returns how long to wait before the next, ms. */
  readonly pass: () => Promise<number>;
  /** How to wait; default: sleep. */
  readonly wait?: (delayMs: number) => Promise<void>;
}

/** Runs passes until the signal aborts. A pass that throws is logged (the first of a row loudly) and repeated with back-off. */
export async function backgroundLoop(options: BackgroundLoopOptions): Promise<void> {
  const { name, clock, log, random, signal } = options;
  const wait = options.wait ?? ((delayMs: number) => clock.sleep(delayMs, signal));
  let failures = 0;
  while (!signal.aborted) {
    try {
      const delayMs = await options.pass();
      failures = 0;
      if (delayMs > 0) await wait(delayMs);
    } catch (error) {
      failures += 1;
      log[failures === 1 ? 'warn' : 'debug'](`${name} failed`, { err: error, failures });
      await clock.sleep(callBackoffMs(failures, random), signal);
    }
  }
}
