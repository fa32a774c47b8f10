/** What runs the body of one attempt: the event loop (`io`) or a child process (`cpu`), behind one interface. */
import type { AttemptResult } from '../task/invoke.ts';
import type { RunRequest } from '../task/request.ts';
import type { RunRecord } from '../task/run.ts';
import type { AnyTask, Enqueued, TaskLog } from '../task/types.ts';

/** One attempt to be executed. */
export interface ExecuteRequest {
  readonly task: AnyTask;
  readonly record: RunRecord;
  /** Longest time the body may take, ms; counted by the caller from `started()`. An executor needs no timer for it. */
  readonly timeoutMs: number;
  /**
   * Aborts at most once, with a `StopError` as its reason: timeout, cancelled, shutdown or lease-lost.
   * The executor must then settle within its grace: `killGraceMs` for children (SIGTERM, grace, SIGKILL).
   * After a grace that passed, the caller settles the run without waiting and counts the slot as leaked until `execute` returns.
   */
  readonly signal: AbortSignal;
  /** Bound to the run. */
  readonly log: TaskLog;
  /** Hands a child run to the queue and resolves at the broker's answer; ids are already derived. */
  readonly enqueue: (queue: string, request: RunRequest) => Promise<Enqueued>;
  /** To be called when the body begins: waiting for a child process does not count against the timeout. */
  readonly started: () => void;
}

export interface RunExecutor {
  /**
   * Runs the body to its end, or to an abort. Whatever the body does, its failure is a value (`failed`), also after an
   * abort: the caller knows why it aborted and decides what that means.
   *
   * Rejects only when the body never began and the task is not to blame (CHILD_START, a pool that is closed): the run
   * is then released for a moment with no attempt used.
   */
  execute(request: ExecuteRequest): Promise<AttemptResult>;
}

/** The pool of child processes. */
export interface CpuExecutor extends RunExecutor {
  /** False while children do not start (the breaker is open) or the pool is closed: no CPU-bound run is claimed meanwhile. */
  readonly ready: boolean;
}
