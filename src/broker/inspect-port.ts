/** The contract of what people see and switch. Part of `broker.ts`, whose rules hold here too. */
import type { TaskManifest } from '../task/manifest.ts';
import type { Executor, Priority, RunRecord, RunState } from '../task/run.ts';

export interface QueueStats {
  readonly queue: string;
  readonly pending: number;
  readonly delayed: number;
  readonly running: number;
  readonly retainedSucceeded: number;
  readonly retainedFailed: number;
  readonly retainedBytes: number;
  /** Most pending and delayed runs: more are refused as `full`. */
  readonly maxPending: number;
  readonly paused: boolean;
  /** How long the oldest ready run has waited, ms; 0 when none waits. */
  readonly oldestPendingAgeMs: number;
  readonly consumers: number;
  /** Delayed runs that become ready within the look-ahead given. */
  readonly dueSoon: number;
}

export interface TaskStats {
  readonly task: string;
  readonly executor: Executor | 'unknown';
  readonly pending: Readonly<Record<Priority, number>>;
  readonly running: number;
  readonly maxConcurrency?: number;
  readonly paused: boolean;
  /** Whether a live consumer can run it. */
  readonly known: boolean;
}

export interface ConsumerInfo {
  readonly incarnation: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly manifestHash: string;
  readonly held: number;
  readonly leaseExpiresAtMs: number;
}

/** Most records that one search looks at. */
export const SEARCH_CAP = 10_000;

/**
 * Which runs to find. What is found are the newest `limit` matching runs over all the states asked for (default: all),
 * newest first: ended runs by `endedAtMs`, the others by `enqueuedAtMs`, equal instants in the order of their ids.
 *
 * At most 10,000 records are looked at (`SEARCH_CAP`). Runs that are held, in lanes, delayed, failed, and otherwise ended have equal shares
 * of them, and a kind that needs less leaves the rest to the others. In a share, lanes are read from their tails, delayed
 * runs from the last due, and ended ones from the last ended: what lies beyond it is not found, however new.
 */
export interface RunFilter {
  readonly states?: readonly RunState[];
  readonly task?: string;
  readonly scheduleUid?: string;
  readonly limit: number;
}

export interface RunPage {
  /** Newest first, as `RunFilter` says. */
  readonly runs: readonly RunRecord[];
  /** How many records were looked at. */
  readonly searched: number;
  /** Whether `runs` is everything that matches: false when `limit` cut it, or when records were left unread. */
  readonly complete: boolean;
}

/** Reads and switches for people. Reads are bounded; none is on a hot path. */
export interface InspectPort {
  stats(lookAheadMs?: number): Promise<QueueStats>;
  tasks(): Promise<readonly TaskStats[]>;
  consumers(): Promise<readonly ConsumerInfo[]>;
  /** Live first, then those that outlive their consumers for 7 days. */
  manifests(): Promise<
    readonly { readonly manifest: TaskManifest; readonly live: boolean; readonly lastSeenMs: number }[]
  >;
  runs(filter: RunFilter): Promise<RunPage>;
  setQueuePaused(paused: boolean): Promise<void>;
  setTaskPaused(task: string, paused: boolean): Promise<void>;
  /** Drops every pending and delayed run (as `cancelled`), at most `limit` a call. */
  purge(reason: string, limit: number): Promise<{ readonly cancelled: number; readonly more: boolean }>;
}
