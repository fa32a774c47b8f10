/**
 * Why a slot was decided as it was. A closed list: the same words in the log, status, events, metrics and the CLI.
 *
 * An object whose schedule or time zone is wrong has no slots that could be decided, and what lies before `startTime` or
 * after `endTime` is no slot: the object's condition, and the era that was in force, tell of these.
 */

/** Reasons that `plan()` gives. */
export const MISSED_REASONS = [
  'Late', // missedRunPolicy is Skip and the slot was noticed more than 30 s after its time
  'Superseded', // missedRunPolicy is Latest and a newer slot was due as well
  'CatchUpCap', // missedRunPolicy is All and more than maxCatchUp slots were owed
  'DeadlineExceeded', // later than startingDeadlineSeconds
] as const;
export type MissedReason = (typeof MISSED_REASONS)[number];

export const DECISION_REASONS = [
  ...MISSED_REASONS,
  'CatchUp', // fired, but later than 30 s after its time
  'Overlap', // Forbid: an earlier run of the schedule was still in flight
  'Replaced', // fired; Replace withdrew an earlier run
  'Backlog', // the queue or the schedule held as many pending runs as it may
  'InvalidParams', // the object's params do not fit the task's published schema
  'QueueNotAllowed', // the queue does not take schedules from this namespace, or not of this task
  'InvalidSchedule', // a run by hand of an object whose spec cannot be read
  'Triggered', // fired by hand
  'Edited', // the object was edited or suspended before the slot was decided
] as const;
export type DecisionReason = (typeof DECISION_REASONS)[number];

export const DECISIONS = ['fired', 'skipped', 'missed'] as const;
export type Decision = (typeof DECISIONS)[number];
