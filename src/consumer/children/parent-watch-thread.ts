/** The thread of `parent-watch.ts`: compares the parent's pid, because a dead parent's children get another one. */
import { workerData } from 'node:worker_threads';
import { systemClock } from '../../runtime/clock.ts';
import { endOwnGroup, WATCH_INTERVAL_MS } from './parent-watch.ts';

const parentPid: unknown = workerData;
while (true) {
  if (process.ppid !== parentPid) endOwnGroup();
  await systemClock.sleep(WATCH_INTERVAL_MS);
}
