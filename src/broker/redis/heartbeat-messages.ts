/**
 * What the heartbeat's thread and the event loop say to each other; each side looks at what it gets. The thread's side does
 * so by hand: the library for schemas would be most of what a consumer's thread loads, in time and in memory.
 */
import type { RedisAddress } from './client.ts';

/** Given to the thread at its start. */
export interface HeartbeatSetup {
  readonly address: RedisAddress;
  readonly incarnation: string;
  readonly queues: readonly string[];
  readonly leaseMs: number;
  readonly renewEveryMs: number;
  readonly stallMs: number;
  /** Two 32-bit numbers: `BEATS` and `UNANSWERED`. */
  readonly shared: SharedArrayBuffer;
}

/** Index of the counter that the event loop raises with each beat. */
export const BEATS = 0;
/** Index of the mark of the oldest settle without an answer; 0: all are answered. It changes whenever the oldest does. */
export const UNANSWERED = 1;

/** Said to the thread later: renew in this queue, too. */
export interface AddedQueue {
  readonly queue: string;
}

/** What the thread reports of one queue. */
export type HeartbeatReport =
  | {
      readonly kind: 'renewed';
      readonly queue: string;
      readonly cancellations: readonly { readonly id: string; readonly reason: string }[];
    }
  | { readonly kind: 'gone' | 'failed'; readonly queue: string };

const TIMES = ['leaseMs', 'renewEveryMs', 'stallMs'];

export function isHeartbeatSetup(data: unknown): data is HeartbeatSetup {
  const { address, incarnation, queues, shared, ...rest } = fieldsOf(data);
  return (
    typeof fieldsOf(address)['url'] === 'string' &&
    typeof incarnation === 'string' &&
    Array.isArray(queues) &&
    queues.every((queue) => typeof queue === 'string') &&
    shared instanceof SharedArrayBuffer &&
    TIMES.every((name) => typeof rest[name] === 'number')
  );
}

export function isAddedQueue(data: unknown): data is AddedQueue {
  return typeof fieldsOf(data)['queue'] === 'string';
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
