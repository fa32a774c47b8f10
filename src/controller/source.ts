/** Where schedules come from: files and code now, a Kubernetes informer later. The engine knows only this. */
import type { ScheduledTaskSpec } from '../resource/scheduled-task.ts';

/** `namespace/name`. */
export type ObjectKey = string;

export function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): ObjectKey {
  return `${namespace}/${name}`;
}

/** What stands for the spec of an object that does not fit the schema: stored by an older version, or wrong where the API server could not see it. */
export interface UnreadableSpec {
  /** The problems, each with field, value and rule. */
  readonly unreadable: string;
  readonly queue: string;
}

/** One object at one moment. Never changed: a change makes a new snapshot. */
export interface ScheduledObject {
  readonly key: ObjectKey;
  /** Another object of the same name has another uid. */
  readonly uid: string;
  /** Rises with every change of the spec, and only then. */
  readonly generation: number;
  readonly namespace: string;
  readonly name: string;
  readonly spec: ScheduledTaskSpec | UnreadableSpec;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The source saw the object being deleted: it is withdrawn at once, not by the sweep. ms since the epoch. */
  readonly deletedAt?: number;
  /** What the object's own status says, where a source keeps one. */
  readonly observed?: {
    readonly generation: number;
    /** Every slot up to and including this one was decided. */
    readonly settledThroughMs?: number;
  };
}

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
}
