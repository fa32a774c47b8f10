/** What to do when a watch, or the list before it, is over: pure. */
import { apiStatusOf } from './api-error.ts';
import { kubeBackoffMs } from './backoff.ts';
import type { RestartReason } from './observer.ts';
import { UnreadableEventError, WatchSilentError } from './watch-stream.ts';

export interface WatchEnd {
  readonly reason: RestartReason;
  /** Absent for what is no fault. */
  readonly error?: unknown;
  /** The server asks to be left alone for this long, ms. */
  readonly retryAfterMs?: number;
}

export interface NextTurn {
  /** Where to begin: with a full list, or with a watch from the version that was reached. */
  readonly begin: 'list' | 'watch';
  readonly delayMs: number;
  /** In a row, after this one. */
  readonly failures: number;
}

/** A watch that lived this long was healthy; one that ends sooner is a failure, however politely, or it would be a hot loop. */
export const HEALTHY_MS = 5_000;

/** From what a list or a watch threw. @param nowMs - wall clock */
export function endOf(error: unknown, nowMs: number): WatchEnd {
  if (error instanceof WatchSilentError) return { reason: 'silence' };
  const { code, retryAfterMs } = apiStatusOf(error, nowMs);
  if (code === 410) return { reason: 'gone', error };
  return { reason: 'error', error, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/**
 * @param watchedMs - how long the watch was open; 0 when it did not come to that
 * @param failures - in a row, before this one
 */
export function nextTurn(end: WatchEnd, watchedMs: number, failures: number, random: () => number): NextTurn {
  const isHealthy = watchedMs >= HEALTHY_MS;
  const begin = beginsWithList(end) ? 'list' : 'watch';
  if (isHealthy && end.reason !== 'error') return { begin, delayMs: 0, failures: 0 };
  const inARow = isHealthy ? 1 : failures + 1;
  const delayMs = Math.max(kubeBackoffMs(inARow, random), end.retryAfterMs ?? 0);
  return { begin, delayMs, failures: inARow };
}

function beginsWithList({ reason, error }: WatchEnd): boolean {
  if (reason === 'gone' || reason === 'rewound' || reason === 'relist') return true;
  return error instanceof UnreadableEventError;
}
