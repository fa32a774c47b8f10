/** Where statuses are written: the port that the Kubernetes room fills. */
import type { ScheduledTaskStatus } from '../resource/scheduled-task.ts';

export interface StatusWrite {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** The write applies to this very version of the object, or not at all. */
  readonly resourceVersion: string;
  /** Whole: what it leaves out is gone after the write. */
  readonly status: ScheduledTaskStatus;
}

/**
 * - `conflict`: the object has another version by now
 * - `gone`: there is no such object
 * - `refused`: the server does not take this status, and would not take it a second later either
 */
export type StatusOutcome = 'applied' | 'conflict' | 'gone' | 'refused';

export interface StatusStore {
  /**
   * @throws when the server is out of reach, overloaded or broken: everything waits a moment. `retryAfterMs` of the error,
   *   where there is one, says how long at least
   */
  apply(write: StatusWrite): Promise<StatusOutcome>;
}

export type StatusLane = 'urgent' | 'refresh';

/** What metrics see: called synchronously, must be quick and not throw. */
export interface StatusObserver {
  wrote(event: {
    readonly lane: StatusLane;
    readonly outcome: StatusOutcome | 'failed';
    readonly durationMs: number;
  }): void;
  /** How many objects wait for a write, after each change. */
  waiting(event: Readonly<Record<StatusLane, number>>): void;
}

export const SILENT_STATUS_OBSERVER: StatusObserver = { wrote: () => undefined, waiting: () => undefined };
