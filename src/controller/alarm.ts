/** A wait that can be cut short: how a loop sleeps until something is due, or until it is told that something happened. */
import type { Clock } from '../runtime/clock.ts';

export class Alarm {
  readonly #clock: Clock;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the wait under way, or else the next one: a ring is never lost. */
  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves after `delayMs`, at a ring, or when the signal aborts. */
  wait(delayMs: number, signal: AbortSignal): Promise<void> {
    if (this.#rung || signal.aborted) {
      this.#rung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#rung = false;
        this.#wake = undefined;
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const timer = this.#clock.after(delayMs, finish);
      this.#wake = finish;
      signal.addEventListener('abort', finish, { once: true });
    });
  }
}
