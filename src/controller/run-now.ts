/**
 * What an object's annotations ask for, and whether it may run, as pure decisions.
 *
 * A request is handled once: `fire` remembers it in the same step that makes the run, and the status names it. An engine
 * that knows neither asks `fire` again and is told `duplicate`, so no crash in between loses or doubles a run.
 */
import { z } from 'zod';
import type { TriggerRefusal } from '../broker/broker.ts';
import { paramsProblem } from '../resource/params.ts';
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import { REQUEST_MAX_LENGTH, RUN_NOW, RUN_NOW_PARAMS } from '../resource/trigger-annotations.ts';
import { messageOf, ProblemsError } from '../runtime/errors.ts';
import { parseParamsText } from '../task/params.ts';
import type { Entry } from './entry.ts';
import type { TaskCatalog } from './task-catalog.ts';
import { echoedRequest } from './trigger.ts';
import type { QueuePolicy } from './verdict.ts';

/** Where the params of a request stand, for messages. */
export const ANNOTATED_PARAMS = `metadata.annotations[${RUN_NOW_PARAMS}]`;
/** It becomes part of a run id. */
const REQUEST_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:+-]{0,62}$/;
export const REQUEST_ID_RULE = `must be 1 to ${REQUEST_MAX_LENGTH} letters, digits, '.', '_', ':', '+' or '-', and begin with a letter or digit`;

/** A request that no engine has read within this is given up, and said so in the schedule's log: after hours nobody waits for it. */
export const REQUEST_KEPT_MS = 10 * 60_000;

/** A run that someone asked for. */
export interface Asked {
  readonly request: string;
  /** JSON as it was typed; absent: the object's own. */
  readonly params?: string;
}

export const isRequestId = (text: string): boolean => REQUEST_ID_PATTERN.test(text);

/**
 * What the annotations of an object ask for. A source that keeps no status has nothing to tell later that it was done, so
 * there they mean nothing: `tidemill schedules trigger` is for those.
 */
function askedBy({ annotations, resourceVersion }: ScheduledObject): Asked | undefined {
  const request = annotations?.[RUN_NOW];
  if (request === undefined || request === '' || resourceVersion === undefined) return undefined;
  const params = annotations?.[RUN_NOW_PARAMS];
  return { request, ...(params !== undefined && { params }) };
}

/** What the annotations ask for and nobody has dealt with, as far as the engine's memory and the object's status tell. */
export function openRequest({ object, trigger }: Pick<Entry, 'object' | 'trigger'>): Asked | undefined {
  const asked = askedBy(object);
  if (asked === undefined) return undefined;
  const request = echoedRequest(asked.request);
  const isHandled = trigger?.request === request || object.status?.lastTrigger?.request === request;
  return isHandled ? undefined : asked;
}

/**
 * The request that a broker which does not know the object must never fire: one that was handled before, and one that stood
 * in the object when it was first seen (from Git, from a backup). Whether anyone has seen it is told by the object's status
 * and by this engine's memory; and by the broker itself, which heeds this for an unknown uid only.
 */
export function handledRequest(entry: Pick<Entry, 'object' | 'trigger' | 'adoption'>): string | undefined {
  const { object, adoption } = entry;
  const asked = askedBy(object);
  if (asked === undefined || !isRequestId(asked.request)) return undefined;
  const wasSeen =
    adoption?.uid === object.uid ||
    object.status?.lastTrigger !== undefined ||
    (object.status?.observedGeneration ?? -1) >= 0;
  return wasSeen && openRequest(entry) !== undefined ? undefined : asked.request;
}

/** Why a run by hand must not be made. */
export interface Refusal {
  readonly reason: TriggerRefusal;
  /** Names field, value and rule. */
  readonly message: string;
}

export type Admission =
  | { readonly ok: true; readonly params: string | undefined }
  | { readonly ok: false; readonly refusal: Refusal };

/**
 * Whether a run by hand may be made: a suspended schedule, one that is over, and one whose timing is wrong have a task and
 * params nevertheless.
 * @param field - where the params of the request stand
 */
export function admit(
  { object, definition }: Pick<Entry, 'object' | 'definition'>,
  asked: Asked,
  field: string,
  { catalog, allow }: { readonly catalog: Pick<TaskCatalog, 'check'>; readonly allow: QueuePolicy },
): Admission {
  const refuse = (reason: TriggerRefusal, message: string): Admission => ({
    ok: false,
    refusal: { reason, message },
  });
  if ('unreadable' in object.spec) return refuse('InvalidSchedule', object.spec.unreadable);
  const { namespace, name } = object;
  const { queue, run } = definition;
  const notAllowed = allow({ namespace, name, queue, task: run.task });
  if (notAllowed !== undefined) return refuse('QueueNotAllowed', notAllowed);
  const own = asked.params === undefined ? undefined : readParams(asked.params, field);
  if (own?.problem !== undefined) return refuse('InvalidParams', own.problem);
  const checked = catalog.check(run.task, own?.text ?? run.params, own === undefined ? undefined : field);
  if (checked.reason === 'InvalidParams') return refuse('InvalidParams', checked.message);
  return { ok: true, params: own?.text };
}

const ParamsSchema = z.record(z.string(), z.unknown());

function readParams(
  text: string,
  field: string,
): { readonly problem: string } | { readonly problem?: never; readonly text: string } {
  let value: unknown;
  try {
    value = parseParamsText(text);
  } catch (error) {
    const problems = error instanceof ProblemsError ? error.problems.map(({ message }) => message) : [];
    return { problem: `${field}: ${problems.length === 0 ? messageOf(error) : problems.join('; ')}` };
  }
  const params = ParamsSchema.safeParse(value);
  if (!params.success)
    return { problem: `${field}: must be a JSON object such as {"url":"https://example.org"}` };
  const problem = paramsProblem(params.data);
  return problem === undefined ? { text: JSON.stringify(params.data) } : { problem: `${field}: ${problem}` };
}
