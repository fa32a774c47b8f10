/** Adopt, fire, withdraw and the reads of schedules on Redis: packs requests for the scripts, and parses what comes back. */
import { z } from 'zod';
import { TidemillError } from '../../runtime/errors.ts';
import { slotRunId, triggerRunId } from '../../task/ids.ts';
import type { ConcurrencyPolicy, ScheduleState } from '../../task/schedule-state.ts';
import type {
  AdoptReply,
  AdoptRequest,
  FireDecision,
  FireEntry,
  FireReply,
  FireRequest,
  RequestedRun,
  RequestOutcome,
  SchedulePort,
} from '../broker.ts';
import { laneName } from './keys.ts';
import { onOneLine } from './record.ts';
import {
  cutSlotOptions,
  decodeDecision,
  decodeEra,
  decodeFireDecision,
  decodeState,
  decodeRequest,
  encodeRequest,
  triggerOptions,
} from './schedule-text.ts';
import { parseReply } from './parse-reply.ts';
import type { QueueContext } from './queue-context.ts';

/** Schedules in one call of adopt, withdraw and states: a few ms of Redis's time. */
const SCHEDULES_PER_CALL = 200;
/** A call of fire is closed when it has this many entries or bytes of params: Redis does nothing else meanwhile. */
const ENTRIES_PER_CALL = 500;
const PARAMS_PER_CALL_BYTES = 4 * 1024 * 1024;
const ADOPTED_PAGE = 1_000;

const POLICY_LETTERS: Readonly<Record<ConcurrencyPolicy, string>> = { Allow: 'A', Forbid: 'F', Replace: 'R' };

const StateSchema = z.tuple([z.number()], z.string());
const AdoptRepliesSchema = z.array(
  z.union([
    z.tuple([z.literal('stale'), z.coerce.number(), z.number()]),
    z.tuple([z.literal('late'), z.unknown(), z.unknown()]),
    z.tuple([z.enum(['adopted', 'current']), z.string(), z.number(), StateSchema]),
  ]),
);
const FireRepliesSchema = z.array(
  z.union([
    z.tuple([z.literal('stale'), z.coerce.number(), z.number()]),
    z.tuple([z.literal('behind'), z.unknown(), z.unknown()]),
    z.tuple([z.literal('ok'), z.string(), z.string()]),
  ]),
);
const AdoptedPageSchema = z.tuple([z.string(), z.array(z.string())]);
const TextsSchema = z.array(z.string());
const RequestOutcomeSchema = z.enum(['requested', 'duplicate', 'unknown', 'full']);
const RequestedSchema = z.array(z.tuple([z.string(), z.string(), z.coerce.number(), z.string().nullable()]));

/** Each call is one transition for a bounded number of schedules; more go in several calls, in order. */
export function createRedisSchedules(queue: QueueContext): SchedulePort {
  return {
    adopt: async (requests) => {
      if (requests.length > 0) await queue.list();
      return (await inChunks(requests, SCHEDULES_PER_CALL, (chunk) => adopt(queue, chunk))).flat();
    },
    fire: async (requests) => {
      const replies: FireReply[] = [];
      for (const chunk of fireChunks(requests)) replies.push(...(await fire(queue, chunk)));
      return replies;
    },
    request: (uid, asked) => ask(queue, uid, asked),
    requested: (install, limit) => requested(queue, install, limit),
    withdraw: async (uids) => {
      await inChunks(uids, SCHEDULES_PER_CALL, (chunk) => queue.run('withdraw', chunk));
    },
    states: async (uids) =>
      (await inChunks(uids, SCHEDULES_PER_CALL, (chunk) => states(queue, chunk))).flat(),
    adopted: (install) => adopted(queue, install),
    decisions: async (uid, { fromMs = -Infinity, toMs = Infinity, limit }) => {
      if (limit <= 0) return [];
      const records = (await texts(queue, uid, 'decisions')).map(decodeDecision);
      const touching = records.filter(
        (record) => record !== undefined && record.toMs >= fromMs && record.fromMs <= toMs,
      );
      return touching.filter((record) => record !== undefined).slice(-limit);
    },
    eras: async (uid) => {
      const eras = (await texts(queue, uid, 'eras')).map(decodeEra);
      return eras.filter((era) => era !== undefined);
    },
  };
}

async function inChunks<T, R>(
  items: readonly T[],
  size: number,
  call: (chunk: readonly T[]) => Promise<R>,
): Promise<readonly R[]> {
  const replies: R[] = [];
  for (let first = 0; first < items.length; first += size)
    replies.push(await call(items.slice(first, first + size)));
  return replies;
}

async function adopt(queue: QueueContext, requests: readonly AdoptRequest[]): Promise<readonly AdoptReply[]> {
  const args = requests.flatMap((request) => [
    ...[request.uid, String(request.generation), request.install, request.namespace, request.name],
    ...[
      request.suspended ? '1' : '0',
      String(request.startMs ?? ''),
      request.spec,
      request.force === true ? '1' : '0',
      String(request.settledThroughMs ?? ''),
    ],
    request.handledRequest === undefined ? '' : requestText(request.handledRequest),
    ...[String(request.closed?.generation ?? ''), String(request.closed?.notAfterMs ?? '')],
  ]);
  const replies = parseReply('adopt', AdoptRepliesSchema, await queue.run('adopt', args));
  return requests.map(({ uid }, index): AdoptReply => {
    const reply = replies[index];
    if (reply === undefined) throw malformed('adopt');
    if (reply[0] === 'late') return { outcome: 'late' };
    if (reply[0] === 'stale') return { outcome: 'stale', generation: reply[1], withdrawn: reply[2] === 1 };
    const state = decodeState(uid, reply[3]);
    if (state === undefined) throw malformed('adopt');
    return { outcome: reply[0], state };
  });
}

async function states(
  queue: QueueContext,
  uids: readonly string[],
): Promise<readonly (ScheduleState | undefined)[]> {
  const replies = parseReply('states', z.array(StateSchema), await queue.run('states', uids));
  return uids.map((uid, index) => decodeState(uid, replies[index] ?? [0]));
}

async function adopted(queue: QueueContext, install: string): ReturnType<SchedulePort['adopted']> {
  const found = new Map<
    string,
    { readonly uid: string; readonly namespace: string; readonly name: string }
  >();
  let cursor = '0';
  do {
    const [next, flat] = parseReply(
      'adopted',
      AdoptedPageSchema,
      await queue.run('adopted', [install, cursor, String(ADOPTED_PAGE)]),
    );
    for (let index = 0; index + 1 < flat.length; index += 2) {
      const uid = flat[index] ?? '';
      const [namespace = '', name = ''] = (flat[index + 1] ?? '').split('\n');
      found.set(uid, { uid, namespace, name });
    }
    cursor = next;
  } while (cursor !== '0');
  return [...found.values()];
}

/** Requests in order, a bounded amount of work in each chunk. A single request is never split: it is one transition. */
export function fireChunks(requests: readonly FireRequest[]): readonly (readonly FireRequest[])[] {
  const chunks: FireRequest[][] = [];
  let entries = 0;
  let bytes = 0;
  for (const request of requests) {
    const requestBytes = request.entries.reduce(
      (sum, entry) => sum + (entry.kind === 'trigger' ? (entry.params?.length ?? 0) : 0),
      request.run.params.length,
    );
    const last = chunks.at(-1);
    const fits =
      entries + request.entries.length <= ENTRIES_PER_CALL && bytes + requestBytes <= PARAMS_PER_CALL_BYTES;
    if (last !== undefined && fits) {
      last.push(request);
      entries += request.entries.length + 1;
      bytes += requestBytes;
    } else {
      chunks.push([request]);
      entries = request.entries.length + 1;
      bytes = requestBytes;
    }
  }
  return chunks;
}

async function fire(queue: QueueContext, requests: readonly FireRequest[]): Promise<readonly FireReply[]> {
  let answer: unknown;
  try {
    answer = await queue.run('fire', requests.flatMap(fireArguments));
  } catch (error) {
    if (isOutOfMemory(error)) return requests.map(() => ({ outcome: 'no-memory' }));
    throw error;
  }
  const replies = parseReply('fire', FireRepliesSchema, answer);
  return requests.map((request, index): FireReply => {
    const reply = replies[index];
    if (reply === undefined) throw malformed('fire');
    if (reply[0] === 'behind') return { outcome: 'behind' };
    if (reply[0] === 'stale') return { outcome: 'stale', generation: reply[1], withdrawn: reply[2] === 1 };
    const [, watermark, text] = reply;
    const decisions = decisionsOf(request, text === '' ? [] : text.split(' '));
    return { outcome: 'ok', decisions, ...(watermark === '' ? {} : { watermarkMs: Number(watermark) }) };
  });
}

function fireArguments(request: FireRequest): readonly string[] {
  const { uid, generation, concurrencyPolicy, entries, run, expectedWatermarkMs } = request;
  const options = cutSlotOptions(run.options);
  return [
    ...[uid, String(generation), POLICY_LETTERS[concurrencyPolicy], String(run.expiresInMs ?? '')],
    ...[laneName(run.task, run.priority), options.before, options.after, run.params],
    ...[String(expectedWatermarkMs ?? ''), String(entries.length)],
    ...entries.flatMap((entry) => entryArguments(uid, run.options, entry)),
  ];
}

function entryArguments(
  uid: string,
  options: FireRequest['run']['options'],
  entry: FireEntry,
): readonly string[] {
  switch (entry.kind) {
    case 'slot': {
      const { slotMs, delayMs, expiresAtMs, reason = '' } = entry;
      const expires = expiresAtMs === undefined ? '' : Math.round(expiresAtMs);
      return [
        `s;${slotMs};${Math.max(0, Math.round(delayMs))};${expires};${reason};${slotRunId(uid, slotMs).slice(uid.length + 1)}`,
      ];
    }
    case 'missed': {
      const { fromMs, toMs, count, countIsExact, reason } = entry;
      return [`m;${fromMs};${toMs};${count};${countIsExact ? 1 : 0};${reason}`];
    }
    case 'trigger': {
      const { request, params, notAfterMs, refusal = '' } = entry;
      return [
        ...['t', triggerRunId(uid, request), requestText(request), triggerOptions(options)],
        ...[...ownParams(params), String(notAfterMs ?? ''), refusal],
      ];
    }
  }
}

const requestText = (request: string): string => onOneLine(encodeRequest(request));
/** Whether there are any, and which. */
const ownParams = (params: string | undefined): readonly [string, string] =>
  params === undefined ? ['0', ''] : ['1', params];

async function ask(
  queue: QueueContext,
  uid: string,
  { request, params }: Pick<RequestedRun, 'request' | 'params'>,
): Promise<RequestOutcome> {
  const args = [uid, requestText(request), ...ownParams(params)];
  return parseReply('request', RequestOutcomeSchema, await queue.run('request', args));
}

async function requested(
  queue: QueueContext,
  install: string,
  limit: number,
): Promise<readonly RequestedRun[]> {
  const args = [install, String(Math.max(0, limit))];
  const waiting = parseReply('requested', RequestedSchema, await queue.run('requested', args));
  return waiting.map(([uid, request, requestedAtMs, params]) => ({
    ...{ uid, request: decodeRequest(request), requestedAtMs },
    ...(params !== null && { params }),
  }));
}

function decisionsOf({ uid, entries }: FireRequest, texts: readonly string[]): readonly FireDecision[] {
  return entries.map((entry, index) => {
    const decision = decodeFireDecision(texts[index] ?? '', runIdOf(uid, entry));
    if (decision === undefined) throw malformed('fire');
    return decision;
  });
}

function runIdOf(uid: string, entry: FireEntry): string | undefined {
  if (entry.kind === 'slot') return slotRunId(uid, entry.slotMs);
  return entry.kind === 'trigger' ? triggerRunId(uid, entry.request) : undefined;
}

async function texts(
  queue: QueueContext,
  uid: string,
  kind: 'decisions' | 'eras',
): Promise<readonly string[]> {
  return parseReply('decisions', TextsSchema, await queue.run('decisions', [uid, kind]));
}

/** Redis refused the script before it began, because its memory is full. */
function isOutOfMemory(error: unknown): boolean {
  const cause = error instanceof TidemillError ? error.cause : error;
  return cause instanceof Error && cause.message.startsWith('OOM');
}

function malformed(script: string): TidemillError {
  return new TidemillError('INTERNAL', `the reply of ${script}.lua to this request is missing or malformed`);
}
