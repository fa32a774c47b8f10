/** Tells the app of failures that its tasks' own code could not tell: timeouts, and children that died. */
import type { LoadedApp } from '../task/app.ts';
import type { FailureReason, Outcome, RunRecord } from '../task/run.ts';
import { runInfo } from '../task/run-scope.ts';
import type { AnyTask, TaskLog } from '../task/types.ts';
import type { ExecutionEnd } from './execute.ts';

/** Where the process of the body ended before it could call `onFailure`. */
const DEATHS: readonly FailureReason[] = ['HeapOutOfMemory', 'Killed', 'Crashed', 'ExitedSilently', 'Lost'];

export interface OutsideFailure {
  readonly app: Pick<LoadedApp, 'onFailure'>;
  readonly task: AnyTask;
  readonly record: RunRecord;
  readonly end: ExecutionEnd;
  readonly outcome: Extract<Outcome, { kind: 'failed' | 'retry' }>;
  readonly log: TaskLog;
}

/** `onFailure` never rejects; nothing waits for it. */
export function tellOfOutsideFailure({ app, task, record, end, outcome, log }: OutsideFailure): void {
  if (end.stop === undefined && !DEATHS.includes(outcome.error.reason)) return;
  const { error } = outcome;
  void app.onFailure({
    task: { name: task.name },
    run: runInfo(record),
    error,
    final: outcome.kind === 'failed',
    log,
  });
}
