/** What `dev` tells: one event for each thing worth seeing, made from what the engine and the consumer report. */
import type { ConsumerObserver, RunFinishedEvent } from '../../consumer/observer.ts';
import type { EngineObserver, ScheduleRef } from '../../controller/observer.ts';

export type DevEvent = { readonly atMs: number } & (
  | {
      readonly event: 'started';
      readonly tasks: readonly string[];
      readonly http: string;
      readonly version: string;
    }
  | {
      readonly event: 'scheduled';
      readonly schedule: string;
      readonly task: string;
      readonly timing: string;
      readonly suspended: boolean;
    }
  | { readonly event: 'unscheduled'; readonly schedule: string }
  | {
      readonly event: 'fired';
      readonly schedule: string;
      readonly task: string;
      readonly slotMs: number;
      readonly run?: string;
      readonly reason?: string;
      readonly delayMs: number;
    }
  | {
      readonly event: 'skipped';
      readonly schedule: string;
      readonly task: string;
      readonly slotMs: number;
      readonly reason?: string;
    }
  | {
      readonly event: 'missed';
      readonly schedule: string;
      readonly task: string;
      readonly fromMs: number;
      readonly toMs: number;
      readonly count: number;
      readonly reason: string;
    }
  | RunEvent
  | { readonly event: 'blocked'; readonly task?: string; readonly lagMs: number }
  | { readonly event: 'problem'; readonly at: string; readonly message: string }
  | { readonly event: 'mended' }
  /** The tasks could not be loaded. */
  | { readonly event: 'waiting'; readonly tasks: readonly string[] }
  | { readonly event: 'restarting'; readonly file: string }
  | { readonly event: 'stopping'; readonly running: number }
);

export interface RunEvent {
  readonly event: 'run';
  readonly outcome: RunFinishedEvent['outcome']['kind'];
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  readonly durationMs: number;
  /** `namespace/name`; absent for a run that no schedule made. */
  readonly schedule?: string;
  readonly error?: string;
  /** `retry` only. */
  readonly retryInMs?: number;
  readonly reason?: string;
}

export type Tell = (event: DevEvent) => void;

const nameOf = ({ namespace, name }: Pick<ScheduleRef, 'namespace' | 'name'>): string =>
  `${namespace}/${name}`;

/** @param now - the time that events carry, ms since the epoch */
export function engineTeller(
  tell: Tell,
  now: () => number,
  timingOf: (ref: ScheduleRef) => string,
): Partial<EngineObserver> {
  return {
    adopted: (event) => {
      const { task, suspended } = event;
      tell({
        atMs: now(),
        event: 'scheduled',
        schedule: nameOf(event),
        task,
        timing: timingOf(event),
        suspended,
      });
    },
    fired: (event) => {
      const { task, slotMs, runId, reason, delayMs } = event;
      const optional = {
        ...(runId !== undefined && { run: runId }),
        ...(reason !== undefined && { reason }),
      };
      tell({ atMs: now(), event: 'fired', schedule: nameOf(event), task, slotMs, delayMs, ...optional });
    },
    skipped: (event) => {
      const { task, slotMs, reason } = event;
      tell({
        atMs: now(),
        event: 'skipped',
        schedule: nameOf(event),
        task,
        slotMs,
        ...(reason !== undefined && { reason }),
      });
    },
    missed: (event) => {
      const { task, fromMs, toMs, count, reason } = event;
      tell({ atMs: now(), event: 'missed', schedule: nameOf(event), task, fromMs, toMs, count, reason });
    },
  };
}

export function consumerTeller(tell: Tell, now: () => number): Partial<ConsumerObserver> {
  return {
    runFinished: (event) => tell({ atMs: now(), ...runEvent(event) }),
    loopBlocked: ({ task, lagMs }) =>
      tell({ atMs: now(), event: 'blocked', lagMs, ...(task !== undefined && { task }) }),
  };
}

function runEvent({ record, task, outcome, durationMs }: RunFinishedEvent): RunEvent {
  const { schedule } = record.options;
  return {
    event: 'run',
    outcome: outcome.kind,
    run: record.id,
    task,
    attempt: record.attempt,
    durationMs: Math.round(durationMs),
    ...(schedule && { schedule: nameOf(schedule) }),
    ...('error' in outcome && { error: errorText(outcome.error) }),
    ...(outcome.kind === 'retry' && { retryInMs: Math.round(outcome.delayMs) }),
    ...(outcome.kind === 'cancelled' && { reason: outcome.reason }),
  };
}

/** The reason is named where the name of the error does not say it already. */
function errorText({
  reason,
  name,
  message,
}: {
  readonly reason: string;
  readonly name: string;
  readonly message: string;
}): string {
  return reason === 'Error' ? `${name}: ${message}` : `${reason}: ${message}`;
}
