/**
 * Keeps the objects of one namespace, or of all, in the cache: a full list, then a watch from its version, and whatever
 * ends, again. It never gives up, never asks more than once a second, and lists anew at least every 5 minutes, so that no
 * event which was lost without a trace stays lost.
 */
import type { ObjectKey, ScheduledObject } from '../resource/scheduled-object.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../telemetry/log.ts';
import { answerOf, apiStatusOf, CRD_HINT, rightsHint } from './api-error.ts';
import type { KubeConnection } from './connect.ts';
import type { ObjectCache } from './object-cache.ts';
import type { InformerObserver, RestartReason } from './observer.ts';
import { isOlder } from './resource-version.ts';
import { collectionPath, type ListPage, type ScheduledTasksApi } from './scheduled-tasks.ts';
import { toScheduledObject } from './to-scheduled-object.ts';
import { endOf, nextTurn, type WatchEnd } from './watch-end.ts';
import { unlessAborted } from './unless-aborted.ts';
import { type WatchEvent, watchEvents } from './watch-stream.ts';

export interface InformerTiming {
  /** Default 5 min: a full list at least this often, whatever the watch brings. */
  readonly relistEveryMs: number;
  /** Default 30 s: a watch that brings nothing for this long is opened anew. Bookmarks come about once a minute. */
  readonly silenceMs: number;
  /** Default 290 s: the server ends a watch after this. */
  readonly watchTimeoutSeconds: number;
  /** Default 200: pages of 500 instead of 100 were seen to cost 77 MB of memory. */
  readonly pageSize: number;
}

export const DEFAULT_INFORMER_TIMING: InformerTiming = {
  relistEveryMs: 5 * 60_000,
  silenceMs: 30_000,
  watchTimeoutSeconds: 290,
  pageSize: 200,
};

/** A list after an outage is no hurry, and comes when a server that starts has the worst behind it. */
const AFTER_OUTAGE_MS = 10_000;

export interface ListWatchOptions {
  readonly connection: Pick<KubeConnection, 'stream' | 'heard'>;
  readonly api: Pick<ScheduledTasksApi, 'list'>;
  /** `undefined`: all. */
  readonly namespace: string | undefined;
  readonly cache: ObjectCache;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: InformerObserver;
  readonly timing: InformerTiming;
  readonly random: () => number;
  readonly onListed: () => void;
}

export class ListWatch {
  readonly #options: ListWatchOptions;
  /** For metrics and log lines; empty: all. */
  readonly #label: string;
  /** Up to where we have read; `undefined`: a list is due. */
  #version: string | undefined;
  /** The server's data was restored: the same version may be another state by now. */
  #isRewound = false;
  /**
   * The server failed us since the last list. Its data may have been set back meanwhile, and its versions may have passed
   * ours again: then a watch goes on without an error, and only a list tells what it left out. One that has just started
   * may answer no more than that we have no rights, so every kind of failure counts.
   */
  #wasAway = false;
  #listedAtMs: number | undefined;
  #lastEventMs: number | undefined;
  /** Monotonic; `undefined` while no watch is open. */
  #openedAtMs: number | undefined;

  constructor(options: ListWatchOptions) {
    this.#options = options;
    this.#label = options.namespace ?? '';
  }

  get namespace(): string {
    return this.#label;
  }

  /** Monotonic time at which the newest list that succeeded was asked for. */
  get listedAtMs(): number | undefined {
    return this.#listedAtMs;
  }

  /** Wall clock, ms: when the server last told anything. */
  get lastEventMs(): number | undefined {
    return this.#lastEventMs;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, observer, random } = this.#options;
    let failures = 0;
    let before: RestartReason | undefined;
    while (!signal.aborted) {
      const end = await this.#turn(signal);
      // Stopping is no end worth telling.
      if (isStopped(signal)) return;
      const watchedMs = this.#openedAtMs === undefined ? 0 : clock.monotonic() - this.#openedAtMs;
      this.#openedAtMs = undefined;
      // A server that was away, and now says that it knows less, is back: the list does not wait as for one that is away.
      const isBack = before === 'error' && (end.reason === 'gone' || end.reason === 'rewound');
      const next = nextTurn(end, watchedMs, isBack ? 0 : failures, random);
      failures = next.failures;
      before = end.reason;
      if (end.reason === 'error') this.#wasAway = true;
      if (next.begin === 'list') this.#version = undefined;
      if (end.reason === 'rewound') this.#isRewound = true;
      observer.restarted({ namespace: this.#label, reason: end.reason });
      this.#tell(end, failures, next.delayMs);
      await clock.sleep(next.delayMs, signal);
    }
  }

  /** One list, where it is due, and the watch after it. */
  async #turn(signal: AbortSignal): Promise<WatchEnd> {
    try {
      const version = this.#version;
      if (version === undefined) return await this.#watch(await this.#list(signal), signal);
      // After a restore of its data the server counts anew, and a watch from a version that is still to come brings
      // nothing and no error either: so every watch that goes on from where another ended asks first where the server is.
      const { api, namespace } = this.#options;
      const { resourceVersion } = await unlessAborted(signal, api.list(namespace, { limit: 1 }));
      if (isOlder(resourceVersion, version)) return { reason: 'rewound' };
      return await this.#watch(version, signal);
    } catch (error) {
      return endOf(error, this.#options.clock.now());
    }
  }

  /** @returns the version of the list */
  async #list(signal: AbortSignal): Promise<string> {
    const { clock, cache, namespace, observer, onListed } = this.#options;
    const askedAtMs = clock.monotonic();
    const objects: ScheduledObject[] = [];
    const unreadable = new Set<ObjectKey>();
    let page: ListPage | undefined;
    do {
      const restart = (): void => {
        objects.length = 0;
        unreadable.clear();
      };
      page = await unlessAborted(signal, this.#page(page?.continue, restart));
      for (const item of page.items) this.#read(item, objects, unreadable);
    } while (page.continue !== undefined);
    cache.replace(namespace, objects, unreadable, askedAtMs);
    this.#version = page.resourceVersion;
    this.#isRewound = false;
    this.#wasAway = false;
    this.#listedAtMs = askedAtMs;
    this.#lastEventMs = clock.now();
    observer.listed({
      namespace: this.#label,
      objects: objects.length,
      durationMs: clock.monotonic() - askedAtMs,
    });
    onListed();
    return page.resourceVersion;
  }

  /** A list that goes on too long for the server to remember its version is asked for again, whole. */
  async #page(from: string | undefined, restart: () => void): Promise<ListPage> {
    const { api, namespace, timing } = this.#options;
    if (from === undefined) return await api.list(namespace, { limit: timing.pageSize });
    try {
      return await api.list(namespace, { limit: timing.pageSize, continue: from });
    } catch (error) {
      if (apiStatusOf(error).code !== 410) throw error;
      restart();
      return await api.list(namespace);
    }
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<WatchEnd> {
    const { connection, clock, namespace, timing } = this.#options;
    const turn = new AbortController();
    const dueInMs = (this.#listedAtMs ?? 0) + timing.relistEveryMs - clock.monotonic();
    using _relist = clock.after(this.#wasAway ? Math.min(dueInMs, AFTER_OUTAGE_MS) : dueInMs, () => {
      turn.abort();
    });
    const options = {
      connection,
      clock,
      path: collectionPath(namespace),
      resourceVersion,
      timeoutSeconds: timing.watchTimeoutSeconds,
      silenceMs: timing.silenceMs,
      onOpen: () => {
        this.#openedAtMs = clock.monotonic();
      },
    };
    try {
      for await (const event of watchEvents(options, AbortSignal.any([signal, turn.signal]))) {
        const end = this.#take(event);
        if (end !== undefined) return end;
      }
    } catch (error) {
      if (!turn.signal.aborted) throw error;
    }
    return turn.signal.aborted ? { reason: 'relist' } : { reason: 'closed' };
  }

  #take(event: WatchEvent): WatchEnd | undefined {
    const { cache, clock, observer } = this.#options;
    this.#lastEventMs = clock.now();
    observer.eventSeen({ namespace: this.#label, type: event.type });
    if (event.type === 'ERROR') {
      const error = new WatchError(event.status.message);
      return { reason: event.status.code === 410 ? 'gone' : 'error', error };
    }
    if (isOlder(event.resourceVersion, this.#version)) return { reason: 'rewound' };
    if (event.type !== 'BOOKMARK') {
      const read = toScheduledObject(event.object);
      if (read.kind === 'problem') this.#tellUnreadable(read.message);
      else if (event.type === 'DELETED') cache.deleted(read.object.key, event.resourceVersion);
      else cache.changed(read.object);
    }
    this.#version = event.resourceVersion;
    return undefined;
  }

  #read(item: unknown, objects: ScheduledObject[], unreadable: Set<ObjectKey>): void {
    const { cache } = this.#options;
    const read = toScheduledObject(
      item,
      this.#isRewound || this.#wasAway ? undefined : (key) => cache.get(key),
    );
    if (read.kind === 'object') objects.push(read.object);
    else {
      if (read.key !== undefined) unreadable.add(read.key);
      this.#tellUnreadable(read.message);
    }
  }

  #tellUnreadable(problem: string): void {
    const { log, observer } = this.#options;
    log.error('the API server sent what is no ScheduledTask: the last good state stays', { problem });
    observer.unreadable({ namespace: this.#label });
  }

  #tell({ reason, error }: WatchEnd, failures: number, delayMs: number): void {
    const { log } = this.#options;
    const fields = { namespace: this.#label, reason, failures, delayMs: Math.round(delayMs) };
    if (error === undefined) log.debug('the watch is begun anew', fields);
    else log.warn('the watch failed and is begun anew', { ...fields, ...tellable(error) });
  }
}

/** Asked again after a wait: the compiler takes the first answer for good. */
const isStopped = (signal: AbortSignal): boolean => signal.aborted;

/** The server ended a watch by an ERROR event. */
class WatchError extends Error {
  override readonly name = 'WatchError';
}

/** The exception of a client holds whole bodies and headers: only what the server meant is logged. */
function tellable(error: unknown): {
  readonly code?: number;
  readonly answer: string;
  readonly hint?: string;
} {
  const status = apiStatusOf(error);
  const { code } = status;
  const answer = answerOf(status);
  const hint = code === 404 ? CRD_HINT : rightsHint(status);
  return { answer, ...(code !== undefined && { code }), ...(hint !== undefined && { hint }) };
}
