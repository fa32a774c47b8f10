/** When a server fails or asks for mercy, all writes wait: a fleet of keys that each back off alone would still be a storm. */

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export class WritePause {
  #sinceMs = -Infinity;
  #untilMs = -Infinity;
  #failures = 0;

  /** On the monotonic clock. */
  get untilMs(): number {
    return this.#untilMs;
  }

  isOver(nowMs: number): boolean {
    return nowMs >= this.#untilMs;
  }

  recovered(): void {
    this.#failures = 0;
  }

  /**
   * A call that began at `startedMs` failed.
   * @returns how long everything waits, ms; `undefined` when the call was under way before the last pause began, and so
   *   tells nothing new
   */
  failed(error: unknown, startedMs: number, nowMs: number): number | undefined {
    if (startedMs <= this.#sinceMs) return undefined;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    const waitMs = Math.max(pauseMs, retryAfterMsOf(error));
    this.#failures += 1;
    this.#sinceMs = nowMs;
    this.#untilMs = nowMs + waitMs;
    return waitMs;
  }
}

/** Whoever makes the error says so where the server did. No server may silence us for longer than a minute. */
function retryAfterMsOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('retryAfterMs' in error)) return 0;
  const { retryAfterMs } = error;
  return typeof retryAfterMs === 'number' && retryAfterMs > 0 ? Math.min(retryAfterMs, 60_000) : 0;
}
