/** Gives back the runs of consumers that died. Every consumer does it; two at a time are harmless. */
import type { ConsumerPort } from '../broker/broker.ts';
import type { Log } from '../telemetry/log.ts';
import type { ConsumerObserver } from './observer.ts';

/** Passes in one lease: what a dead consumer held is back within a lease and a third. */
const PASSES_PER_LEASE = 4;

export interface RecoveryOptions {
  readonly queue: string;
  readonly work: ConsumerPort;
  readonly leaseMs: number;
  readonly random: () => number;
  readonly log: Log;
  readonly observer: ConsumerObserver;
}

/**
 * One pass.
 * @returns how long to wait before the next, ms: at once while runs are left over, else a quarter of a lease, with
 * jitter so that a fleet does not recover in step
 */
export async function recoverOnce({
  queue,
  work,
  leaseMs,
  random,
  log,
  observer,
}: RecoveryOptions): Promise<number> {
  const reply = await work.recover();
  if (reply.ended.length > 0 || reply.returned > 0 || reply.amnesty) {
    observer.recovered({
      queue,
      ended: reply.ended.length,
      returned: reply.returned,
      amnesty: reply.amnesty,
    });
  }
  if (reply.ended.length > 0 || reply.returned > 0) {
    log.warn('runs of dead consumers given back', {
      queue,
      incarnations: reply.ended,
      returned: reply.returned,
    });
  }
  for (const { id, task } of reply.deadLettered) {
    observer.deadLettered({ queue, task, runId: id, reason: 'TooManyDeliveries' });
    log.error('run dead-lettered: it ended too many processes', { queue, task, run: id });
  }
  return reply.more ? 0 : (leaseMs / PASSES_PER_LEASE) * (0.75 + random() / 2);
}
