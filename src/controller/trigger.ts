/** Runs by hand as an object's status echoes them. */
import type { FireDecision, TriggerRefusal } from '../broker/broker.ts';
import type { ScheduledTaskStatus } from '../resource/status-schema.ts';
import { REQUEST_MAX_LENGTH } from '../resource/trigger-annotations.ts';
import { isTerminal, type RunError, type RunRecord, type RunState } from '../task/run.ts';
import type { DecisionRecord } from '../task/schedule-state.ts';

export const TRIGGER_STATES = [
  'Recorded', // the annotation was there when the object was first seen: noted, and not acted on
  'Refused', // it cannot run: the params do not fit, the queue is not allowed, or the request is no valid id
  'Skipped', // the overlap policy, or a full queue, kept it from running
  'Enqueued',
  'Running',
  'Succeeded',
  'Failed',
  'Cancelled',
  'Expired',
] as const;
export type TriggerState = (typeof TRIGGER_STATES)[number];

export interface TriggerEcho {
  /** Value of the annotation. */
  readonly request: string;
  readonly state: TriggerState;
  readonly runId?: string;
  /** Why, for a refusal or a failure. */
  readonly message?: string;
  /** When it was acted on or recorded, ms since the epoch. */
  readonly atMs: number;
}

/** The request as a status can hold it. */
export const echoedRequest = (request: string): string => request.slice(0, REQUEST_MAX_LENGTH).toWellFormed();

/** It ended, or never began: nothing more will change it. */
export const isFinal = ({ state }: TriggerEcho): boolean => state !== 'Enqueued' && state !== 'Running';

export function refusedEcho(request: string, message: string, atMs: number): TriggerEcho {
  return { request: echoedRequest(request), state: 'Refused', message, atMs };
}

/** The request was there when the object was first seen, or nobody remembers any more what became of it. */
export function recordedEcho(request: string, atMs: number): TriggerEcho {
  return {
    ...{ request: echoedRequest(request), state: 'Recorded', atMs },
    message: 'it stood in the object when that was first seen: nothing runs; change the value to run now',
  };
}

/** Why a request that was decided made no run. */
const NOT_RUN: Readonly<Record<string, string>> = {
  Overlap: 'an earlier run of the schedule is in flight, and concurrencyPolicy is Forbid',
  Backlog: 'the queue, or this schedule in it, holds as many waiting runs as its limit allows',
  DeadlineExceeded: 'no engine read the request in time',
};
const REFUSALS: readonly string[] = [
  'InvalidParams',
  'QueueNotAllowed',
  'InvalidSchedule',
] satisfies TriggerRefusal[];

/** @param detail - why it was refused, where this engine knows it better than by one word */
export function decidedEcho(
  request: string,
  made: Pick<DecisionRecord, 'decision' | 'reason'> & { readonly runId?: string },
  atMs: number,
  detail?: string,
): TriggerEcho {
  const { decision, reason = '', runId } = made;
  if (decision === 'fired')
    return { request, state: 'Enqueued', atMs, ...(runId !== undefined && { runId }) };
  const state = REFUSALS.includes(reason) ? 'Refused' : 'Skipped';
  return { request, state, atMs, message: detail ?? NOT_RUN[reason] ?? reason };
}

const STATE_OF: Readonly<Record<RunState, TriggerState>> = {
  pending: 'Enqueued',
  delayed: 'Enqueued',
  running: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  expired: 'Expired',
};

/** What is known of a run, by its record or by what the schedule remembers of its last one. */
export type KnownRun = Pick<RunRecord, 'id' | 'state'> & {
  readonly error?: RunError;
  readonly cancelReason?: string;
};

export function runEcho(request: string, run: KnownRun, atMs: number): TriggerEcho {
  const { id, state, error, cancelReason } = run;
  const message = error === undefined ? cancelReason : `${error.reason}: ${error.message}`;
  const told = isTerminal(state) && message !== undefined && { message };
  return { request, state: STATE_OF[state], runId: id, atMs, ...told };
}

/** Nothing tells any more how the run ended; saying that it did not succeed would be a guess. */
export function lostEcho(echo: TriggerEcho): TriggerEcho {
  return { ...echo, message: 'the record of the run is gone: how it ended is not known' };
}

export const isSameEcho = (a: TriggerEcho | undefined, b: TriggerEcho): boolean =>
  a?.request === b.request && a.state === b.state && a.runId === b.runId && a.message === b.message;

/** What an earlier engine wrote; `undefined` when it wrote nothing, or nothing that this version knows. */
export function echoOfStatus(status: ScheduledTaskStatus | undefined): TriggerEcho | undefined {
  const { request, state, runId, time, message } = status?.lastTrigger ?? {};
  const known = TRIGGER_STATES.find((candidate) => candidate === state);
  if (request === undefined || known === undefined) return undefined;
  const atMs = Date.parse(time ?? '');
  return {
    ...{ request, state: known, atMs: Number.isFinite(atMs) ? atMs : 0 },
    ...(runId !== undefined && { runId }),
    ...(message !== undefined && { message }),
  };
}

/** The decision as the broker gave it; `undefined` for one that it made before. */
export function decisionOf(
  made: FireDecision | undefined,
): Exclude<FireDecision, { decision: 'duplicate' | 'refused' }> | undefined {
  return made === undefined || made.decision === 'duplicate' || made.decision === 'refused'
    ? undefined
    : made;
}
