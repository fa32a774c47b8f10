/** The connection to Redis, as metrics. */
import { firstLabels } from './labels.ts';
import type { Metrics } from './metrics.ts';

/** Our operations number about 30; a wrong caller must not make series without bound. */
const MAX_OPERATIONS = 100;
/** Why Redis may answer with an error. */
const REFUSAL_REASONS = ['memory', 'disk', 'rights', 'other'] as const;

/** @param isUp - whether the last call was answered; asked at scrape */
export function redisMetrics(metrics: Metrics, isUp: () => boolean) {
  const duration = metrics.histogram('tidemill_redis_command_duration_seconds');
  const reconnects = metrics.counter('tidemill_redis_reconnects_total');
  const refusals = metrics.counter('tidemill_redis_refusals_total');
  const operationLabel = firstLabels(MAX_OPERATIONS);
  reconnects.add({}, 0);
  for (const reason of REFUSAL_REASONS) refusals.add({ reason }, 0);
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
    refused(reason: (typeof REFUSAL_REASONS)[number]): void {
      refusals.add({ reason });
    },
  };
}

/** How full the server is. @param read - asked at scrape; `undefined`: nothing is exported */
export function collectRedisMemory(
  metrics: Metrics,
  read: () => Promise<{ readonly usedBytes: number; readonly maxBytes: number } | undefined>,
): void {
  metrics.addCollector({
    name: 'redis-memory',
    families: ['tidemill_redis_memory_used_bytes', 'tidemill_redis_memory_max_bytes'],
    collect: async () => {
      const use = await read();
      if (use === undefined) return [];
      return [
        { family: 'tidemill_redis_memory_used_bytes', labels: {}, value: use.usedBytes },
        { family: 'tidemill_redis_memory_max_bytes', labels: {}, value: use.maxBytes },
      ];
    },
  });
}
