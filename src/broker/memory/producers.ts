/** What producers do with a queue in memory. */
import type { RunRecord } from '../../task/run.ts';
import { isTerminal } from '../../task/run.ts';
import type { RunRequest } from '../../task/request.ts';
import type { CancelOutcome, EnqueueOutcome, ProducerPort, RedriveOutcome } from '../broker.ts';
import type { QueueState } from './queue-state.ts';
import { recordOf, type Run } from './run.ts';

export function createProducerPort(queue: QueueState): ProducerPort {
  return {
    enqueue: async (requests) => queue.transition(() => requests.map((request) => enqueue(queue, request))),
    cancel: async (ids, reason) => queue.transition(() => ids.map((id) => cancel(queue, id, reason))),
    redrive: async (ids) => queue.transition(() => ids.map((id) => redrive(queue, id))),
    get: async (id) => {
      const run = queue.runs.get(id);
      return run && recordOf(run, queue.name);
    },
    waitForEnd: (id, { timeoutMs, signal }) => waitForEnd(queue, id, timeoutMs, signal),
  };
}

function enqueue(queue: QueueState, request: RunRequest): EnqueueOutcome {
  if (queue.runs.has(request.id)) return 'duplicate';
  if (queue.isFull) return 'full';
  const { id, task, priority, params, options, runAtMs, delayMs, expiresInMs } = request;
  const waitMs = runAtMs === undefined ? (delayMs ?? 0) : runAtMs - queue.clock.now();
  const expiresAtMs =
    expiresInMs === undefined ? undefined : queue.clock.now() + Math.max(0, waitMs) + expiresInMs;
  queue.add({ id, task, priority, params, options, delayMs: waitMs, expiresAtMs });
  return 'enqueued';
}

function cancel(queue: QueueState, id: string, reason: string): CancelOutcome {
  const run = queue.runs.get(id);
  if (run === undefined) return 'not-found';
  if (isTerminal(run.state)) return 'ended';
  if (run.state === 'running') {
    run.cancelRequested ??= reason;
    return 'requested';
  }
  queue.end(run, 'cancelled', { cancelReason: reason });
  return 'cancelled';
}

function redrive(queue: QueueState, id: string): RedriveOutcome {
  const run = queue.runs.get(id);
  if (run === undefined) return 'not-found';
  if (run.state !== 'failed') return 'not-failed';
  queue.retention.release(run);
  run.attempt = 0;
  run.deaths = 0;
  run.dueAtMs = undefined;
  run.expiresAtMs = undefined;
  run.startedAtMs = undefined;
  run.endedAtMs = undefined;
  run.incarnation = undefined;
  run.error = undefined;
  queue.scheduleOf(run)?.inFlight.set(run.id, run);
  queue.putPending(run, 'back');
  return 'redriven';
}

function waitForEnd(
  queue: QueueState,
  id: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<RunRecord | 'not-found' | undefined> {
  const run = queue.runs.get(id);
  if (run === undefined) return Promise.resolve('not-found');
  if (isTerminal(run.state)) return Promise.resolve(recordOf(run, queue.name));
  if (signal?.aborted === true) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const finish = (ended?: Run): void => {
      timer[Symbol.dispose]();
      signal?.removeEventListener('abort', giveUp);
      queue.endListeners.get(id)?.delete(finish);
      resolve(ended && recordOf(ended, queue.name));
    };
    const giveUp = (): void => finish();
    const timer = queue.clock.after(timeoutMs, giveUp);
    signal?.addEventListener('abort', giveUp, { once: true });
    const listeners = queue.endListeners.get(id) ?? new Set();
    queue.endListeners.set(id, listeners.add(finish));
  });
}
