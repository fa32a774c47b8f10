/** A clock that stands still until told to advance: the base of `tidemill/testing` and of the simulator. */
import { type Clock, sleepOn, type Timer } from './clock.ts';

interface Pending {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Lets promise chains and I/O callbacks that are ready run before time moves on. */
const settleReadyWork = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

export class VirtualClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  /** @param startMs - the first value of `now()`, ms since the Unix epoch */
  constructor(startMs = 0) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#pending.add(pending);
    const timer: Timer = {
      unref: () => timer,
      [Symbol.dispose]: () => {
        this.#pending.delete(pending);
      },
    };
    return timer;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** When the next timer is due, ms since the epoch; `undefined` when none is pending. */
  get nextDueMs(): number | undefined {
    return this.#earliest()?.atMs;
  }

  /** Moves time forward, firing each timer at its own instant and letting what it started settle before the next. */
  async advanceTo(targetMs: number): Promise<void> {
    await settleReadyWork();
    for (let next = this.#earliest(); next !== undefined && next.atMs <= targetMs; next = this.#earliest()) {
      this.#pending.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settleReadyWork();
    }
    this.#nowMs = Math.max(this.#nowMs, targetMs);
  }

  advanceBy(ms: number): Promise<void> {
    return this.advanceTo(this.#nowMs + ms);
  }

  #earliest(): Pending | undefined {
    let earliest: Pending | undefined;
    for (const pending of this.#pending) {
      if (
        earliest === undefined ||
        pending.atMs < earliest.atMs ||
        (pending.atMs === earliest.atMs && pending.order < earliest.order)
      ) {
        earliest = pending;
      }
    }
    return earliest;
  }
}
