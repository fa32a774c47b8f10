/**
 * What an object's status says, whole, from one report and from what it said before.
 *
 * Pure. What a report does not know (a restarted engine remembers no slot, an emptied broker no run) is kept from the known
 * status, so that no restart takes anything away from it. The result always fits the schema.
 */
import { CONDITION_TYPES, type ConditionType, firesAnyway } from '../resource/conditions.ts';
import { msOf } from '../resource/field-types.ts';
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import { NOT_SEEN_YET, type ScheduledTaskStatus } from '../resource/status-schema.ts';
import { cut } from '../runtime/printable.ts';
import type { LastRun } from '../task/schedule-state.ts';
import { RECENT_DECISIONS, type RecentDecision } from './entry.ts';
import type { ObjectReport } from './sink.ts';
import { laterTime, millisOf, rfc3339, seconds } from './status-values.ts';
import type { TriggerEcho } from './trigger.ts';

/** The next slot of a schedule faster than this would be past before anybody reads it. */
const SHORTEST_SHOWN_PERIOD_MS = 60_000;

type StatusCondition = NonNullable<ScheduledTaskStatus['conditions']>[number];
type RecentRow = NonNullable<ScheduledTaskStatus['recent']>[number];

/**
 * @param known - the status of the same object (same uid) as it stands
 * @param nowMs - wall clock, for transitions
 */
export function statusOf(
  report: ObjectReport,
  known: ScheduledTaskStatus | undefined,
  nowMs: number,
): ScheduledTaskStatus {
  const { trigger } = report;
  const before: ScheduledTaskStatus = known ?? NOT_SEEN_YET;
  const lastTrigger = trigger === undefined ? before.lastTrigger : triggerOf(trigger);
  // Until the broker acted on this generation, what is known stands: its older observedGeneration says "in progress", and
  // an object nobody acted on yet goes on saying so.
  const status = report.inForce ? inForceStatus(report, before, nowMs) : before;
  return { ...status, lastTrigger };
}

function inForceStatus(report: ObjectReport, known: ScheduledTaskStatus, nowMs: number): ScheduledTaskStatus {
  const { object, condition, state } = report;
  return {
    observedGeneration: object.generation,
    conditions: CONDITION_TYPES.map((type) => conditionOf(type, report, known, nowMs)),
    nextScheduleTime: showsNext(object, condition.reason) ? rfc3339(report.nextMs) : undefined,
    lastScheduleTime: laterTime(known.lastScheduleTime, report.lastFiredSlotMs),
    lastMissedTime: laterTime(known.lastMissedTime, report.lastMissedSlotMs),
    lastSuccessfulTime: laterTime(known.lastSuccessfulTime, state?.lastSucceededAtMs),
    lastFailureTime: laterTime(known.lastFailureTime, state?.lastFailedAtMs),
    active: state === undefined ? known.active : countOf(state.active, INT32_MAX),
    // An emptied broker counts from 0 again: the status has the better memory.
    missedRuns: Math.max(known.missedRuns ?? 0, countOf(state?.missed ?? 0, Number.MAX_SAFE_INTEGER)),
    lastRun: newerRun(known.lastRun, state?.lastRun),
    // Not the later of both: after the broker lost writes the slots are planned again, and a successor must know.
    settledThroughTime: rfc3339(report.settledThroughMs) ?? known.settledThroughTime,
    recent: recentOf(report.recent, known.recent ?? []),
  };
}

const INT32_MAX = 2 ** 31 - 1;

function countOf(count: number, max: number): number {
  return Number.isFinite(count) ? Math.min(Math.max(Math.trunc(count), 0), max) : 0;
}

function showsNext({ spec }: ScheduledObject, reason: ObjectReport['condition']['reason']): boolean {
  if ('unreadable' in spec || !firesAnyway(reason)) return false;
  return (msOf(spec.every) ?? Infinity) >= SHORTEST_SHOWN_PERIOD_MS;
}

function conditionOf(
  type: ConditionType,
  { object, condition }: ObjectReport,
  known: ScheduledTaskStatus,
  nowMs: number,
): StatusCondition {
  const before = known.conditions?.find((one) => one.type === type);
  const status = condition.flags[type] ? 'True' : 'False';
  return {
    type,
    status,
    reason: condition.reason,
    message: cut(condition.message, 32_768),
    observedGeneration: object.generation,
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : seconds(nowMs),
  };
}

function triggerOf({
  request,
  state,
  runId,
  message,
  atMs,
}: TriggerEcho): ScheduledTaskStatus['lastTrigger'] {
  return {
    request: cut(request, 63),
    runId: cut(runId, 256),
    state,
    time: rfc3339(atMs),
    message: cut(message, 1_024),
  };
}

function newerRun(
  known: ScheduledTaskStatus['lastRun'],
  run: LastRun | undefined,
): ScheduledTaskStatus['lastRun'] {
  if (run === undefined || run.endedAtMs < (millisOf(known?.completionTime) ?? -Infinity)) return known;
  return {
    id: cut(run.id, 256),
    state: run.state,
    scheduledTime: rfc3339(run.slotMs),
    startTime: rfc3339(run.startedAtMs),
    completionTime: rfc3339(run.endedAtMs),
    attempt: countOf(run.attempt, INT32_MAX),
    reason: cut(run.error?.reason, 128),
    message: cut(run.error?.message, 1_024),
  };
}

const DECISION_NAMES = { fired: 'Fired', skipped: 'Skipped', missed: 'Missed' } as const;

interface Row {
  readonly fromMs: number;
  readonly toMs: number;
  readonly row: RecentRow;
}

/**
 * The newest of what this engine decided and of what others did before it, or meanwhile. A row that stands in the status
 * with its first slot is the same one as the engine's with that slot, or lies within one that has grown since.
 */
function recentOf(own: readonly RecentDecision[], known: readonly RecentRow[]): RecentRow[] {
  const ours = own.flatMap((decision) => ownRow(decision) ?? []);
  const theirs = known.flatMap((row) => {
    const fromMs = millisOf(row.slot);
    const isOurs = ours.some(
      (mine) => fromMs === undefined || (mine.fromMs <= fromMs && fromMs <= mine.toMs),
    );
    return fromMs === undefined || isOurs ? [] : [{ fromMs, toMs: fromMs, row }];
  });
  return [...ours, ...theirs]
    .sort((left, right) => right.fromMs - left.fromMs)
    .slice(0, RECENT_DECISIONS)
    .map(({ row }) => row);
}

function ownRow({ fromMs, slotMs, count, decision, reason, runId }: RecentDecision): Row | undefined {
  const slot = rfc3339(fromMs);
  if (slot === undefined) return undefined;
  const row: RecentRow = {
    slot,
    ...(count > 1 && { count: countOf(count, Number.MAX_SAFE_INTEGER) }),
    decision: DECISION_NAMES[decision],
    ...(reason !== undefined && { reason }),
    ...(runId !== undefined && { runId: cut(runId, 256) }),
  };
  return { fromMs, toMs: slotMs > fromMs ? slotMs : fromMs, row };
}
