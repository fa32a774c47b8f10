/** Counts the decisions of the engine. */
import type { EngineObserver } from '../controller/observer.ts';
import { DECISION_REASONS } from '../schedule/reasons.ts';
import { engineMetrics } from '../telemetry/engine-metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { ScheduleBoard } from './schedule-board.ts';

export function watchEngine(
  metrics: Metrics,
  board: Pick<ScheduleBoard, 'readings'>,
): Partial<EngineObserver> {
  const counted = engineMetrics({ metrics, reasons: DECISION_REASONS, schedules: () => board.readings() });
  // An answer of `fire` that says so is no error of the call, so the broker's own count does not see it.
  const refusals = metrics.counter('tidemill_redis_refusals_total');
  return {
    adopted: (event) => counted.scheduleKnown(event),
    fired: (event) => counted.decided({ ...event, outcome: 'fired' }),
    skipped: (event) => counted.decided({ ...event, outcome: 'skipped' }),
    missed: (event) => counted.decided({ ...event, outcome: 'missed' }),
    triggered: ({ queue, task, state }) => {
      if (state === 'Enqueued') counted.triggered(queue, task);
    },
    duplicate: (event) => counted.decided({ ...event, outcome: 'duplicate' }),
    stale: (event) => counted.decided({ ...event, outcome: 'refused' }),
    regressed: ({ what }) => counted.regressed(what),
    refusedForMemory: ({ schedules }) => refusals.add({ reason: 'memory' }, schedules),
  };
}
