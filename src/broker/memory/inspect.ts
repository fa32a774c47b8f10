/** Reads and switches for people, on a queue in memory. */
import type { Priority } from '../../task/run.ts';
import {
  MANIFEST_KEPT_MS,
  SILENT_CONSUMER_MS,
  type InspectPort,
  type QueueStats,
  type TaskStats,
} from '../broker.ts';
import type { Incarnation, QueueState } from './queue-state.ts';
import { search } from './search.ts';

export function createInspectPort(queue: QueueState): InspectPort {
  return {
    stats: async (lookAheadMs = 0) => stats(queue, lookAheadMs),
    tasks: async () => taskStats(queue),
    consumers: async () =>
      [...queue.incarnations.values()].map(({ id, manifest, consumer, held, leaseExpiresAtMs }) => ({
        ...{ incarnation: id, host: consumer.host, pid: consumer.pid, version: consumer.version },
        ...{ manifestHash: manifest.hash, held: held.size, leaseExpiresAtMs },
      })),
    manifests: async () => manifests(queue),
    runs: async (filter) => search(queue, filter),
    setQueuePaused: async (paused) => queue.transition(() => pauseQueue(queue, paused)),
    setTaskPaused: async (task, paused) => queue.transition(() => pauseTask(queue, task, paused)),
    purge: async (reason, limit) => queue.transition(() => purge(queue, reason, limit)),
  };
}

function stats(queue: QueueState, lookAheadMs: number): QueueStats {
  const nowMs = queue.clock.now();
  let oldestPendingAgeMs = 0;
  let dueSoon = 0;
  for (const run of queue.runs.values()) {
    if (run.state === 'pending')
      oldestPendingAgeMs = Math.max(oldestPendingAgeMs, nowMs - (run.dueAtMs ?? run.enqueuedAtMs));
    if (run.state === 'delayed' && (run.dueAtMs ?? 0) <= nowMs + lookAheadMs) dueSoon += 1;
  }
  return {
    ...{ queue: queue.name, ...queue.counts, paused: queue.paused, oldestPendingAgeMs, dueSoon },
    ...{ retainedSucceeded: queue.retention.otherCount, retainedFailed: queue.retention.failedCount },
    ...{ retainedBytes: queue.retention.bytes, consumers: leasedIncarnations(queue).length },
    maxPending: queue.settings.maxPending,
  };
}

/** Those that were heard of in time: a consumer that died stays registered until a recovery pass ends it. */
function leasedIncarnations(queue: QueueState): readonly Incarnation[] {
  const nowMs = queue.clock.now();
  return [...queue.incarnations.values()].filter(({ leaseExpiresAtMs }) => leaseExpiresAtMs > nowMs);
}

/** Every task that a kept manifest names, that has runs waiting or running, or that is paused; by name. */
function taskStats(queue: QueueState): readonly TaskStats[] {
  const names = new Set([...queue.tasks.all()].map((entry) => entry.name));
  const pending = new Map<string, Record<Priority, number>>();
  for (const run of queue.runs.values()) {
    if (run.state !== 'pending') continue;
    const counts = pending.get(run.task) ?? { high: 0, medium: 0, low: 0 };
    counts[run.priority] += 1;
    pending.set(run.task, counts);
  }
  const live = new Set(leasedIncarnations(queue).flatMap(({ taskNames }) => [...taskNames]));
  return [...names].sort().map((name) => {
    const { executor, maxConcurrency, running, paused } = queue.tasks.entry(name);
    return {
      ...{ task: name, executor: executor ?? ('unknown' as const), running, paused, known: live.has(name) },
      ...{ pending: pending.get(name) ?? { high: 0, medium: 0, low: 0 } },
      ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
    };
  });
}

/** Until when the last lease lasts of those who publish the manifest, ms; -Infinity when nobody does. */
function lastLeaseOf(queue: QueueState, hash: string): number {
  const publishers = [...queue.incarnations.values()].filter(({ manifest }) => manifest.hash === hash);
  return Math.max(...publishers.map(({ leaseExpiresAtMs }) => leaseExpiresAtMs));
}

function manifests(queue: QueueState): Awaited<ReturnType<InspectPort['manifests']>> {
  const nowMs = queue.clock.now();
  return [...queue.manifests.values()]
    .map(({ manifest, lastSeenMs }) => {
      const heardMs = lastLeaseOf(queue, manifest.hash);
      const live = nowMs - heardMs < SILENT_CONSUMER_MS;
      return { manifest, live, lastSeenMs: live ? nowMs : Math.max(heardMs, lastSeenMs) };
    })
    .filter(({ lastSeenMs }) => nowMs - lastSeenMs <= MANIFEST_KEPT_MS)
    .sort((a, b) => Number(b.live) - Number(a.live) || b.lastSeenMs - a.lastSeenMs);
}

function pauseQueue(queue: QueueState, paused: boolean): void {
  queue.paused = paused;
  if (!paused) queue.wakeBoard.wake(queue.counts.pending, () => true);
}

function pauseTask(queue: QueueState, task: string, paused: boolean): void {
  queue.tasks.entry(task).paused = paused;
  queue.lanes.refresh(task);
  if (!paused) queue.wakeForReady(task, Infinity);
}

function purge(
  queue: QueueState,
  reason: string,
  limit: number,
): { readonly cancelled: number; readonly more: boolean } {
  let cancelled = 0;
  for (const run of queue.runs.values()) {
    if (run.state !== 'pending' && run.state !== 'delayed') continue;
    if (cancelled >= limit) return { cancelled, more: true };
    queue.end(run, 'cancelled', { cancelReason: reason });
    cancelled += 1;
  }
  return { cancelled, more: false };
}
