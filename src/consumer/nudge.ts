/** A wake-up for one waiter: a nudge that comes while nobody waits is kept, so none is lost. */
import type { Clock } from '../runtime/clock.ts';

/** Given to `abort`, which would otherwise make an exception with a stack each time. */
const NUDGED = 'nudged';

export class Nudge {
  #pending = false;
  #wake: (() => void) | undefined;

  /** Wakes the waiter, or makes the next `wait` return at once. */
  nudge(): void {
    if (this.#pending) return;
    this.#pending = true;
    this.#wake?.();
  }

  /** Forgets a nudge that was kept. */
  clear(): void {
    this.#pending = false;
  }

  /** Resolves at a nudge, after `maxMs`, or when the signal aborts. */
  async wait(clock: Clock, maxMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#pending && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const finish = (): void => {
          timer[Symbol.dispose]();
          signal.removeEventListener('abort', finish);
          resolve();
        };
        const timer = clock.after(maxMs, finish);
        signal.addEventListener('abort', finish, { once: true });
        this.#wake = finish;
      });
      this.#wake = undefined;
    }
    this.#pending = false;
  }

  /** A signal that aborts at the next nudge, for a wait that is not ours. Call `done` afterwards. */
  arm(): { readonly signal: AbortSignal; readonly done: () => void } {
    const woken = new AbortController();
    if (this.#pending) woken.abort(NUDGED);
    this.#wake = () => woken.abort(NUDGED);
    return {
      signal: woken.signal,
      done: () => {
        this.#wake = undefined;
        this.#pending = false;
      },
    };
  }
}
