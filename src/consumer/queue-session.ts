/** Who this consumer is towards one queue: its incarnation, and the broker's time as last heard. */
import type { Clock } from '../runtime/clock.ts';

export class QueueSession {
  readonly #clock: Clock;
  #incarnation: string | undefined;
  #brokerOffsetMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `undefined` before the registration was answered: nothing can be claimed or settled meanwhile. */
  get incarnation(): string | undefined {
    return this.#incarnation;
  }

  registered(incarnation: string): void {
    this.#incarnation = incarnation;
  }

  /** The lease ended. False when that was known already, or an older incarnation is meant. */
  end(incarnation: string): boolean {
    if (this.#incarnation !== incarnation) return false;
    this.#incarnation = undefined;
    return true;
  }

  heardTime(brokerNowMs: number): void {
    this.#brokerOffsetMs = brokerNowMs - this.#clock.monotonic();
  }

  /** The broker's time by our estimate, ms since the epoch; `undefined` before the first reply. Late by at most one reply's way. */
  get brokerNowMs(): number | undefined {
    return this.#brokerOffsetMs === undefined ? undefined : this.#clock.monotonic() + this.#brokerOffsetMs;
  }
}
