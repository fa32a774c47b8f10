/** Adopt, withdraw and the reads of schedules in memory. */
import { TOMBSTONE_KEPT_MS, type AdoptReply, type AdoptRequest, type SchedulePort } from '../broker.ts';
import { fire } from './fire.ts';
import type { QueueState } from './queue-state.ts';
import { ask, forgetRequests, waiting } from './requests.ts';
import { beginEra, closeEra, newEntry, type ScheduleEntry, stateOf } from './schedule-entry.ts';

export function createSchedulePort(queue: QueueState): SchedulePort {
  return {
    adopt: async (requests) => queue.transition(() => requests.map((request) => adopt(queue, request))),
    fire: async (requests) => queue.transition(() => requests.map((request) => fire(queue, request))),
    request: async (uid, asked) => queue.transition(() => ask(queue, uid, asked)),
    requested: async (install, limit) => waiting(queue, install, limit),
    withdraw: async (uids) => {
      for (const uid of uids) withdraw(queue, uid);
      forgetOldTombstones(queue);
    },
    states: async (uids) =>
      uids.map((uid) => {
        const entry = queue.schedules.get(uid);
        return entry && stateOf(entry);
      }),
    adopted: async (install) =>
      [...queue.schedules.values()]
        .filter((entry) => entry.install === install && entry.withdrawnAtMs === undefined)
        .map(({ uid, namespace, name }) => ({ uid, namespace, name })),
    decisions: async (uid, { fromMs = -Infinity, toMs = Infinity, limit }) => {
      const touching = queue.schedules
        .get(uid)
        ?.log.filter((record) => record.toMs >= fromMs && record.fromMs <= toMs);
      return touching === undefined || limit <= 0 ? [] : touching.slice(-limit);
    },
    eras: async (uid) => [...(queue.schedules.get(uid)?.eras ?? [])],
  };
}

function adopt(queue: QueueState, request: AdoptRequest): AdoptReply {
  const known = queue.schedules.get(request.uid);
  const withdrawn = known?.withdrawnAtMs !== undefined;
  if (known !== undefined) {
    if (known.generation === request.generation && !withdrawn)
      return { outcome: 'current', state: stateOf(known) };
    if ((withdrawn || known.generation > request.generation) && request.force !== true) {
      return { outcome: 'stale', generation: known.generation, withdrawn };
    }
    if (!withdrawn && isLate(request, known, queue.clock.now())) return { outcome: 'late' };
  }
  const entry = known ?? newEntry(request);
  queue.schedules.set(entry.uid, entry);
  beginEra(entry, request, queue.clock.now());
  return { outcome: 'adopted', state: stateOf(entry) };
}

/** The generation in force is not the one that was closed, or a slot of it is due again. */
function isLate({ closed }: AdoptRequest, { generation }: ScheduleEntry, nowMs: number): boolean {
  if (closed === undefined) return false;
  return closed.generation !== generation || nowMs > (closed.notAfterMs ?? Infinity);
}

function withdraw(queue: QueueState, uid: string): void {
  const entry = queue.schedules.get(uid);
  if (entry === undefined || entry.withdrawnAtMs !== undefined) return;
  entry.withdrawnAtMs = queue.clock.now();
  closeEra(entry, entry.withdrawnAtMs);
  forgetRequests(queue, uid);
}

function forgetOldTombstones(queue: QueueState): void {
  const oldestMs = queue.clock.now() - TOMBSTONE_KEPT_MS;
  for (const [uid, { withdrawnAtMs }] of queue.schedules) {
    if (withdrawnAtMs !== undefined && withdrawnAtMs < oldestMs) queue.schedules.delete(uid);
  }
}
