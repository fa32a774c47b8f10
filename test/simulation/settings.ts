/** The sizes of a simulated installation: everything that is kept is kept briefly, so that no safeguard hides the lack of another. */
import type { QueueSettings } from '../../src/broker/broker.ts';

export const QUEUE = 'default';
export const INSTALL = 'simulation';
export const START_MS = Date.parse('2026-03-02T08:00:00Z');

export const LEASE_MS = 10_000;
export const DRAIN_MS = 3_000;
export const IO_CONCURRENCY = 8;
/** The task whose every run ends its process. */
export const POISON = 'poison';
export const LIMITED_TASK_CONCURRENCY = 2;
/** Longest way of a call to Redis, and of its answer. */
export const LONGEST_WAY_MS = 80;
/** After this a call on a dead line is given up. */
export const CALL_TIMEOUT_MS = 500;
/** Where a spec is followed by another, slots this close before the change may have been cut off. */
export const EDGE_MS = 600;

export const SETTINGS: QueueSettings = {
  retainSucceededMs: 3_000,
  retainSucceededBytes: 4_000,
  retainFailedMs: 20_000,
  retainFailedBytes: 8_000,
  maxPending: 25,
  maxPendingPerSchedule: 10,
  maxDeliveries: 3,
};
