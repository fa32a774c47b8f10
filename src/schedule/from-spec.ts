/** A schedule from its spec: the way back from what was stored or exported. */
import { cron } from './cron.ts';
import { every } from './every.ts';
import type { Schedule, ScheduleSpec } from './schedule.ts';

/** @throws ScheduleError (SCHEDULE_INVALID) */
export function scheduleFromSpec(spec: ScheduleSpec): Schedule {
  return spec.kind === 'every'
    ? every(spec.intervalMs, { offset: spec.offsetMs, jitter: spec.jitterMs })
    : cron(spec.expression, { timeZone: spec.timeZone, jitter: spec.jitterMs });
}
