/** The way out: runs get their time, then their signal aborts, then what is left goes back. Every step is bounded. */
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../telemetry/log.ts';
import type { QueueWorker } from './queue-worker.ts';

/** For the settlements of aborted runs to be answered. */
const SETTLE_MS = 1_000;
/** For the broker to end our registration. */
const LEAVE_MS = 1_000;

export interface DrainOptions {
  readonly workers: readonly QueueWorker[];
  readonly clock: Clock;
  readonly log: Log;
  /** How long runs may go on. */
  readonly drainMs: number;
  /** How long the slowest of the runs that are still busy may take to end after its abort. */
  readonly graceMs: () => number;
}

export async function drain({ workers, clock, log, drainMs, graceMs }: DrainOptions): Promise<void> {
  const drained = Promise.all(workers.map((worker) => worker.drained()));
  let rest = await within(clock, drainMs, drained);
  if (!rest) {
    for (const worker of workers) worker.stopRuns();
    rest = await within(clock, graceMs() + SETTLE_MS, drained);
  }
  if (!rest) {
    // The broker does not answer, or a body does not end: leaving gives the runs back, or recovery will.
    log.warn('consumer leaves with runs unsettled', {
      held: workers.reduce((sum, worker) => sum + worker.held, 0),
    });
  }
  const left = await within(clock, LEAVE_MS, Promise.all(workers.map((worker) => leave(worker, log))));
  if (!left) log.warn('broker did not answer the farewell: its recovery gives back what is held', {});
}

async function leave(worker: QueueWorker, log: Log): Promise<void> {
  try {
    await worker.leave();
  } catch (error) {
    log.warn('farewell failed: recovery gives back what is held', { err: error });
  }
}

/** Whether `promise` resolved within `maxMs`. */
export async function within(clock: Clock, maxMs: number, promise: Promise<unknown>): Promise<boolean> {
  const done = new AbortController();
  void promise.then(() => done.abort());
  await clock.sleep(maxMs, done.signal);
  return done.signal.aborted;
}
