/** Whether the slots of an object may fire, and what the object's condition says about it. */
import type { DecisionReason } from '../schedule/reasons.ts';
import type { ScheduleErrorReason } from '../schedule/schedule-error.ts';
import type { Definition } from './definition.ts';
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import type { TaskCatalog } from './task-catalog.ts';

/** Why an object that could be due does not fire: its slots are recorded missed with this reason. */
export type RefusalReason = Extract<DecisionReason, 'InvalidParams' | 'QueueNotAllowed'>;

export type Verdict =
  /** Slots fire. With `UnknownTask` and `NoConsumer` the runs wait in the queue. */
  | {
      readonly kind: 'fires';
      readonly reason: 'Scheduled' | 'UnknownTask' | 'NoConsumer';
      readonly message: string;
    }
  | { readonly kind: 'suspended'; readonly reason: 'Suspended'; readonly message: string }
  | { readonly kind: 'misses'; readonly reason: RefusalReason; readonly message: string }
  /** No slot can be computed: nothing is due, and nothing is recorded. */
  | { readonly kind: 'never'; readonly reason: ScheduleErrorReason; readonly message: string };

/**
 * Whether a queue takes schedules from this namespace, of this task. Returns the refusal as a sentence that names the
 * field, or `undefined` when it does.
 */
export type QueuePolicy = (request: {
  readonly namespace: string;
  readonly name: string;
  readonly queue: string;
  readonly task: string;
}) => string | undefined;

export const ALLOW_ALL_QUEUES: QueuePolicy = () => undefined;

/** The first of all objections counts: what only an edit can mend stands before what a consumer may mend by coming up. */
export function verdictOn(
  { namespace, name }: Pick<ScheduledObject, 'namespace' | 'name'>,
  definition: Definition,
  catalog: Pick<TaskCatalog, 'check'>,
  allow: QueuePolicy,
): Verdict {
  const { timing, queue, run, suspended } = definition;
  if (timing.kind !== 'timing') return { kind: 'never', reason: timing.reason, message: timing.message };
  const refusal = allow({ namespace, name, queue, task: run.task });
  if (refusal !== undefined) return { kind: 'misses', reason: 'QueueNotAllowed', message: refusal };
  if (suspended)
    return { kind: 'suspended', reason: 'Suspended', message: 'spec.suspend is true: nothing fires' };
  const checked = catalog.check(run.task, run.params);
  return checked.reason === 'InvalidParams'
    ? { kind: 'misses', reason: 'InvalidParams', message: checked.message }
    : { kind: 'fires', reason: checked.reason, message: checked.message };
}
