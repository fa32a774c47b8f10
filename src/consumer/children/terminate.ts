/** Ends a child and everything that it started: SIGTERM, a grace, SIGKILL, always to the whole process group. */
import type { Clock } from '../../runtime/clock.ts';

/** A child that leads a process group of its own (`detached`). */
export interface GroupLeader {
  readonly pid: number;
  /** Resolves when the process has ended. Never rejects. */
  readonly exited: Promise<unknown>;
}

/**
 * Signals a whole process group. A process that left the group (`setsid`) is not reached.
 * @returns false when no process of it is left
 */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  // kill(0) would reach our own group and kill(-1) every process there is: no fork ever gives such a pid.
  if (pid <= 1) return false;
  try {
    return process.kill(-pid, signal);
  } catch {
    // ESRCH: nothing is left. EPERM: what is left runs as another user, and is not ours to end.
    return false;
  }
}

/**
 * Asks a group to end, and makes it when the grace is over. The timer lives here and not in the child, because a
 * child that spins serves neither messages nor signals.
 * @returns when the leader has ended
 */
export async function terminateGroup(leader: GroupLeader, clock: Clock, graceMs: number): Promise<void> {
  signalGroup(leader.pid, 'SIGTERM');
  await killAfter(leader, clock, graceMs);
}

/** Gives a group time to end by itself. */
export async function killAfter(leader: GroupLeader, clock: Clock, graceMs: number): Promise<void> {
  using _kill = clock.after(graceMs, () => signalGroup(leader.pid, 'SIGKILL'));
  await leader.exited;
}
