/** The connection to Redis, as metrics. */
import { firstLabels } from './labels.ts';
import type { Metrics } from './metrics.ts';

/** Our operations number about 30; a wrong caller must not make series without bound. */
const MAX_OPERATIONS = 100;

/** @param isUp - whether the last call was answered; asked at scrape */
export function redisMetrics(metrics: Metrics, isUp: () => boolean) {
  const duration = metrics.histogram('tidemill_redis_command_duration_seconds');
  const reconnects = metrics.counter('tidemill_redis_reconnects_total');
  const operationLabel = firstLabels(MAX_OPERATIONS);
  reconnects.add({}, 0);
  metrics.addCollector({
    name: 'redis',
    families: ['tidemill_redis_up'],
    collect: async () => [{ family: 'tidemill_redis_up', labels: {}, value: isUp() ? 1 : 0 }],
  });
  return {
    answered(operation: string, durationMs: number): void {
      duration.observe({ operation: operationLabel(operation) }, durationMs / 1_000);
    },
    reconnected(): void {
      reconnects.add({});
    },
  };
}
