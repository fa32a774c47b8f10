/** One object at one moment, as whoever watches objects hands it on and the schedule engine takes it. */
import type { ScheduledTaskSpec, ScheduledTaskStatus } from './scheduled-task.ts';

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

/** Never changed: a change makes a new snapshot. */
export interface ScheduledObject {
  readonly key: ObjectKey;
  /** Another object of the same name has another uid. */
  readonly uid: string;
  /** Rises with every change of the spec, and only then. */
  readonly generation: number;
  readonly namespace: string;
  readonly name: string;
  readonly spec: ScheduledTaskSpec | UnreadableSpec;
  /** Only those of our own domain. They change without a new generation. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** The source saw the object being deleted: it is withdrawn at once, not by the sweep. ms since the epoch. */
  readonly deletedAt?: number;
  /** What a status write must carry, so that it cannot hit a newer object; absent where a source keeps no status. */
  readonly resourceVersion?: string;
  /** The object's own status, where a source keeps one. */
  readonly status?: ScheduledTaskStatus;
}
