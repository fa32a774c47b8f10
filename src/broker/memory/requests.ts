/** The mailbox of a queue: runs by hand that were asked for, and wait until an engine fires them. */
import { MAILBOX_CAP, type RequestedRun, type RequestOutcome } from '../broker.ts';
import type { QueueState } from './queue-state.ts';

export function ask(
  queue: QueueState,
  uid: string,
  { request, params }: Pick<RequestedRun, 'request' | 'params'>,
): RequestOutcome {
  const schedule = queue.schedules.get(uid);
  if (schedule === undefined || schedule.withdrawnAtMs !== undefined) return 'unknown';
  const waits = queue.requested.some((asked) => asked.uid === uid && asked.request === request);
  if (waits || schedule.requests.includes(request)) return 'duplicate';
  if (queue.requested.length >= MAILBOX_CAP) return 'full';
  const requestedAtMs = queue.clock.now();
  queue.requested.push({ uid, request, requestedAtMs, ...(params !== undefined && { params }) });
  return 'requested';
}

/** Those of schedules of that install, oldest first. */
export function waiting(queue: QueueState, install: string, limit: number): readonly RequestedRun[] {
  return queue.requested
    .filter(({ uid }) => queue.schedules.get(uid)?.install === install)
    .slice(0, Math.max(0, limit));
}

export function takeRequest(queue: QueueState, uid: string, request: string): void {
  remove(queue.requested, (asked) => asked.uid === uid && asked.request === request);
}

export function forgetRequests(queue: QueueState, uid: string): void {
  remove(queue.requested, (asked) => asked.uid === uid);
}

function remove(requested: RequestedRun[], isGone: (asked: RequestedRun) => boolean): void {
  for (let index = requested.length - 1; index >= 0; index -= 1) {
    const asked = requested[index];
    if (asked !== undefined && isGone(asked)) requested.splice(index, 1);
  }
}
