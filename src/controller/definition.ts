/** What the engine needs to know of an object, made once for each generation: when it is due, by which rules, and what it runs. */
import type { RunTemplate } from '../broker/broker.ts';
import type { ScheduledTaskSpec } from '../resource/scheduled-task.ts';
import {
  eraSpecOf,
  type InvalidTiming,
  queueOf,
  runOverridesOf,
  type Timing,
  timingOf,
  unreadableEraSpec,
} from '../resource/to-schedule.ts';
import type { Priority, RunSchedule } from '../task/run.ts';
import type { ConcurrencyPolicy } from '../task/schedule-state.ts';
import type { ScheduledObject, UnreadableSpec } from '../resource/scheduled-object.ts';

/** For a task that no consumer has told anything of yet. */
const DEFAULT_PRIORITY: Priority = 'medium';

/** Why no slot can be computed; only an edit mends it. */
export type NoTiming = Pick<InvalidTiming, 'kind' | 'reason'> & {
  /** Names field, value and rule. */
  readonly message: string;
};

export interface Definition {
  readonly queue: string;
  readonly suspended: boolean;
  readonly timing: Timing | NoTiming;
  readonly concurrencyPolicy: ConcurrencyPolicy;
  readonly run: RunTemplate;
  /** The object sets the priority itself; else the task's own applies where a manifest tells it. */
  readonly ownPriority: boolean;
  /** JSON text for the era. */
  readonly eraSpec: string;
}

/** Namespace and name of the runs come from the object's metadata, and from nowhere else. */
export function define({ spec, uid, namespace, name }: ScheduledObject): Definition {
  const schedule = { uid, namespace, name };
  return 'unreadable' in spec ? defineUnreadable(spec, schedule) : defineReadable(spec, schedule);
}

function defineReadable(spec: ScheduledTaskSpec, schedule: RunSchedule): Definition {
  const timing = timingOf(spec);
  const { priority, ...overrides } = runOverridesOf(spec);
  const deadlineMs = timing.kind === 'timing' ? timing.policy.startingDeadlineMs : undefined;
  return {
    queue: queueOf(spec),
    suspended: spec.suspend,
    timing:
      timing.kind === 'timing' ? timing : { ...timing, message: `spec.${timing.field}: ${timing.message}` },
    concurrencyPolicy: spec.concurrencyPolicy,
    run: {
      task: spec.task,
      priority: priority ?? DEFAULT_PRIORITY,
      params: JSON.stringify(spec.params ?? {}),
      options: { source: 'schedule', ...overrides, schedule },
      // For a run by hand; slots carry the instant of theirs.
      ...(deadlineMs !== undefined && { expiresInMs: deadlineMs }),
    },
    ownPriority: priority !== undefined,
    eraSpec: eraSpecOf(spec),
  };
}

/** It never fires, and yet it has to be adopted: what was in force before must not go on. */
function defineUnreadable({ queue, unreadable }: UnreadableSpec, schedule: RunSchedule): Definition {
  return {
    queue,
    suspended: false,
    timing: { kind: 'invalid', reason: 'InvalidSchedule', message: unreadable },
    concurrencyPolicy: 'Forbid',
    run: { task: '', priority: DEFAULT_PRIORITY, params: '{}', options: { source: 'schedule', schedule } },
    ownPriority: true,
    eraSpec: unreadableEraSpec(unreadable),
  };
}
