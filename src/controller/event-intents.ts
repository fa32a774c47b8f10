/** What is worth an event, as pure functions: from what the engine tells, and from what was told before. */
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import type { ScheduledTaskStatus } from '../resource/scheduled-task.ts';
import type { EventReason } from './event-reasons.ts';
import type { MissedEvent, SkippedEvent } from './observer.ts';
import type { ObjectReport } from './sink.ts';
import { millisOf, rfc3339 } from './status-values.ts';
import type { TriggerEcho, TriggerState } from './trigger.ts';

export interface EventIntent {
  readonly reason: EventReason;
  readonly message: string;
  /** Occurrences with the same one become one event with a count; default: the message. */
  readonly likeness?: string;
  /** Occurrences that this stands for. Default 1. */
  readonly count?: number;
}

/** What was told of an object so far; each part is absent before the first. */
export interface Told {
  readonly adopted?: { readonly generation: number; readonly suspended: boolean } | undefined;
  readonly condition?:
    { readonly reason: string; readonly message: string; readonly generation: number } | undefined;
  readonly failures?: { readonly lastMs: number; readonly failed: number | undefined } | undefined;
  readonly trigger?: { readonly request: string; readonly reason: EventReason } | undefined;
}

/** A successor tells nothing again that the object's status shows was told: both are written from the same reports. */
export function toldBy(status: ScheduledTaskStatus | undefined): Told {
  const { observedGeneration = -1, conditions, lastFailureTime, lastTrigger } = status ?? {};
  const ready = conditions?.find(({ type }) => type === 'Ready');
  const isSeen = observedGeneration > 0 && ready !== undefined;
  const failedMs = millisOf(lastFailureTime);
  const triggered = TRIGGER_EVENTS.get(lastTrigger?.state ?? '');
  return {
    ...(isSeen && {
      adopted: { generation: observedGeneration, suspended: ready.reason === 'Suspended' },
      condition: { reason: ready.reason, message: ready.message, generation: observedGeneration },
    }),
    ...(failedMs !== undefined && { failures: { lastMs: failedMs, failed: undefined } }),
    ...(lastTrigger?.request !== undefined &&
      triggered !== undefined && { trigger: { request: lastTrigger.request, reason: triggered } }),
  };
}

export function adoptionIntent(
  adopted: { readonly generation: number; readonly suspended: boolean; readonly forced: boolean },
  before: Told['adopted'],
  object: ScheduledObject,
): EventIntent | undefined {
  const { generation, suspended, forced } = adopted;
  if (forced)
    return {
      reason: 'ForcedAdoption',
      message: `generation ${generation} is in force again: the queue had acted on a newer one that the API server no longer has`,
    };
  const what = scheduleText(object);
  if (before === undefined)
    return {
      reason: 'ScheduleAccepted',
      message: suspended ? `accepted, and suspended: nothing fires (${what})` : `accepted: ${what}`,
    };
  // The queue forgot, and was told again: nothing has changed for whoever reads events.
  if (before.generation >= generation) return undefined;
  if (suspended && !before.suspended)
    return { reason: 'Suspended', message: 'spec.suspend is true: nothing fires' };
  if (!suspended && before.suspended)
    return {
      reason: 'Resumed',
      message: `fires again: ${what}; what came due meanwhile does not run`,
    };
  return { reason: 'ScheduleChanged', message: `generation ${generation} is in force: ${what}` };
}

function scheduleText({ spec }: ScheduledObject): string {
  if ('unreadable' in spec) return 'its spec cannot be read';
  if (spec.every !== undefined) return `every ${spec.every}`;
  return `schedule "${spec.schedule ?? ''}" in ${spec.timeZone ?? 'Etc/UTC'}`;
}

/** Condition reasons that have an event of the same name. */
const CONDITION_EVENTS: ReadonlySet<string> = new Set<EventReason>([
  ...(['InvalidSchedule', 'UnknownTimeZone', 'NeverFires', 'UnknownTask', 'InvalidParams'] as const),
  ...(['QueueNotAllowed', 'NoConsumer', 'Completed'] as const),
]);

export function conditionIntent(report: ObjectReport, before: Told['condition']): EventIntent | undefined {
  const { reason, message } = report.condition;
  if (!report.inForce || !isConditionEvent(reason)) return undefined;
  const isTold =
    before?.reason === reason && before.generation === report.object.generation && before.message === message;
  return isTold ? undefined : { reason, message };
}

function isConditionEvent(reason: string): reason is EventReason {
  return CONDITION_EVENTS.has(reason);
}

export function failureIntent({ state }: ObjectReport, before: Told['failures']): EventIntent | undefined {
  const lastMs = state?.lastFailedAtMs;
  if (state === undefined || lastMs === undefined || lastMs <= (before?.lastMs ?? -Infinity))
    return undefined;
  const count = Math.max(1, before?.failed === undefined ? 1 : state.failed - before.failed);
  const { lastRun } = state;
  const others = count > 1 ? `, and ${count - 1} more since` : '';
  if (lastRun?.state !== 'failed')
    return { reason: 'RunFailed', message: `a run failed for good${others}`, likeness: 'unknown', count };
  const { id, attempt, error } = lastRun;
  return {
    reason: 'RunFailed',
    message: `run ${id} failed after ${attempt === 1 ? '1 attempt' : `${attempt} attempts`}${others}: ${error?.reason ?? 'Error'}: ${error?.message ?? ''}`,
    likeness: error?.reason ?? 'Error',
    count,
  };
}

const TRIGGER_EVENTS: ReadonlyMap<string, EventReason> = new Map<TriggerState, EventReason>([
  ['Recorded', 'TriggerRecorded'],
  ['Refused', 'TriggerRefused'],
  ['Skipped', 'TriggerRefused'],
  ...(['Enqueued', 'Running', 'Succeeded', 'Failed', 'Cancelled', 'Expired'] as const).map(
    (state): [TriggerState, EventReason] => [state, 'Triggered'],
  ),
]);

/** What the event of a trigger is called; `told` says whether it was raised before. */
export function triggerIntent(
  trigger: TriggerEcho | undefined,
  before: Told['trigger'],
): EventIntent | undefined {
  const reason = TRIGGER_EVENTS.get(trigger?.state ?? '');
  if (trigger === undefined || reason === undefined) return undefined;
  if (before?.request === trigger.request && before.reason === reason) return undefined;
  const { request, state, runId, message } = trigger;
  const why = message === undefined ? '' : `: ${message}`;
  if (reason === 'Triggered')
    return { reason, message: `run-now ${request} made run ${runId ?? '(unknown)'}` };
  if (reason === 'TriggerRecorded')
    return {
      reason,
      message: `run-now ${request} was there already when the object was first seen: not run`,
    };
  return { reason, message: `run-now ${request} was ${state === 'Skipped' ? 'skipped' : 'refused'}${why}` };
}

export function missedIntent({ fromMs, toMs, count, countIsExact, reason }: MissedEvent): EventIntent {
  const slots = `${countIsExact ? '' : 'at least '}${count} ${count === 1 ? 'slot' : 'slots'}`;
  const span = fromMs === toMs ? slotText(fromMs) : `${slotText(fromMs)} to ${slotText(toMs)}`;
  return {
    reason: 'MissedSchedule',
    message: `missed ${slots}, ${span}: ${reason}`,
    likeness: reason,
    count,
  };
}

export function skippedIntent({ slotMs, reason = 'Overlap' }: SkippedEvent): EventIntent {
  if (reason === 'Backlog')
    return {
      reason: 'Backlog',
      message: `skipped slot ${slotText(slotMs)}: as many runs are pending as may be`,
      likeness: reason,
    };
  const why = reason === 'Overlap' ? 'an earlier run is still in flight (Forbid)' : reason;
  return { reason: 'RunSkipped', message: `skipped slot ${slotText(slotMs)}: ${why}`, likeness: reason };
}

export function replacedIntent(slotMs: number, runId: string | undefined): EventIntent {
  return {
    reason: 'RunReplaced',
    message: `slot ${slotText(slotMs)} cancelled an earlier run that was still in flight${runId === undefined ? '' : `, for run ${runId}`}`,
    likeness: 'Replaced',
  };
}

const slotText = (ms: number): string => rfc3339(ms) ?? String(ms);
