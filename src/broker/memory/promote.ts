/** Moves due runs to their lanes, ends expired ones, and drops records past their age, a bounded number at a time. */
import type { ConsumerPort } from '../broker.ts';
import type { QueueState } from './queue-state.ts';

/** Runs moved in one call: bounded on Redis, and both brokers decide alike. */
const PROMOTE_CHUNK = 500;

export function promote(queue: QueueState): Awaited<ReturnType<ConsumerPort['promote']>> {
  const nowMs = queue.clock.now();
  let promoted = 0;
  let expired = 0;
  let dropped = 0;
  while (expired < PROMOTE_CHUNK && expireOne(queue, nowMs)) expired += 1;
  while (promoted < PROMOTE_CHUNK && promoteOne(queue, nowMs)) promoted += 1;
  while (dropped < PROMOTE_CHUNK && queue.retention.dropOneDue(nowMs)) dropped += 1;
  const { nextDueAtMs } = queue;
  const more = nextDueAtMs !== undefined && nextDueAtMs <= nowMs;
  return { promoted, expired, dropped, more, ...(nextDueAtMs === undefined ? {} : { nextDueAtMs }) };
}

function expireOne(queue: QueueState, nowMs: number): boolean {
  const id = queue.expiring.takeDue(nowMs);
  const run = id === undefined ? undefined : queue.runs.get(id);
  if (run !== undefined) queue.end(run, 'expired', {});
  return run !== undefined;
}

function promoteOne(queue: QueueState, nowMs: number): boolean {
  const id = queue.delayed.takeDue(nowMs);
  const run = id === undefined ? undefined : queue.runs.get(id);
  if (run === undefined) return false;
  queue.withdraw(run);
  queue.putPending(run, 'back');
  return true;
}
