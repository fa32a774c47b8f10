/** What a run is: its record, its states, how it may move between them, and how it may end. */

export const PRIORITIES = ['high', 'medium', 'low'] as const;
/** Weighted, never strict: high, medium and low work is taken in the proportion 100 : 10 : 1 while all three wait. */
export type Priority = (typeof PRIORITIES)[number];

/** Where a run executes: in the consumer's event loop, or in a child process of its own. */
export const EXECUTORS = ['io', 'cpu'] as const;
export type Executor = (typeof EXECUTORS)[number];

/**
 * - `pending`: waits in its lane
 * - `delayed`: waits for its time (`runAt`, jitter, or the back-off of a retry)
 * - `running`: held by an incarnation
 * - `succeeded`, `failed`, `cancelled`, `expired`: ended; a `failed` run is a dead letter and can be redriven
 */
export const RUN_STATES = [
  'pending',
  'delayed',
  'running',
  'succeeded',
  'failed',
  'cancelled',
  'expired',
] as const;
export type RunState = (typeof RUN_STATES)[number];
export type TerminalState = 'succeeded' | 'failed' | 'cancelled' | 'expired';

/** Every legal move of a run. `enqueue` makes the first state; what is not listed here must not happen in any broker. */
export const TRANSITIONS: Readonly<Record<RunState, readonly RunState[]>> = {
  pending: ['running', 'cancelled', 'expired'],
  // delayed → running: handed out a moment before it is due, to a consumer that waits with it.
  delayed: ['pending', 'running', 'cancelled', 'expired'],
  // running → pending: released or recovered; running → delayed: retry; running → failed also by too many deaths.
  running: ['succeeded', 'failed', 'cancelled', 'expired', 'pending', 'delayed'],
  succeeded: [],
  failed: ['pending'], // redrive
  cancelled: [],
  expired: [],
};

export function isTerminal(state: RunState): state is TerminalState {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled' || state === 'expired';
}

/** Who asked for a run; `unknown`: its record is damaged, so that it can be shown but never executed. */
export const RUN_SOURCES = ['schedule', 'trigger', 'api', 'cli', 'task', 'unknown'] as const;
export type RunSource = (typeof RUN_SOURCES)[number];

/** Why an attempt failed. A closed list: the same words in records, logs, metrics and the CLI. */
export const FAILURE_REASONS = [
  'Error', // the task threw
  'NonRetryable', // the task threw NonRetryableError, or its retry policy said no
  'Timeout', // longer than the task's timeout
  'HeapOutOfMemory', // the child reached V8's heap limit
  'Killed', // the child was ended by a signal that was not ours (often the kernel's OOM killer)
  'Crashed', // the child ended with a non-zero code
  'ExitedSilently', // the child ended with code 0 and no result
  'Lost', // the child went away in a way we cannot tell apart
  'InvalidParams', // the params do not fit the schema of any live version of the task
  'InvalidResult', // the returned value is not JSON
  'ResultTooLarge', // the returned value is over 64 KiB
  'TooManyDeliveries', // it ended maxDeliveries processes while it was the only suspect
  'MalformedRecord', // the record in Redis cannot be read
] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

/** What is kept of a failure. Sizes are capped by whoever makes it: message 1,024 and stack 4,096 characters. */
export interface RunError {
  readonly reason: FailureReason;
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

/** The part of a task's retry policy that an object or a producer may override for one run. */
export interface RetryOverrides {
  readonly attempts?: number;
  readonly backoffMs?: number;
  readonly maxBackoffMs?: number;
}

/** The schedule that a run came from. `namespace` and `name` come from the object's metadata and from nowhere else. */
export interface RunSchedule {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** Nominal fire time, ms since the epoch; absent for a run triggered by hand. */
  readonly slotMs?: number;
}

/** What travels with a run besides its params; opaque to the queue's scripts. */
export interface RunOptions {
  readonly source: RunSource;
  readonly timeoutMs?: number;
  readonly retry?: RetryOverrides;
  readonly parentId?: string;
  readonly rootId?: string;
  readonly schedule?: RunSchedule;
}

/** A run as the queue knows it. All instants are ms since the epoch by the broker's clock. */
export interface RunRecord {
  readonly id: string;
  readonly queue: string;
  readonly task: string;
  readonly priority: Priority;
  readonly state: RunState;
  /** JSON text of the params as enqueued. */
  readonly params: string;
  readonly options: RunOptions;
  /** Attempts begun and counted so far; a running run is in attempt number `attempt` (first: 1). Released attempts do not count. */
  readonly attempt: number;
  /** How many processes ended while this run was their only suspect. */
  readonly deaths: number;
  readonly enqueuedAtMs: number;
  /** When a delayed run becomes ready. */
  readonly dueAtMs?: number;
  /** A run not claimed by then ends as `expired`. */
  readonly expiresAtMs?: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  /** Incarnation that holds, or last held, the run. */
  readonly incarnation?: string;
  /** JSON text of the returned value; `succeeded` only. */
  readonly result?: string;
  /** Why the last attempt failed, or why the run was cancelled or expired. */
  readonly error?: RunError;
  readonly cancelReason?: string;
}

/**
 * How one attempt ended, as the consumer settles it.
 * - `retry`: back to `delayed` for `delayMs`
 * - `released`: back to `pending` with no attempt used (shutdown, lease given up); `delayMs` keeps it away for a moment
 * - `rejected`: params do not parse here. Goes back with no attempt used while a live consumer publishes another
 *   schema of the task, and fails with `InvalidParams` otherwise: the broker decides, atomically
 */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly result?: string }
  | { readonly kind: 'failed'; readonly error: RunError }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: RunError }
  | { readonly kind: 'released'; readonly delayMs?: number }
  | { readonly kind: 'cancelled'; readonly reason: string }
  | { readonly kind: 'rejected'; readonly error: RunError };
