/** What kind of change a status is, and how often an object's status changes at all. */
import { msOf } from '../resource/field-types.ts';
import type { ScheduledTaskStatus } from '../resource/scheduled-task.ts';
import { NOT_SEEN_YET } from '../resource/status-schema.ts';
import type { ObjectReport } from './sink.ts';
import type { StatusLane } from './status-store.ts';
import { sameJson } from './status-values.ts';

/** Urgent is what people and tools wait for: a spec that was acted on, whether it is ready, and the answer to a trigger. */
export function compareStatus(
  known: ScheduledTaskStatus | undefined,
  wanted: ScheduledTaskStatus,
): StatusLane | 'same' {
  const before: ScheduledTaskStatus = known ?? NOT_SEEN_YET;
  if (!sameJson(urgentPart(before), urgentPart(wanted))) return 'urgent';
  return sameJson(ordered(before), ordered(wanted)) ? 'same' : 'refresh';
}

function urgentPart({ observedGeneration, conditions = [], lastTrigger }: ScheduledTaskStatus): unknown {
  const stateOf = (wanted: string): unknown => {
    const found = conditions.find(({ type }) => type === wanted);
    return found === undefined ? undefined : { status: found.status, reason: found.reason };
  };
  return { observedGeneration, ready: stateOf('Ready'), stalled: stateOf('Stalled'), lastTrigger };
}

/** Conditions are a map by type: their order means nothing, and is the server's. */
function ordered(status: ScheduledTaskStatus): ScheduledTaskStatus {
  const { conditions } = status;
  if (conditions === undefined) return status;
  return { ...status, conditions: conditions.toSorted((a, b) => (a.type < b.type ? -1 : 1)) };
}

/** For a cron schedule of which too little is known: it cannot be faster. */
const SHORTEST_CRON_PERIOD_MS = 60_000;

/** From one slot to the next, about; `Infinity` when no slot will come. */
export function periodMsOf({ object, nextMs, lastFiredSlotMs, settledThroughMs }: ObjectReport): number {
  const everyMs = 'unreadable' in object.spec ? undefined : msOf(object.spec.every);
  if (everyMs !== undefined) return everyMs;
  if (nextMs === undefined) return Infinity;
  const previousMs = lastFiredSlotMs ?? settledThroughMs ?? nextMs;
  return Math.max(SHORTEST_CRON_PERIOD_MS, nextMs - previousMs);
}
