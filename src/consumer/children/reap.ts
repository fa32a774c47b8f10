/** Waits for the end of a child process: its exit, the rest of its group, and the last bytes of its pipes. */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { signalGroup } from './terminate.ts';

export interface Reaped {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** There never was a process (no memory, no process left, no such folder). */
  readonly notForked?: string;
}

/** After the exit, how long the pipes may stay open: a process that left the group can hold them for ever. */
const CLOSE_GRACE_MS = 1_000;

export function reap(child: ChildProcess, clock: Clock): Promise<Reaped> {
  const { promise, resolve } = Promise.withResolvers<Reaped>();
  child.on('error', (error) => {
    // With a pid it is a failed message or signal, and the exit is still to come.
    if (child.pid === undefined) resolve({ code: null, signal: null, notForked: messageOf(error) });
  });
  child.once('exit', (code, signal) => {
    signalGroup(child.pid ?? 0, 'SIGKILL'); // what it started and left behind
    const limit = clock.after(CLOSE_GRACE_MS, () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve({ code, signal });
    });
    // By now every message and every line that it sent has been read.
    child.once('close', () => {
      limit[Symbol.dispose]();
      resolve({ code, signal });
    });
  });
  return promise;
}

export function describeExit({ code, signal, notForked }: Reaped): string {
  if (notForked !== undefined) return notForked;
  return signal === null ? `it ended with code ${code ?? 'unknown'}` : `it was ended by ${signal}`;
}
