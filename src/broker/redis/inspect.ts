/** Reads and switches for people, on Redis. Every read is bounded, and a search says how far it looked. */
import { z } from 'zod';
import { TaskManifestSchema } from '../../task/manifest.ts';
import { RUN_STATES, type RunRecord, type RunState } from '../../task/run.ts';
import {
  type ConsumerInfo,
  type InspectPort,
  type QueueStats,
  type RunFilter,
  type RunPage,
  SEARCH_CAP,
  type TaskStats,
} from '../broker.ts';
import { NewestRuns } from '../newest-runs.ts';
import { decodeManifestHash } from './keys.ts';
import { parseReply } from './parse-reply.ts';
import type { QueueContext } from './queue-context.ts';
import { encodeReason } from './reason-text.ts';
import { decodeRecord } from './record.ts';

/** Records of one page of a search: each costs Redis a few ms. */
const SEARCH_PAGE = 500;
/** The first page is small, because the newest are often all that is wanted. */
const FIRST_SEARCH_PAGE = 50;
/** Runs cancelled in one transition of `purge`. */
const PURGE_PAGE = 1_000;

const Count = z.coerce.number();
const StatsSchema = z.tuple([Count, Count, Count, Count, Count, Count, Count, Count, Count, Count, Count]);
const TasksSchema = z.array(
  z.tuple([z.string(), z.string(), z.string(), Count, Count, Count, Count, Count, Count]),
);
const ConsumersSchema = z.array(z.tuple([z.string(), z.string(), Count, Count]));
const ConsumerSchema = z.object({ host: z.string(), pid: z.number(), version: z.string() });
const ManifestsSchema = z.array(z.tuple([z.string(), Count, Count]));
const SearchSchema = z.tuple([Count, Count, Count, Count, Count, Count, z.array(z.string())]);
const PurgeSchema = z.tuple([Count, Count]);

const STATE_LETTERS: Readonly<Record<RunState, string>> = {
  ...{ pending: 'p', delayed: 'd', running: 'r', succeeded: 's', failed: 'f', cancelled: 'c', expired: 'x' },
};

export function createRedisInspect(queue: QueueContext): InspectPort {
  return {
    stats: (lookAheadMs = 0) => stats(queue, lookAheadMs),
    tasks: async () => parseReply('tasks', TasksSchema, await queue.run('tasks', [])).map(taskStats),
    consumers: async () =>
      parseReply('consumers', ConsumersSchema, await queue.run('consumers', [])).map(consumerInfo),
    manifests: () => manifests(queue),
    runs: (filter) => search(queue, filter),
    setQueuePaused: async (paused) => {
      await queue.list();
      await queue.run('pause-queue', [paused ? '1' : '0']);
    },
    setTaskPaused: async (task, paused) => {
      await queue.list();
      await queue.run('pause-task', [task, paused ? '1' : '0']);
    },
    purge: (reason, limit) => purge(queue, reason, limit),
  };
}

async function stats(queue: QueueContext, lookAheadMs: number): Promise<QueueStats> {
  const reply = parseReply('stats', StatsSchema, await queue.run('stats', [String(lookAheadMs)]));
  const [pending, delayed, running, retainedSucceeded, retainedFailed] = reply;
  const [, , , , , retainedBytes, paused, oldestPendingAgeMs, consumers, dueSoon, maxPending] = reply;
  return {
    ...{
      queue: queue.name,
      pending,
      delayed,
      running,
      retainedSucceeded,
      retainedFailed,
      retainedBytes,
      paused: paused === 1,
    },
    ...{ oldestPendingAgeMs, consumers, dueSoon, maxPending },
  };
}

function taskStats(reply: z.output<typeof TasksSchema>[number]): TaskStats {
  const [task, executor, limit, high, medium, low, running, paused, known] = reply;
  return {
    ...{ task, executor: executor === 'io' || executor === 'cpu' ? executor : 'unknown', running },
    ...{ pending: { high, medium, low }, paused: paused === 1, known: known === 1 },
    ...(limit === '' ? {} : { maxConcurrency: Number(limit) }),
  };
}

function consumerInfo([incarnation, text, held, leaseExpiresAtMs]: z.output<
  typeof ConsumersSchema
>[number]): ConsumerInfo {
  const cut = text.indexOf('\n');
  const parsed = ConsumerSchema.safeParse(parseJson(text.slice(cut + 1)));
  const { host, pid, version } = parsed.success
    ? parsed.data
    : { host: 'unknown', pid: 0, version: 'unknown' };
  return {
    incarnation,
    host,
    pid,
    version,
    manifestHash: decodeManifestHash(text.slice(0, cut)),
    held,
    leaseExpiresAtMs,
  };
}

async function manifests(queue: QueueContext): ReturnType<InspectPort['manifests']> {
  const replies = parseReply('manifests', ManifestsSchema, await queue.run('manifests', []));
  const readable = replies.flatMap(([text, live, lastSeenMs]) => {
    const manifest = TaskManifestSchema.safeParse(parseJson(text));
    return manifest.success ? [{ manifest: manifest.data, live: live === 1, lastSeenMs }] : [];
  });
  return readable.sort((a, b) => Number(b.live) - Number(a.live) || b.lastSeenMs - a.lastSeenMs);
}

async function search(queue: QueueContext, filter: RunFilter): Promise<RunPage> {
  const letters = (filter.states ?? RUN_STATES).map((state) => STATE_LETTERS[state]).join('');
  const newest = new NewestRuns(filter.limit);
  let [place, offset, share, left, searched, isCut] = [1, 0, -1, SEARCH_CAP, 0, false];
  let page = FIRST_SEARCH_PAGE;
  while (place > 0 && left > 0) {
    const args = [
      letters,
      filter.task ?? '',
      filter.scheduleUid ?? '',
      ...[place, offset, share, Math.min(page, left), left, newest.floorMs, filter.limit].map(String),
    ];
    const reply = parseReply('search', SearchSchema, await queue.run('search', args));
    const [nextPlace, nextOffset, nextShare, used, looked, cut, flat] = reply;
    [place, offset, share] = [nextPlace, nextOffset, nextShare];
    left -= used;
    searched += looked;
    isCut ||= cut === 1;
    newest.add(recordsOf(queue.name, flat));
    page = Math.min(page * 2, SEARCH_PAGE);
  }
  return { runs: newest.runs, searched, complete: place === 0 && !isCut && !newest.isCut };
}

function recordsOf(queue: string, flat: readonly string[]): readonly RunRecord[] {
  const records: RunRecord[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const decoded = decodeRecord(queue, flat[index] ?? '', flat[index + 1] ?? '');
    if (decoded !== undefined) records.push(decoded.record);
  }
  return records;
}

async function purge(queue: QueueContext, reason: string, limit: number): ReturnType<InspectPort['purge']> {
  const page = Math.max(0, Math.min(limit, PURGE_PAGE));
  const [cancelled, more] = parseReply(
    'purge',
    PurgeSchema,
    await queue.run('purge', [encodeReason(reason), String(page)]),
  );
  return { cancelled, more: more === 1 };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
