/** The newest snapshot of every object that is watched, put together from full lists, events of watches, and live reads. */
import { isDeepStrictEqual } from 'node:util';
import type { ObjectKey, ScheduledObject } from '../resource/scheduled-object.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../telemetry/log.ts';
import { isOlder } from './resource-version.ts';

/** What a live read found, which a list or an event from before it must not undo. */
interface LiveRead {
  /** Monotonic. */
  readonly atMs: number;
  /** There was an object of this uid, and the read found none. */
  readonly removedUid?: string;
}

export class ObjectCache {
  readonly #objects = new Map<ObjectKey, ScheduledObject>();
  readonly #liveReads = new Map<ObjectKey, LiveRead>();
  /** Uids whose deletion the server told of; forgotten at the next list, which others go by. */
  readonly #deletions = new Map<ObjectKey, string>();
  readonly #listeners = new Set<(key: ObjectKey) => void>();
  readonly #clock: Clock;
  readonly #log: Log;
  /** `list()` is asked for far more often than anything changes. */
  #listed: readonly ScheduledObject[] | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  list(): readonly ScheduledObject[] {
    this.#listed ??= [...this.#objects.values()];
    return this.#listed;
  }

  get(key: ObjectKey): ScheduledObject | undefined {
    return this.#objects.get(key);
  }

  subscribe(listener: (key: ObjectKey) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** ADDED or MODIFIED. An event from before a live read is late, not news. */
  changed(object: ScheduledObject): void {
    const { key, uid, resourceVersion } = object;
    if (this.#liveReads.get(key)?.removedUid === uid) return;
    if (isOlder(resourceVersion, this.get(key)?.resourceVersion)) return;
    this.#put(object);
  }

  /** DELETED. @param resourceVersion - of the deletion */
  deleted(key: ObjectKey, resourceVersion: string | undefined): void {
    const known = this.get(key);
    if (isOlder(resourceVersion, known?.resourceVersion)) return;
    if (known !== undefined) this.#deletions.set(key, known.uid);
    this.#remove(key);
  }

  /** Of an absent key: the uid that a DELETED event took away. */
  deletedUid(key: ObjectKey): string | undefined {
    return this.#objects.has(key) ? undefined : this.#deletions.get(key);
  }

  /**
   * A read of the one object, which the server answers from its newest state: it wins over whatever was known when it was
   * asked for, even over a higher version, because a server whose data was restored counts from where it then was.
   */
  readLive(key: ObjectKey, object: ScheduledObject | undefined): void {
    const before = this.get(key);
    const removedUid = object === undefined ? before?.uid : undefined;
    this.#liveReads.set(key, {
      atMs: this.#clock.monotonic(),
      ...(removedUid !== undefined && { removedUid }),
    });
    if (object === undefined) this.#remove(key);
    else this.#put(object);
  }

  /**
   * A full list is the truth of the moment it was asked for: what it lacks is gone, and what it has replaces what was known,
   * be it of a higher version. Only what was read live since then is younger.
   *
   * @param namespace - what the list covers; `undefined`: all
   * @param unreadable - listed objects that cannot be taken for one: their last good snapshot stays
   * @param askedAtMs - monotonic
   */
  replace(
    namespace: string | undefined,
    objects: readonly ScheduledObject[],
    unreadable: ReadonlySet<ObjectKey>,
    askedAtMs: number,
  ): void {
    const isCovered = (key: ObjectKey): boolean => namespace === undefined || key.startsWith(`${namespace}/`);
    for (const key of this.#deletions.keys()) if (isCovered(key)) this.#deletions.delete(key);
    const listed = new Set<ObjectKey>(unreadable);
    for (const object of objects) {
      listed.add(object.key);
      if (!this.#isOutdated(object, askedAtMs)) this.#put(object);
    }
    for (const key of this.#objects.keys())
      if (isCovered(key) && !listed.has(key) && !this.#readSince(key, askedAtMs)) this.#remove(key);
    for (const [key, { atMs }] of this.#liveReads)
      if (isCovered(key) && atMs < askedAtMs) this.#liveReads.delete(key);
  }

  #isOutdated({ key, uid, resourceVersion }: ScheduledObject, askedAtMs: number): boolean {
    const read = this.#readSince(key, askedAtMs);
    if (read === undefined) return false;
    return read.removedUid === uid || isOlder(resourceVersion, this.get(key)?.resourceVersion);
  }

  #readSince(key: ObjectKey, askedAtMs: number): LiveRead | undefined {
    const read = this.#liveReads.get(key);
    return read !== undefined && read.atMs >= askedAtMs ? read : undefined;
  }

  #put(object: ScheduledObject): void {
    const before = this.get(object.key);
    if (before === object) return;
    // Most changes are our own status writes: the spec they come with is the one that is here already.
    const sameSpec = before !== undefined && isDeepStrictEqual(before.spec, object.spec);
    this.#objects.set(object.key, sameSpec ? { ...object, spec: before.spec } : object);
    this.#listed = undefined;
    if (before === undefined || !sameSpec || isNews(before, object)) this.#tell(object.key);
  }

  #remove(key: ObjectKey): void {
    if (!this.#objects.delete(key)) return;
    this.#listed = undefined;
    this.#tell(key);
  }

  #tell(key: ObjectKey): void {
    for (const listener of this.#listeners) {
      try {
        listener(key);
      } catch (error) {
        // One listener's defect must not keep the others, nor the watch, from going on.
        this.#log.error('a listener of the informer threw', { key, err: error });
      }
    }
  }
}

function isNews(before: ScheduledObject, after: ScheduledObject): boolean {
  return (
    before.uid !== after.uid ||
    before.generation !== after.generation ||
    before.deletedAt !== after.deletedAt ||
    !isDeepStrictEqual(before.annotations, after.annotations)
  );
}
