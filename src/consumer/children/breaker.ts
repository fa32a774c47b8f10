/** Decides when the next child may be started after starts have failed. Pure: the caller owns time and state. */

export interface Breaker {
  /** Starts that failed since a run last ended in a child. */
  readonly failures: number;
  /** While it is open, runs are refused instead of waiting for a child that will not come. */
  readonly open: boolean;
  /** No start before this instant of the monotonic clock, ms. */
  readonly retryAtMs: number;
}

export interface BreakerPolicy {
  /** Failed starts from which the breaker is open. One failed start may be chance. */
  readonly threshold: number;
  /** Wait after the first failed start; it doubles with each further one. */
  readonly backoffMs: number;
  /** No wait is longer. */
  readonly maxBackoffMs: number;
}

export const DEFAULT_BREAKER_POLICY: BreakerPolicy = { threshold: 3, backoffMs: 200, maxBackoffMs: 30_000 };

/** No failure seen: also the state after a run has ended in a child, which proves that children work. */
export const CLOSED_BREAKER: Breaker = { failures: 0, open: false, retryAtMs: 0 };

export function afterFailure(breaker: Breaker, policy: BreakerPolicy, nowMs: number): Breaker {
  // 2 ** failures overflows to Infinity long before it could go wrong: min() still gives the cap.
  const waitMs = Math.min(policy.maxBackoffMs, policy.backoffMs * 2 ** breaker.failures);
  const failures = breaker.failures + 1;
  return { failures, open: failures >= policy.threshold, retryAtMs: nowMs + waitMs };
}

/**
 * A child is ready: runs are taken again. The failures are kept until a run has ended in a child, so that children which
 * become ready and then fall over are started ever more seldom.
 */
export function afterStart(breaker: Breaker): Breaker {
  return { ...breaker, open: false };
}

/** How many children may be starting at the same time: after a failure one probe, so that a broken module costs one process a try. */
export function maxStarting(breaker: Breaker, size: number): number {
  return breaker.failures === 0 ? size : 1;
}

/** Time until the next start is allowed, ms; 0: now. */
export function waitBeforeStart(breaker: Breaker, nowMs: number): number {
  return Math.max(0, breaker.retryAtMs - nowMs);
}
