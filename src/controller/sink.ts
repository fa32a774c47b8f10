/** Where the engine says what became of an object: `dev` prints it, a controller writes it into the object's status. */
import {
  type ConditionFlags,
  conditionFlags,
  type NotReadyReason,
  type ReadyReason,
} from '../resource/conditions.ts';
import type { ScheduleState } from '../task/schedule-state.ts';
import { type Entry, isAdopted, type RecentDecision } from './entry.ts';
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import type { TriggerEcho } from './trigger.ts';

/** What the object's conditions say. */
export interface Condition {
  readonly reason: ReadyReason | NotReadyReason;
  readonly message: string;
  readonly flags: ConditionFlags;
}

/** All that is known of one object at one moment: a level, never a difference. */
export interface ObjectReport {
  readonly object: ScheduledObject;
  readonly queue: string;
  readonly task: string;
  readonly condition: Condition;
  /** The broker acted on this generation: what the verdict says is in force. */
  readonly inForce: boolean;
  /** Next slot; absent when none will come, when suspended, and before the first plan. */
  readonly nextMs?: number;
  /** Every slot up to and including this one is decided: what a status keeps as `settledThroughTime`. */
  readonly settledThroughMs?: number;
  readonly lastFiredSlotMs?: number;
  readonly lastMissedSlotMs?: number;
  /** Decisions made by this engine since it started, newest first, at most 5. */
  readonly recent: readonly RecentDecision[];
  /** Counts and last run as last read from the broker, at most 30 s old. */
  readonly state?: ScheduleState;
  /** The newest run asked for by annotation. */
  readonly trigger?: TriggerEcho;
}

export interface StatusSink {
  /** Called often (at least once for each slot that is decided): must be quick, and merge what comes faster than it can write. */
  report(report: ObjectReport): void;
  /** The object is no longer served by this engine. */
  gone(object: ScheduledObject): void;
}

export const IGNORING_SINK: StatusSink = { report: () => undefined, gone: () => undefined };

/** @param liveSchemas - how many versions of the task's params live consumers have */
export function reportOf(entry: Entry, liveSchemas: number, nowMs: number): ObjectReport {
  const { object, definition, settledMs, lastFiredSlotMs, lastMissedSlotMs, recent, state, trigger } = entry;
  const nextMs = entry.planned && !definition.suspended ? entry.nextMs : undefined;
  return {
    object,
    queue: definition.queue,
    task: definition.run.task,
    condition: conditionOf(entry, liveSchemas, nowMs),
    inForce: isAdopted(entry),
    ...(nextMs !== undefined && { nextMs }),
    ...(Number.isFinite(settledMs) && { settledThroughMs: settledMs }),
    ...(lastFiredSlotMs !== undefined && { lastFiredSlotMs }),
    ...(lastMissedSlotMs !== undefined && { lastMissedSlotMs }),
    recent,
    ...(state !== undefined && { state }),
    ...(trigger !== undefined && { trigger }),
  };
}

function conditionOf(
  { verdict, verdictSinceMs, planned, nextMs }: Entry,
  liveSchemas: number,
  nowMs: number,
): Condition {
  const isOver = verdict.kind === 'fires' && planned && nextMs === undefined;
  const { reason, message } = isOver ? COMPLETED : verdict;
  return { reason, message, flags: conditionFlags(reason, nowMs - verdictSinceMs, liveSchemas > 1) };
}

const COMPLETED = { reason: 'Completed', message: 'endTime has passed, or no slot is left' } as const;
