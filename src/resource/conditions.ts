/** The words of an object's conditions: a closed list, so that alerts and scripts can rely on them. */
import { SCHEDULE_ERROR_REASONS } from '../schedule/schedule-error.ts';

/**
 * - `Ready`: the schedule is in force (or would be, were it not suspended or over)
 * - `Stalled`: only an edit of the object, or of what it names, can make it ready; tools report a failure
 * - `Reconciling`: not ready yet, but may become so without an edit; tools wait
 *
 * How runs ended is no condition: a failing task must not block a GitOps sync.
 */
export const CONDITION_TYPES = ['Ready', 'Stalled', 'Reconciling'] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];

/** Reasons with which the schedule is in force. */
export const READY_REASONS = [
  'Scheduled',
  'Suspended', // spec.suspend
  'Completed', // endTime has passed, or no slot is left
  'NoConsumer', // no live consumer knows the task just now: runs are made and wait
] as const;
export type ReadyReason = (typeof READY_REASONS)[number];

/** Reasons with which it is not. */
export const NOT_READY_REASONS = [
  ...SCHEDULE_ERROR_REASONS, // InvalidSchedule, UnknownTimeZone, NeverFires
  'UnknownTask', // no consumer has ever published the task
  'InvalidParams', // the params do not fit the schema that the task publishes
  'QueueNotAllowed', // the queue does not take schedules from this namespace, or not of this task
] as const;
export type NotReadyReason = (typeof NOT_READY_REASONS)[number];

/** Before any controller acted on the object; set by the CRD's default. */
export const PENDING_REASON = 'Pending';

/** A roll-out of consumers may still bring the task or its new schema: for this long the object is reconciling, then stalled. */
export const RECONCILING_GRACE_MS = 2 * 60_000;

const MAY_MEND_ITSELF: ReadonlySet<NotReadyReason> = new Set<NotReadyReason>([
  'UnknownTask',
  'InvalidParams',
]);

export interface ConditionFlags {
  readonly Ready: boolean;
  readonly Stalled: boolean;
  readonly Reconciling: boolean;
}

/**
 * What the three conditions are for a reason.
 * @param sinceMs - how long the reason has held without a break
 * @param twoSchemasLive - consumers with different schemas of the task are alive: params may fit one of them
 */
export function conditionFlags(
  reason: ReadyReason | NotReadyReason,
  sinceMs: number,
  twoSchemasLive: boolean,
): ConditionFlags {
  if (isReadyReason(reason)) return { Ready: true, Stalled: false, Reconciling: false };
  const mayWait = MAY_MEND_ITSELF.has(reason) && (sinceMs < RECONCILING_GRACE_MS || twoSchemasLive);
  return { Ready: false, Stalled: !mayWait, Reconciling: mayWait };
}

/** Runs are made although the object is not ready: the queue holds them until a consumer comes. */
export function firesAnyway(reason: ReadyReason | NotReadyReason): boolean {
  return reason === 'UnknownTask' || reason === 'NoConsumer' || reason === 'Scheduled';
}

function isReadyReason(reason: ReadyReason | NotReadyReason): reason is ReadyReason {
  return READY_REASONS.some((ready) => ready === reason);
}
