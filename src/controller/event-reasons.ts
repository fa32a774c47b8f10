/** Every reason with which an event is raised about an object: a closed list, so that alerts and scripts can rely on it. */

export interface EventReasonInfo {
  readonly type: 'Normal' | 'Warning';
  /** What the controller did, or tried: `action` of the event. */
  readonly action: 'Adopt' | 'Check' | 'Fire' | 'Run' | 'Trigger';
  /** What happened, and what to do about it, for the reference. */
  readonly meaning: string;
}

const EVENT_REASONS = {
  ScheduleAccepted: {
    ...{ type: 'Normal', action: 'Adopt' },
    meaning: 'The controller acted on the object for the first time: slots from now on fire.',
  },
  ScheduleChanged: {
    ...{ type: 'Normal', action: 'Adopt' },
    meaning: 'An edit is in force. What was due before it stays decided by the spec as it was then.',
  },
  Suspended: { ...{ type: 'Normal', action: 'Adopt' }, meaning: '`spec.suspend` is true: nothing fires.' },
  Resumed: {
    ...{ type: 'Normal', action: 'Adopt' },
    meaning: '`spec.suspend` is no longer true. What came due meanwhile does not run later.',
  },
  ForcedAdoption: {
    ...{ type: 'Warning', action: 'Adopt' },
    meaning:
      'The API server holds an older generation than the queue has acted on, as after a restored backup. It is in force again; check that it is the spec you want.',
  },
  InvalidSchedule: {
    ...{ type: 'Warning', action: 'Check' },
    meaning:
      'No slot can be computed, or the object cannot be read. Correct the field that the message names.',
  },
  UnknownTimeZone: {
    ...{ type: 'Warning', action: 'Check' },
    meaning: '`spec.timeZone` names no zone that this controller knows. Use an IANA name.',
  },
  NeverFires: {
    ...{ type: 'Warning', action: 'Check' },
    meaning: 'The expression matches no date, such as 30 February. Correct it.',
  },
  UnknownTask: {
    ...{ type: 'Warning', action: 'Check' },
    meaning:
      'No consumer of the queue has ever published the task. Runs are made and wait. Deploy the consumer, or correct `spec.task` or `spec.queue`.',
  },
  InvalidParams: {
    ...{ type: 'Warning', action: 'Check' },
    meaning:
      'The params do not fit the schema that the task publishes; slots are missed until they do. Correct `spec.params`.',
  },
  QueueNotAllowed: {
    ...{ type: 'Warning', action: 'Check' },
    meaning:
      'The queue does not take schedules from this namespace, or not of this task. Use another queue, or ask who runs the controller to allow it.',
  },
  NoConsumer: {
    ...{ type: 'Warning', action: 'Check' },
    meaning: 'No live consumer knows the task: runs are made and wait until one comes up.',
  },
  Completed: {
    ...{ type: 'Normal', action: 'Check' },
    meaning: '`spec.endTime` has passed, or no slot is left: nothing fires any more.',
  },
  MissedSchedule: {
    ...{ type: 'Warning', action: 'Fire' },
    meaning: 'Slots did not run. The message tells how many, which, and the reason of the decision.',
  },
  RunSkipped: {
    ...{ type: 'Normal', action: 'Fire' },
    meaning:
      'A slot was skipped since an earlier run was still in flight (`concurrencyPolicy: Forbid`). If it goes on, runs take longer than the schedule leaves them.',
  },
  RunReplaced: {
    ...{ type: 'Normal', action: 'Fire' },
    meaning: 'A slot cancelled the earlier run that was still in flight (`concurrencyPolicy: Replace`).',
  },
  Backlog: {
    ...{ type: 'Warning', action: 'Fire' },
    meaning:
      'A slot was skipped since the queue, or the schedule, holds as many pending runs as it may. Add consumers, or make fewer runs.',
  },
  RunFailed: {
    ...{ type: 'Warning', action: 'Run' },
    meaning: 'A run failed for good, after its last attempt. The message holds what the task told.',
  },
  Triggered: {
    ...{ type: 'Normal', action: 'Trigger' },
    meaning: 'The run that was asked for by annotation was made.',
  },
  TriggerRecorded: {
    ...{ type: 'Normal', action: 'Trigger' },
    meaning:
      'The annotation `tidemill.dev/run-now` stood on the object when it was first seen, as after a restore: it does not run. Set another value to run now.',
  },
  TriggerRefused: {
    ...{ type: 'Warning', action: 'Trigger' },
    meaning: 'The run that was asked for by annotation was not made. The message tells why.',
  },
} as const satisfies Readonly<Record<string, EventReasonInfo>>;

export type EventReason = keyof typeof EVENT_REASONS;
export const EVENTS: Readonly<Record<EventReason, EventReasonInfo>> = EVENT_REASONS;
