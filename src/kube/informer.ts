/** The objects of the watched namespaces, kept up to date: a source for the schedule engine, made of one list and watch for each namespace. */
import type { ObjectKey, ScheduledObject } from '../resource/scheduled-object.ts';
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { KubeConnection } from './connect.ts';
import { DEFAULT_INFORMER_TIMING, type InformerTiming, ListWatch } from './list-watch.ts';
import { ObjectCache } from './object-cache.ts';
import { type InformerObserver, SILENT_INFORMER_OBSERVER } from './observer.ts';
import { ScheduledTasksApi } from './scheduled-tasks.ts';
import { toScheduledObject } from './to-scheduled-object.ts';

export interface InformerOptions {
  readonly connection: KubeConnection;
  /** Empty: all, which needs rights for the whole cluster. */
  readonly namespaces: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly observer?: Partial<InformerObserver>;
  readonly timing?: Partial<InformerTiming>;
  readonly random?: () => number;
}

/** One of those that an informer is made of. */
export interface InformerState {
  /** Empty: all. */
  readonly namespace: string;
  readonly synced: boolean;
  /** Wall clock, ms; `undefined` before the server told anything. */
  readonly lastEventMs: number | undefined;
}

/** A read that is overtaken by the watch this often takes what it has. */
const MOST_READS = 3;

export class ScheduledTaskInformer {
  readonly #cache: ObjectCache;
  readonly #api: ScheduledTasksApi;
  readonly #watches: readonly ListWatch[];
  readonly #namespaces: ReadonlySet<string>;
  readonly #firstSync = Promise.withResolvers<undefined>();
  #running = false;

  constructor(options: InformerOptions) {
    const { connection, namespaces, clock, log } = options;
    this.#namespaces = new Set(namespaces);
    this.#cache = new ObjectCache(clock, log);
    // The list and the readers of single objects have loops of their own: a retry below them would only hide failures.
    this.#api = new ScheduledTasksApi(connection, { patient: false });
    const watched = this.#namespaces.size === 0 ? [undefined] : [...this.#namespaces];
    this.#watches = watched.map(
      (namespace) =>
        new ListWatch({
          connection,
          api: this.#api,
          namespace,
          cache: this.#cache,
          clock,
          log,
          observer: { ...SILENT_INFORMER_OBSERVER, ...options.observer },
          timing: { ...DEFAULT_INFORMER_TIMING, ...options.timing },
          random: options.random ?? Math.random,
          onListed: () => {
            if (this.synced) this.#firstSync.resolve(undefined);
          },
        }),
    );
  }

  /** A full list of every namespace has succeeded: what is absent does not exist. */
  get synced(): boolean {
    return this.lastFullListAt !== undefined;
  }

  /** Resolves when it is synced for the first time. */
  async onSynced(): Promise<void> {
    await this.#firstSync.promise;
  }

  /** Monotonic time at which the oldest of the newest full lists was asked for; `undefined` before there is one of each. */
  get lastFullListAt(): number | undefined {
    let oldest: number | undefined = Number.POSITIVE_INFINITY;
    for (const { listedAtMs } of this.#watches) {
      if (listedAtMs === undefined) return undefined;
      oldest = Math.min(oldest, listedAtMs);
    }
    return oldest;
  }

  /** For metrics. */
  states(): readonly InformerState[] {
    return this.#watches.map(({ namespace, listedAtMs, lastEventMs }) => ({
      namespace,
      synced: listedAtMs !== undefined,
      lastEventMs,
    }));
  }

  list(): readonly ScheduledObject[] {
    return this.#cache.list();
  }

  get(key: ObjectKey): ScheduledObject | undefined {
    return this.#cache.get(key);
  }

  /** Others of the install may watch the other namespaces. */
  covers(namespace: string): boolean {
    return this.#namespaces.size === 0 || this.#namespaces.has(namespace);
  }

  /** Uid of the object whose deletion a watch told of, while its key is absent. */
  deletedUid(key: ObjectKey): string | undefined {
    return this.#cache.deletedUid(key);
  }

  /**
   * The listener hears of what is new in spec, in annotations of our domain, by deletion or by another uid, but not of a
   * changed status or version: those are in the cache without a word.
   */
  subscribe(listener: (key: ObjectKey) => void): Disposable {
    return this.#cache.subscribe(listener);
  }

  /**
   * Reads past the cache, which takes the answer over. When the watch brought something meanwhile, it cannot be told which
   * is younger: then it is read again.
   * @throws TidemillError KUBE_UNAVAILABLE, KUBE_FORBIDDEN, KUBE_REFUSED
   */
  async readLive(key: ObjectKey): Promise<ScheduledObject | undefined> {
    const [namespace = '', name = ''] = key.split('/');
    if (!this.covers(namespace)) return undefined;
    for (let reads = 1; ; reads += 1) {
      const before = this.#cache.get(key);
      const raw = await this.#api.read({ namespace, name });
      if (this.#cache.get(key) !== before && reads < MOST_READS) continue;
      const read = raw === undefined ? undefined : toScheduledObject(raw);
      if (read?.kind === 'problem') {
        throw new TidemillError(
          'KUBE_REFUSED',
          `the API server sent no ScheduledTask for ${key}: ${read.message}`,
        );
      }
      this.#cache.readLive(key, read?.object);
      return this.#cache.get(key);
    }
  }

  /** Keeps the objects up to date until the signal aborts. What was read stays. One run at a time. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#running) throw new TidemillError('INTERNAL', 'the informer runs already');
    this.#running = true;
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    try {
      await Promise.all(this.#watches.map((watch) => watch.run(either)));
    } finally {
      // A defect in one must not leave the others running unseen.
      stop.abort();
      this.#running = false;
    }
  }
}
