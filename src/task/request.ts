/** What anyone hands to the queue to get a run. */
import type { Priority, RunOptions } from './run.ts';

/** A run to be made. */
export interface RunRequest {
  readonly id: string;
  readonly task: string;
  readonly priority: Priority;
  readonly params: string;
  readonly options: RunOptions;
  /** Ready at this instant of the broker's clock. At most one of `runAtMs` and `delayMs`. */
  readonly runAtMs?: number;
  /** Ready this long after the broker gets it. */
  readonly delayMs?: number;
  /** Ends as `expired` when not claimed within this time from its being ready. */
  readonly expiresInMs?: number;
}
