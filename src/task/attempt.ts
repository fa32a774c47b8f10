/** One attempt of a run: what it needs to be invoked, and how its body may end. */
import type { LoadedApp } from './app.ts';
import type { RunRequest } from './request.ts';
import type { RunError, RunRecord } from './run.ts';
import type { AnyTask, Enqueued, TaskLog } from './types.ts';

/** What an error, or `retry.when`, asks for; `policy` leaves it to the counted back-off. */
export type RetryAdvice = 'policy' | 'never' | { readonly delayMs: number };

/** How the body of one attempt ended, before the retry policy has its say. */
export type AttemptResult =
  | { readonly kind: 'succeeded'; readonly result?: string }
  | { readonly kind: 'failed'; readonly error: RunError; readonly retry: RetryAdvice }
  | { readonly kind: 'cancelled'; readonly reason: string }
  /** The params do not parse: see `Outcome`. */
  | { readonly kind: 'rejected'; readonly error: RunError };

export interface Attempt {
  readonly task: AnyTask;
  readonly record: RunRecord;
  readonly app: LoadedApp;
  readonly signal: AbortSignal;
  readonly log: TaskLog;
  /** Hands a child run to the queue; ids are already derived. */
  readonly enqueue: (queue: string, request: RunRequest) => Promise<Enqueued>;
}
