/** Who this consumer is towards one queue: its incarnation, and the broker's time as last heard. */
import type { Clock } from '../runtime/clock.ts';

/** How long the best estimate of the broker's clock counts: a server that took over may have another. */
const ESTIMATE_MS = 1_000;
/** An answer that says so much less than the best tells of a clock that was set back, or lay unread for as long: believe it. */
const STEP_MS = 100;

export class QueueSession {
  readonly #clock: Clock;
  #incarnation: string | undefined;
  #offset: { readonly ms: number; readonly heardAtMs: number } | undefined;

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

  /** Of the answers of the last second, the one that came to us fastest says most: each is read a while after it was written. */
  heardTime(brokerNowMs: number): void {
    const heardAtMs = this.#clock.monotonic();
    const ms = brokerNowMs - heardAtMs;
    const known = this.#offset;
    const isOld = known === undefined || heardAtMs - known.heardAtMs > ESTIMATE_MS;
    if (isOld || ms >= known.ms || ms < known.ms - STEP_MS) this.#offset = { ms, heardAtMs };
  }

  /** The broker's time by our estimate, ms since the epoch; `undefined` before the first reply. Late by at most one reply's way. */
  get brokerNowMs(): number | undefined {
    return this.#offset === undefined ? undefined : this.#clock.monotonic() + this.#offset.ms;
  }
}
