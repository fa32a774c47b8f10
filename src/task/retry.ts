/** Decides what follows a failed attempt: another one, and when, or the end. Pure. */
import { unreachable } from '../runtime/errors.ts';
import type { AttemptResult, RetryAdvice } from './attempt.ts';
import type { Outcome, RetryOverrides } from './run.ts';
import type { RetryPolicy } from './types.ts';

/** Longest wait that `retry.when` may ask for: 366 days. */
export const LONGEST_ADVISED_MS = 366 * 86_400_000;

/** The policy of one run: what its object or producer set, else what its task says. */
export function resolveRetry(policy: RetryPolicy, overrides: RetryOverrides | undefined): RetryPolicy {
  if (overrides === undefined) return policy;
  const backoffMs = overrides.backoffMs ?? policy.backoffMs;
  return {
    ...policy,
    attempts: overrides.attempts ?? policy.attempts,
    backoffMs,
    // An override of the back-off alone must not be cut by a cap that was chosen for another back-off.
    maxBackoffMs: overrides.maxBackoffMs ?? Math.max(policy.maxBackoffMs, backoffMs),
  };
}

/**
 * Wait before the next attempt: full jitter, so that runs that failed together do not come back together.
 *
 * @param attempt - the attempt that failed; 1 for the first
 * @param random - gives numbers from 0 to below 1
 * @returns whole ms from 0 to min(maxBackoff, backoff · 2^(attempt-1))
 */
export function backoffDelayMs(policy: RetryPolicy, attempt: number, random: () => number): number {
  // Beyond 2^40 any cap is reached, and 2^1024 would be Infinity, which times a back-off of 0 is no number.
  const doublings = Math.min(Math.max(0, attempt - 1), 40);
  const ceilingMs = Math.min(policy.maxBackoffMs, policy.backoffMs * 2 ** doublings);
  return Math.round(random() * ceilingMs);
}

export interface RetrySituation {
  /** The attempt that ended; 1 for the first. */
  readonly attempt: number;
  /** As `resolveRetry` gave it. */
  readonly policy: RetryPolicy;
  readonly random: () => number;
}

/** What the queue is told about an attempt that ended. Every failure counts, timeouts and deaths of a child as well. */
export function decideOutcome(result: AttemptResult, { attempt, policy, random }: RetrySituation): Outcome {
  switch (result.kind) {
    case 'succeeded':
    case 'cancelled':
    case 'rejected':
      return result;
    case 'failed': {
      const { error, retry } = result;
      if (retry === 'never' || attempt >= policy.attempts) return { kind: 'failed', error };
      const delayMs = retry === 'policy' ? backoffDelayMs(policy, attempt, random) : retry.delayMs;
      return { kind: 'retry', delayMs, error };
    }
    default:
      return unreachable(result);
  }
}

/** Asks `retry.when` about an error. A decider that throws, or answers something else, has no opinion. */
export function adviseRetry(policy: RetryPolicy, error: unknown, attempt: number): RetryAdvice {
  if (policy.when === undefined) return 'policy';
  try {
    return adviceOf(policy.when(error, attempt));
  } catch {
    return 'policy';
  }
}

function adviceOf(answer: unknown): RetryAdvice {
  if (answer === false) return 'never';
  if (typeof answer === 'number' && answer >= 0)
    return { delayMs: Math.round(Math.min(answer, LONGEST_ADVISED_MS)) };
  // An async decider is not supported, and its rejection must not end the process.
  if (answer instanceof Promise) answer.catch(() => undefined);
  return 'policy';
}
