/** Decides whether the event loop still deserves its leases. Pure: it is told what it sees and when. */

export type Verdict =
  | { readonly kind: 'renew' }
  /** Renewing stops, and may begin again. */
  | { readonly kind: 'hold'; readonly why: 'stalled' | 'unanswered' }
  /** The loop has been stuck so long that its runs have gone back: its process is of no use to anyone. */
  | { readonly kind: 'kill'; readonly stalledMs: number };

/**
 * Leases from the stall bound to the kill: one for the last renewal to run out, and time for a liveness probe to end the
 * process in a gentler way.
 */
const KILL_AFTER_LEASES = 3;

export interface StallLimits {
  readonly leaseMs: number;
  readonly stallMs: number;
}

/**
 * Threads do not share the origin of their monotonic clocks, so a mark says *that* something changed, and the thread's own
 * clock says since when it has not.
 */
export class StallWatch {
  readonly #limits: StallLimits;
  #beats: { value: number; sinceMs: number };
  #unanswered: { mark: number; sinceMs: number };

  constructor(limits: StallLimits, nowMs: number) {
    this.#limits = limits;
    this.#beats = { value: 0, sinceMs: nowMs };
    this.#unanswered = { mark: 0, sinceMs: nowMs };
  }

  /**
   * @param beats - how often the loop has beaten
   * @param unanswered - mark of the oldest settle without an answer, 0 for none
   */
  observe(beats: number, unanswered: number, nowMs: number): Verdict {
    if (beats !== this.#beats.value) this.#beats = { value: beats, sinceMs: nowMs };
    if (unanswered !== this.#unanswered.mark) this.#unanswered = { mark: unanswered, sinceMs: nowMs };
    const { leaseMs, stallMs } = this.#limits;
    const stalledMs = nowMs - this.#beats.sinceMs;
    if (stalledMs > stallMs + KILL_AFTER_LEASES * leaseMs) return { kind: 'kill', stalledMs };
    if (stalledMs > stallMs) return { kind: 'hold', why: 'stalled' };
    const isUnanswered = unanswered !== 0 && nowMs - this.#unanswered.sinceMs > 2 * leaseMs;
    return isUnanswered ? { kind: 'hold', why: 'unanswered' } : { kind: 'renew' };
  }
}
