/** The only place that reads time or starts a timer: everything else is given a `Clock`, so tests can own time. */
import { performance } from 'node:perf_hooks';

/** A pending call that can be withdrawn. Disposing it twice, or after it fired, is harmless. */
export interface Timer extends Disposable {
  /** Lets the process end although this timer is pending. */
  unref(): this;
}

export interface Clock {
  /** Wall-clock time in ms since the Unix epoch. May jump; never use it to measure a duration. */
  now(): number;
  /** Milliseconds from an arbitrary origin that never jump back. Measures durations, names no instant. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs` (any length; negative means at the next turn). */
  after(delayMs: number, callback: () => void): Timer;
  /** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects: look at the signal to know which. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** Node fires a timer of more than 2^31-1 ms after 1 ms (a monthly schedule became a hot loop), so long waits go in steps. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  #handle: NodeJS.Timeout;
  #referenced = true;

  constructor(delayMs: number, callback: () => void) {
    const start = (remainingMs: number): NodeJS.Timeout => {
      const stepMs = Math.min(Math.max(remainingMs, 0), LONGEST_TIMER_MS);
      const handle = setTimeout(() => {
        if (remainingMs > LONGEST_TIMER_MS) this.#handle = start(remainingMs - stepMs);
        else callback();
      }, stepMs);
      return this.#referenced ? handle : handle.unref();
    };
    this.#handle = start(delayMs);
  }

  unref(): this {
    this.#referenced = false;
    this.#handle.unref();
    return this;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#handle);
  }
}

/** Sleeps by `after`, for any clock: shared so that every clock treats an abort alike. */
export function sleepOn(clock: Pick<Clock, 'after'>, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      timer[Symbol.dispose]();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.after(delayMs, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, callback) => new SystemTimer(delayMs, callback),
  sleep: (delayMs, signal) => sleepOn(systemClock, delayMs, signal),
};
