/** The objects of one queue as the engine knows them: compared with the source key by key, compiled once a generation. */
import { queueOf } from '../resource/to-schedule.ts';
import { messageOf } from '../runtime/errors.ts';
import { type Definition, define } from './definition.ts';
import type { EngineContext } from './engine-context.ts';
import { type Entry, newEntry } from './entry.ts';
import type { ObjectKey, ScheduledObject } from '../resource/scheduled-object.ts';
import type { TaskCatalog } from './task-catalog.ts';
import { type Verdict, verdictOn } from './verdict.ts';

export class LaneObjects {
  readonly #queue: string;
  readonly #context: EngineContext;
  readonly #catalog: TaskCatalog;
  readonly #entries = new Map<ObjectKey, Entry>();

  constructor(queue: string, context: EngineContext, catalog: TaskCatalog) {
    this.#queue = queue;
    this.#context = context;
    this.#catalog = catalog;
  }

  get(key: ObjectKey): Entry | undefined {
    return this.#entries.get(key);
  }

  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  keys(): readonly ObjectKey[] {
    return [...this.#entries.keys()];
  }

  /** Objects whose condition may change by time alone, or by a consumer that comes up. */
  awaitingTasks(): readonly ObjectKey[] {
    return [...this.#entries].flatMap(([key, { verdict }]) =>
      verdict.reason === 'UnknownTask' || verdict.reason === 'InvalidParams' ? [key] : [],
    );
  }

  /**
   * Brings the entry of a key to the level of the source.
   * @returns uids that are gone for certain, to be withdrawn. One that is absent for an unknown reason is left to the sweep.
   */
  refresh(key: ObjectKey, nowMs: number): readonly string[] {
    const object = this.#context.source.get(key);
    const known = this.#entries.get(key);
    if (object === undefined) {
      this.#drop(key, known);
      const deleted = this.#context.source.deletedUid?.(key);
      return deleted === undefined ? [] : [deleted];
    }
    if (object.deletedAt !== undefined) {
      this.#drop(key, known);
      return [object.uid];
    }
    const replaced = known !== undefined && known.object.uid !== object.uid ? [known.object.uid] : [];
    const isSame = replaced.length === 0 && known?.object.generation === object.generation;
    const definition = isSame ? known.definition : this.#define(object);
    if (definition.queue !== this.#queue) {
      this.#drop(key, known);
      return replaced;
    }
    this.#set(key, replaced.length > 0 ? undefined : known, object, definition, nowMs);
    return replaced;
  }

  /** A defect in reading one object must not stop its neighbours. */
  #define(object: ScheduledObject): Definition {
    try {
      return define(object);
    } catch (error) {
      this.#context.log.error('an object could not be read', { object: object.key, err: error });
      const unreadable = `this version of Tidemill cannot read the object: ${messageOf(error)}`;
      return define({ ...object, spec: { unreadable, queue: queueOf(object.spec) } });
    }
  }

  #set(
    key: ObjectKey,
    known: Entry | undefined,
    object: ScheduledObject,
    definition: Definition,
    nowMs: number,
  ): void {
    const withPriority = this.#prioritised(definition);
    const verdict = verdictOn(object, definition, this.#catalog, this.#context.allow);
    if (known === undefined) {
      this.#entries.set(key, newEntry(object, withPriority, verdict, verdictSinceMs(object, verdict, nowMs)));
      return;
    }
    if (known.verdict.reason !== verdict.reason) known.verdictSinceMs = nowMs;
    if (known.object.generation !== object.generation) known.planned = false;
    known.object = object;
    known.definition = withPriority;
    known.verdict = verdict;
  }

  /** The task's own priority holds where the object sets none. */
  #prioritised(definition: Definition): Definition {
    if (definition.ownPriority) return definition;
    const priority = this.#catalog.priorityOf(definition.run.task) ?? definition.run.priority;
    if (priority === definition.run.priority) return definition;
    return { ...definition, run: { ...definition.run, priority } };
  }

  #drop(key: ObjectKey, known: Entry | undefined): void {
    if (known === undefined) return;
    this.#entries.delete(key);
    this.#context.sink.gone(known.object);
  }
}

/** A restarted engine goes on from what the object says: else each restart would call a stalled object reconciling again. */
function verdictSinceMs({ generation, status }: ScheduledObject, { reason }: Verdict, nowMs: number): number {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.reason !== reason || ready.observedGeneration !== generation) return nowMs;
  const sinceMs = Date.parse(ready.lastTransitionTime);
  return Number.isFinite(sinceMs) ? Math.min(sinceMs, nowMs) : nowMs;
}
