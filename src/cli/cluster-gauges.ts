/** Feeds the gauges of the whole cluster (queues, the memory of Redis) from the broker, while this process leads. */
import type { Broker } from '../broker/broker.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { queueCollector } from '../telemetry/queue-collector.ts';
import { collectRedisMemory } from '../telemetry/redis-metrics.ts';

/** @param isLeading - asked at each scrape: who does not lead exports none of them, or sums over replicas would count them twice */
export function collectCluster(metrics: Metrics, broker: Broker, isLeading: () => boolean): void {
  metrics.addCollector(
    queueCollector(
      async () => (isLeading() ? broker.queueNames() : []),
      (queue) => broker.queue(queue).inspect.stats(),
    ),
  );
  collectRedisMemory(metrics, async () => (isLeading() ? broker.memory() : undefined));
}
