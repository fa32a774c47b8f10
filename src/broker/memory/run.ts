/** A run inside the memory broker: the record plus where it stands. */
import type { Priority, RunError, RunOptions, RunRecord, RunState } from '../../task/run.ts';
import type { ListNode } from '../../runtime/linked-list.ts';

export interface Run {
  readonly id: string;
  readonly task: string;
  readonly priority: Priority;
  readonly params: string;
  readonly options: RunOptions;
  readonly enqueuedAtMs: number;
  state: RunState;
  attempt: number;
  deaths: number;
  dueAtMs: number | undefined;
  expiresAtMs: number | undefined;
  startedAtMs: number | undefined;
  endedAtMs: number | undefined;
  incarnation: string | undefined;
  result: string | undefined;
  error: RunError | undefined;
  cancelReason: string | undefined;
  /** A process died with it: it waits apart, and no consumer holds two such runs. */
  suspect: boolean;
  /** Names the present hand-out; only while running. */
  token: string | undefined;
  /** Why its cancellation was asked for; only while running. */
  cancelRequested: string | undefined;
  /** The table of whoever holds it, alive or dead; only while running. */
  holder: Map<string, Run> | undefined;
  /** Its place in a lane, among the suspects, or among the retained. */
  place: ListNode<Run> | undefined;
  /** Size as counted by the retention budget; only once it has ended. */
  bytes: number;
}

/** A copy for the outside: later moves of the run do not show in it. */
export function recordOf(run: Run, queue: string): RunRecord {
  const record: { -readonly [K in keyof RunRecord]: RunRecord[K] } = {
    id: run.id,
    queue,
    task: run.task,
    priority: run.priority,
    state: run.state,
    params: run.params,
    options: run.options,
    attempt: run.attempt,
    deaths: run.deaths,
    enqueuedAtMs: run.enqueuedAtMs,
  };
  if (run.dueAtMs !== undefined) record.dueAtMs = run.dueAtMs;
  if (run.expiresAtMs !== undefined) record.expiresAtMs = run.expiresAtMs;
  if (run.startedAtMs !== undefined) record.startedAtMs = run.startedAtMs;
  if (run.endedAtMs !== undefined) record.endedAtMs = run.endedAtMs;
  if (run.incarnation !== undefined) record.incarnation = run.incarnation;
  if (run.result !== undefined) record.result = run.result;
  if (run.error !== undefined) record.error = run.error;
  if (run.cancelReason !== undefined) record.cancelReason = run.cancelReason;
  return record;
}
