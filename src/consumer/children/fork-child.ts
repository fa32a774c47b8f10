/** Forks one child: what it gets and how it is tied to this process. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../runtime/clock.ts';
import { ownFile } from '../../runtime/own-files.ts';
import type { TaskLog } from '../../task/define-task.ts';
import type { PoolObserver } from './observer.ts';

export interface ChildOptions {
  readonly tasks: readonly string[];
  readonly cwd: string;
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  readonly execArgv: readonly string[];
  /** What the child must have loaded: it would run another version of a task otherwise. */
  readonly manifestHash: string;
  readonly startTimeoutMs: number;
  /** A ready child that does not begin its run within this time is held up by what an earlier run left behind. */
  readonly beginTimeoutMs: number;
  readonly killGraceMs: number;
  readonly clock: Clock;
  /** The pool's log: for what belongs to no run. */
  readonly log: TaskLog;
  readonly observer: PoolObserver;
}

/** Its one argument is our pid; what it is to load and to run follows by message, where `ps` does not show it. */
export function forkChild(options: ChildOptions): ChildProcess {
  return fork(fileURLToPath(ownFile('consumer/children/child-main')), [String(process.pid)], {
    cwd: options.cwd,
    env: { ...options.env },
    execArgv: [...options.execArgv],
    detached: true, // a process group of its own, so that its own children end with it
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}
