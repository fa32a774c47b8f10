/** Where schedules come from: files and code, or a Kubernetes informer. The engine knows only this. */
import type { ObjectKey, ScheduledObject } from '../resource/scheduled-object.ts';

/**
 * A cache of objects that is kept up to date by whoever implements it. All reads but `readLive` are cheap and never wait.
 *
 * An object that cannot be read at all (a broken file, an unparsable answer) must not look deleted: the source keeps the
 * last good one and reports the problem itself.
 */
export interface ObjectSource {
  list(): readonly ScheduledObject[];
  get(key: ObjectKey): ScheduledObject | undefined;
  /** Calls `listener` with the key of every object that came, changed or went since. It must be quick and not throw. */
  subscribe(listener: (key: ObjectKey) => void): Disposable;
  /**
   * The object as it is now, past any cache; the cache takes it over. `undefined`: it does not exist.
   * @throws when it cannot be told: the caller asks again later, and does nothing meanwhile
   */
  readLive(key: ObjectKey): Promise<ScheduledObject | undefined>;
  /**
   * When the newest full list that succeeded was asked for, on the monotonic clock; `undefined` before the first. What is
   * absent from the cache by then, and was there before, is gone.
   */
  readonly lastFullListAt: number | undefined;
  /**
   * Uid of the object that stood under this absent key, when the source was told that exactly that one was deleted;
   * `undefined` when it is absent for any other reason, or nothing is known.
   */
  deletedUid?(key: ObjectKey): string | undefined;
  /** Whether objects of this namespace are looked at at all; default: of all. What is not looked at is not absent. */
  covers?(namespace: string): boolean;
}
