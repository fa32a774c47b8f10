/** What each reason of an object's conditions means, and what to do about it: the words of the reference. */
import type { ConditionType, NotReadyReason, PENDING_REASON, ReadyReason } from './conditions.ts';

export const CONDITION_MEANINGS: Readonly<Record<ConditionType, string>> = {
  Ready:
    'The schedule is in force, or would be if it were not suspended or over. How runs end is no part of it: see `lastRun`, `recent` and the events.',
  Stalled:
    'Only an edit of the object, or of what it names, can make it ready. Tools that wait report a failure at once.',
  Reconciling:
    'Not ready yet, and it may become so without an edit, as while a new version of the consumers rolls out. Tools wait.',
};

export interface ReasonMeaning {
  /** `Ready`, `Stalled` and `Reconciling`, in words. */
  readonly shows: string;
  readonly meaning: string;
  readonly remedy: string;
}

const READY = 'Ready=True';
const STALLED = 'Ready=False, Stalled=True';
const WAITING =
  'Ready=False, Reconciling=True for 2 minutes and as long as consumers with different schemas of the task are up; then Stalled=True';

export const REASON_MEANINGS: Readonly<
  Record<ReadyReason | NotReadyReason | typeof PENDING_REASON, ReasonMeaning>
> = {
  Pending: {
    shows: 'Ready=Unknown',
    meaning: 'No controller has acted on the object yet.',
    remedy: 'If it stays: is a controller running, does it watch this namespace, and does it reach Redis?',
  },
  Scheduled: { shows: READY, meaning: 'The schedule fires.', remedy: 'Nothing.' },
  Suspended: {
    shows: READY,
    meaning: '`spec.suspend` is true: nothing fires, and what comes due meanwhile never runs later.',
    remedy: 'Set `spec.suspend: false` to go on.',
  },
  Completed: {
    shows: READY,
    meaning: '`spec.endTime` has passed, or no slot is left.',
    remedy: 'Nothing; delete the object, or set a later end.',
  },
  NoConsumer: {
    shows: READY,
    meaning: 'No live consumer of the queue knows the task. Runs are made and wait.',
    remedy: 'Start the consumers of the queue.',
  },
  UnknownTask: {
    shows: WAITING,
    meaning:
      'Consumers of the queue are known, and none has ever published this task. Runs are made and wait.',
    remedy: 'Deploy the consumer that has the task, or correct `spec.task` or `spec.queue`.',
  },
  InvalidParams: {
    shows: WAITING,
    meaning:
      'The params do not fit the schema that the task publishes. Slots are recorded as missed with this reason.',
    remedy: 'Correct the field of `spec.params` that the message names.',
  },
  InvalidSchedule: {
    shows: STALLED,
    meaning: 'No slot can be computed, or the object cannot be read. Nothing fires.',
    remedy: 'Correct the field that the message names.',
  },
  UnknownTimeZone: {
    shows: STALLED,
    meaning: '`spec.timeZone` names no zone that this controller knows. Nothing fires.',
    remedy: 'Use an IANA name such as Europe/Rome. New zones come with a newer controller image.',
  },
  NeverFires: {
    shows: STALLED,
    meaning: 'The expression matches no date, such as 30 February. Nothing fires.',
    remedy: 'Correct `spec.schedule`.',
  },
  QueueNotAllowed: {
    shows: STALLED,
    meaning:
      'The queue takes no schedules from this namespace, or not of this task. Slots are recorded as missed with this reason.',
    remedy: 'Use another queue, or ask who runs the controller to allow it.',
  },
};
