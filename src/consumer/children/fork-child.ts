/** Forks one child: what it gets and how it is tied to this process. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../runtime/clock.ts';
import { ownFile } from '../../runtime/own-files.ts';
import type { TaskLog } from '../../task/define-task.ts';
import type { PoolObserver } from './observer.ts';
import { type ChildPermissions, NO_THREADS, permissionFlags } from './permissions.ts';

export interface ChildOptions {
  readonly tasks: readonly string[];
  readonly cwd: string;
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  readonly execArgv: readonly string[];
  /** Absent: what this process may do. */
  readonly permissions?: ChildPermissions | undefined;
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

/** Its first argument is our pid; what it is to load and to run follows by message, where `ps` does not show it. */
export function forkChild(options: ChildOptions): ChildProcess {
  const { permissions } = options;
  const noThreads = permissions !== undefined && !permissions.allow.includes('worker');
  const args = [String(process.pid), ...(noThreads ? [NO_THREADS] : [])];
  return fork(fileURLToPath(ownFile('consumer/children/child-main')), args, {
    cwd: options.cwd,
    env: { ...options.env },
    execArgv: [
      ...(permissions === undefined ? [] : permissionFlags(permissions, options)),
      ...options.execArgv,
    ],
    detached: true, // a process group of its own, so that its own children end with it
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}
