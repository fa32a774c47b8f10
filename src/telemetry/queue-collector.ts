/** Queue gauges, read from the broker at scrape: depth is a property of the queue, so no process may keep a copy of it. */
import type { Collector, Sample } from './collector.ts';

/** The part of a queue's statistics that is exported. */
export interface QueueReading {
  readonly queue: string;
  readonly pending: number;
  readonly delayed: number;
  readonly running: number;
  readonly retainedSucceeded: number;
  readonly retainedFailed: number;
  readonly retainedBytes: number;
  readonly maxPending: number;
  readonly paused: boolean;
  readonly oldestPendingAgeMs: number;
  readonly consumers: number;
}

/** More queues than this, by name, have no series: a sum of them would hide the one that is stuck. */
const MAX_QUEUES = 100;

/**
 * @param names - of all queues, in order
 * @param read - statistics of one that is exported, read now
 */
export function queueCollector(
  names: () => Promise<readonly string[]>,
  read: (queue: string) => Promise<QueueReading>,
): Collector {
  return {
    name: 'queues',
    families: [
      'tidemill_queue_depth',
      'tidemill_queue_oldest_age_seconds',
      'tidemill_queue_paused',
      'tidemill_queue_retained_bytes',
      'tidemill_queue_max_pending',
      'tidemill_consumers',
    ],
    collect: async () => {
      const exported = (await names()).slice(0, MAX_QUEUES);
      return (await Promise.all(exported.map(read))).flatMap(samplesOf);
    },
  };
}

function samplesOf(reading: QueueReading): readonly Sample[] {
  const { queue } = reading;
  const depth = (state: string, value: number): Sample => ({
    family: 'tidemill_queue_depth',
    labels: { queue, state },
    value,
  });
  return [
    depth('pending', reading.pending),
    depth('delayed', reading.delayed),
    depth('running', reading.running),
    depth('succeeded', reading.retainedSucceeded),
    depth('failed', reading.retainedFailed),
    {
      family: 'tidemill_queue_oldest_age_seconds',
      labels: { queue },
      value: reading.oldestPendingAgeMs / 1_000,
    },
    { family: 'tidemill_queue_paused', labels: { queue }, value: reading.paused ? 1 : 0 },
    { family: 'tidemill_queue_retained_bytes', labels: { queue }, value: reading.retainedBytes },
    { family: 'tidemill_queue_max_pending', labels: { queue }, value: reading.maxPending },
    { family: 'tidemill_consumers', labels: { queue }, value: reading.consumers },
  ];
}
