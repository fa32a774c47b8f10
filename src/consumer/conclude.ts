/** What an attempt's end means for the run: the one place where stops, start failures and results become outcomes. */
import { unreachable } from '../runtime/errors.ts';
import type { AttemptResult } from '../task/invoke.ts';
import { adviseRetry, decideOutcome, resolveRetry } from '../task/retry.ts';
import type { Outcome, RunError, RunRecord } from '../task/run.ts';
import type { AnyTask, RetryPolicy } from '../task/types.ts';
import type { ExecutionEnd } from './execute.ts';
import type { StopError } from './stop-error.ts';

/** Keeps a run away from a consumer that cannot start it, long enough for another to take it. */
export const START_RETRY_MS = 5_000;

export interface Conclusion {
  readonly task: AnyTask;
  readonly record: RunRecord;
  readonly end: ExecutionEnd;
  readonly random: () => number;
}

/** `lost`: another consumer may hold the run; nothing may be written. */
export function conclude({ task, record, end, random }: Conclusion): Outcome | { readonly kind: 'lost' } {
  if (end.stop?.kind === 'lease-lost') return { kind: 'lost' };
  const policy = resolveRetry(task.retry, record.options.retry);
  const situation = { attempt: record.attempt, policy, random };
  if (end.startError !== undefined && end.stop === undefined)
    return { kind: 'released', delayMs: START_RETRY_MS };

  // A body that finished its work in spite of the stop is done: calling it failed would only run it again. The same
  // holds for its own abort() and for params that do not parse.
  const own = end.result;
  if (own !== undefined && (own.kind !== 'failed' || end.stop === undefined)) {
    return decideOutcome(own, situation);
  }
  if (end.stop === undefined) return { kind: 'released' };
  switch (end.stop.kind) {
    case 'timeout':
      return decideOutcome(timedOut(end.stop, end, policy, record.attempt), situation);
    case 'cancelled':
      return { kind: 'cancelled', reason: end.stop.message };
    case 'shutdown':
      return { kind: 'released' };
    default:
      return unreachable(end.stop.kind);
  }
}

/** The retry policy is asked about a timeout as about any other failure; the body's own words on it are kept. */
function timedOut(stop: StopError, end: ExecutionEnd, policy: RetryPolicy, attempt: number): AttemptResult {
  if (end.result?.kind === 'failed' && end.result.error.reason === 'Timeout') return end.result;
  const retry = end.result?.kind === 'failed' ? end.result.retry : adviseRetry(policy, stop, attempt);
  const body = end.abandoned === true ? ', and went on after its signal aborted' : '';
  const error: RunError = { reason: 'Timeout', name: 'TaskTimeoutError', message: `${stop.message}${body}` };
  return { kind: 'failed', error, retry };
}
