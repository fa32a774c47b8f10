/** From what an object says to what the engine works with: the schedule, its policy, and what it overrides for its runs. */
import { z } from 'zod';
import { cron } from '../schedule/cron.ts';
import { every } from '../schedule/every.ts';
import { DEFAULT_MAX_CATCH_UP, type PlanPolicy } from '../schedule/plan.ts';
import { ScheduleError, type ScheduleErrorReason, type ScheduleField } from '../schedule/schedule-error.ts';
import type { Schedule } from '../schedule/schedule.ts';
import type { Priority, RetryOverrides } from '../task/run.ts';
import { DEFAULT_QUEUE } from '../task/names.ts';
import { type ScheduledTaskSpec, SpecFieldsSchema } from './spec-schema.ts';

/** Why no slot can be computed: the API server could not know, so it is told as a condition. */
export interface InvalidTiming {
  readonly kind: 'invalid';
  readonly reason: ScheduleErrorReason;
  /** The field of `spec` that holds the wrong value. */
  readonly field: ScheduleField;
  /** Names value and rule. */
  readonly message: string;
}

export interface Timing {
  readonly kind: 'timing';
  readonly schedule: Schedule;
  readonly policy: PlanPolicy;
}

/** What an object overrides for its runs; absent fields leave the task's own values in force. */
export interface RunOverrides {
  readonly timeoutMs?: number;
  readonly retry?: RetryOverrides;
  readonly priority?: Priority;
}

/** Fields that decide when something runs: what must be known to say later why it did not. */
const ERA_FIELDS = [
  ...(['schedule', 'every', 'timeZone', 'offset', 'jitter', 'startTime', 'endTime'] as const),
  ...(['concurrencyPolicy', 'startingDeadlineSeconds', 'missedRunPolicy', 'maxCatchUp'] as const),
];
type EraField = (typeof ERA_FIELDS)[number];
export type TimingFields = Pick<ScheduledTaskSpec, EraField>;

/** A wrong schedule or zone is a value, not an exception: it is the user's, and only an edit mends it. */
export function timingOf(spec: TimingFields): Timing | InvalidTiming {
  try {
    return { kind: 'timing', schedule: scheduleOf(spec), policy: policyOf(spec) };
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    return { kind: 'invalid', reason: error.reason, field: error.field, message: error.message };
  }
}

export function runOverridesOf({ timeoutSeconds, retry, priority }: ScheduledTaskSpec): RunOverrides {
  return {
    ...(timeoutSeconds !== undefined && { timeoutMs: timeoutSeconds * 1_000 }),
    ...(retry !== undefined && { retry: retryOverrides(retry) }),
    ...(priority !== undefined && { priority: PRIORITY_OF[priority] }),
  };
}

const PRIORITY_OF = { High: 'high', Medium: 'medium', Low: 'low' } as const;

/** The queue of an object: one rule for everyone who asks. */
export const queueOf = ({ queue }: Pick<ScheduledTaskSpec, 'queue'>): string => queue ?? DEFAULT_QUEUE;

/** The timing part of a spec as JSON text for its era. At most 1 KiB, since every field of it is bounded. */
export function eraSpecOf(spec: ScheduledTaskSpec): string {
  return JSON.stringify(Object.fromEntries(ERA_FIELDS.map((field) => [field, spec[field]])));
}

/** The same for a spec that could not be read: why, cut to fit. */
export function unreadableEraSpec(problem: string): string {
  return JSON.stringify({ unreadable: problem.slice(0, UNREADABLE_LENGTH) });
}
/** At six bytes for the worst of them, well below 1 KiB. */
const UNREADABLE_LENGTH = 160;
const UnreadableEraSchema = z.object({ unreadable: z.string() });

/** What stood in force in an era; `undefined` when the text is none of ours. */
export function timingOfEra(eraSpec: string): Timing | InvalidTiming | undefined {
  const stored = parsedJson(eraSpec);
  const { data: nothing } = UnreadableEraSchema.safeParse(stored);
  if (nothing !== undefined)
    return { kind: 'invalid', reason: 'InvalidSchedule', field: 'schedule', message: nothing.unreadable };
  const fields = EraSpecSchema.safeParse(stored);
  return fields.success ? timingOf(fields.data) : undefined;
}

/** No rules across fields here: the spec was checked when the era began, and a later rule must not unread it. */
const EraSpecSchema = SpecFieldsSchema.pick({
  schedule: true,
  every: true,
  timeZone: true,
  offset: true,
  jitter: true,
  startTime: true,
  endTime: true,
  concurrencyPolicy: true,
  startingDeadlineSeconds: true,
  missedRunPolicy: true,
  maxCatchUp: true,
});

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function scheduleOf({ schedule, every: interval, timeZone, offset, jitter }: TimingFields): Schedule {
  if (schedule !== undefined) {
    return cron(schedule, {
      ...(timeZone !== undefined && { timeZone }),
      ...(jitter !== undefined && { jitter }),
    });
  }
  if (interval !== undefined) {
    return every(interval, {
      ...(offset !== undefined && { offset }),
      ...(jitter !== undefined && { jitter }),
    });
  }
  throw new ScheduleError('InvalidSchedule', 'schedule', 'one of schedule or every is required');
}

function policyOf(spec: TimingFields): PlanPolicy {
  const {
    missedRunPolicy,
    maxCatchUp = DEFAULT_MAX_CATCH_UP,
    startingDeadlineSeconds,
    startTime,
    endTime,
  } = spec;
  return {
    missedRunPolicy,
    maxCatchUp,
    ...(startingDeadlineSeconds !== undefined && { startingDeadlineMs: startingDeadlineSeconds * 1_000 }),
    ...(startTime !== undefined && { startMs: Date.parse(startTime) }),
    ...(endTime !== undefined && { endMs: Date.parse(endTime) }),
  };
}

function retryOverrides({
  attempts,
  backoffSeconds,
  maxBackoffSeconds,
}: NonNullable<ScheduledTaskSpec['retry']>): RetryOverrides {
  return {
    ...(attempts !== undefined && { attempts }),
    ...(backoffSeconds !== undefined && { backoffMs: backoffSeconds * 1_000 }),
    ...(maxBackoffSeconds !== undefined && { maxBackoffMs: maxBackoffSeconds * 1_000 }),
  };
}
