/** Ends a child whose parent has died, even while its event loop is busy: the watch is a thread of its own. */
import { Worker } from 'node:worker_threads';
import { ownFile } from '../../runtime/own-files.ts';
import { ownPermissionFlags } from './permissions.ts';

/** How often the thread looks for its parent, ms: the time that an orphan lives on. */
export const WATCH_INTERVAL_MS = 500;

/** Starts the watch. Without it the child must not run: a spinning orphan would go on for ever. */
export function watchParent(parentPid: number): void {
  const thread = new Worker(ownFile('consumer/children/parent-watch-thread'), {
    workerData: parentPid,
    execArgv: [...ownPermissionFlags()],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
  });
  thread.on('error', (error) => {
    throw error;
  });
  thread.unref();
}

/** Kills this process and all that it started. Works from any thread; needs no event loop. */
export function endOwnGroup(): void {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    process.kill(process.pid, 'SIGKILL'); // started by hand, without a group of its own
  }
}
