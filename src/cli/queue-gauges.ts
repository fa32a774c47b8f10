/** Feeds the queue gauges of `/metrics` from the broker. */
import type { Broker } from '../broker/broker.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { queueCollector } from '../telemetry/queue-collector.ts';

/** @param queues - names to be exported, asked at each scrape */
export function collectQueues(
  metrics: Metrics,
  broker: Broker,
  queues: () => readonly string[] | Promise<readonly string[]>,
): void {
  metrics.addCollector(
    queueCollector(async () =>
      Promise.all((await queues()).map((name) => broker.queue(name).inspect.stats())),
    ),
  );
}
