/** Reports and objects as an engine and an API server give them, for tests of what becomes of them. */
import type { ObjectReport } from '../../src/controller/sink.ts';
import type { ObjectSource } from '../../src/controller/source.ts';
import type { StatusOutcome, StatusStore, StatusWrite } from '../../src/controller/status-store.ts';
import { sameJson } from '../../src/controller/status-values.ts';
import { conditionFlags, type NotReadyReason, type ReadyReason } from '../../src/resource/conditions.ts';
import { keyOf, type ObjectKey, type ScheduledObject } from '../../src/resource/scheduled-object.ts';
import type { ScheduledTaskStatus } from '../../src/resource/scheduled-task.ts';
import { NOT_SEEN_YET } from '../../src/resource/status-schema.ts';
import { type SpecInput, specOf } from './schedule-world.ts';

export const NEVER_SEEN: ScheduledTaskStatus = NOT_SEEN_YET;

export interface ObjectInput {
  readonly name?: string;
  readonly uid?: string;
  readonly generation?: number;
  readonly spec?: SpecInput;
  readonly status?: ScheduledTaskStatus;
  readonly resourceVersion?: string;
}

export function objectOf(input: ObjectInput = {}): ScheduledObject {
  const { name = 'a', generation = 1, spec = { schedule: '* * * * *' }, status = NEVER_SEEN } = input;
  return {
    key: keyOf({ namespace: 'default', name }),
    uid: input.uid ?? `uid-${name}`,
    ...{ namespace: 'default', name, generation, spec: specOf(spec), status },
    resourceVersion: input.resourceVersion ?? '1',
  };
}

export type ReportInput = Partial<Omit<ObjectReport, 'condition'>> & {
  readonly reason?: ReadyReason | NotReadyReason;
  readonly message?: string;
  readonly reasonForMs?: number;
};

export function reportOn(object: ScheduledObject, input: ReportInput = {}): ObjectReport {
  const { reason = 'Scheduled', message = 'fires on schedule', reasonForMs = 0, ...rest } = input;
  return {
    ...{ object, queue: 'default', task: 'tick', inForce: true, recent: [] },
    condition: { reason, message, flags: conditionFlags(reason, reasonForMs, false) },
    ...rest,
  };
}

/** An API server for statuses: versions, conflicts, and a watch that can lag. */
export class StatusServer implements StatusStore, Pick<ObjectSource, 'get' | 'subscribe'> {
  /** What the server holds, and what the watch has shown of it. */
  readonly #objects = new Map<ObjectKey, ScheduledObject>();
  readonly #shown = new Map<ObjectKey, ScheduledObject>();
  readonly #listeners = new Set<(key: ObjectKey) => void>();
  #version = 0;
  /** False: the watch is silent. */
  watching = true;
  /** Conditions that others wrote: an apply leaves them, and one that changes nothing makes no version. */
  foreign: NonNullable<ScheduledTaskStatus['conditions']> = [];
  readonly writes: StatusWrite[] = [];
  readonly outcomes: StatusOutcome[] = [];
  /** Called before each write; what it throws is the answer, and what it returns is taken for it. */
  answer: (write: StatusWrite) => StatusOutcome | undefined | Promise<StatusOutcome | undefined> = () =>
    undefined;

  put(input: ObjectInput): ScheduledObject {
    this.#version += 1;
    const object = objectOf({ ...input, resourceVersion: String(this.#version) });
    this.#objects.set(object.key, object);
    this.show(object.key);
    return object;
  }

  delete(key: ObjectKey): void {
    this.#objects.delete(key);
    this.show(key);
  }

  /** The watch brings what the server has. */
  show(key: ObjectKey): void {
    if (!this.watching) return;
    const object = this.#objects.get(key);
    if (object === undefined) this.#shown.delete(key);
    else this.#shown.set(key, object);
    for (const listener of this.#listeners) listener(key);
  }

  get(key: ObjectKey): ScheduledObject | undefined {
    return this.#shown.get(key);
  }

  stored(name = 'a'): ScheduledTaskStatus | undefined {
    return this.#objects.get(keyOf({ namespace: 'default', name }))?.status;
  }

  subscribe(listener: (key: ObjectKey) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async apply(write: StatusWrite): Promise<StatusOutcome> {
    this.writes.push(write);
    const outcome = (await this.answer(write)) ?? this.#take(write);
    this.outcomes.push(outcome);
    return outcome;
  }

  #take(write: StatusWrite): StatusOutcome {
    const key = keyOf(write);
    const object = this.#objects.get(key);
    if (object === undefined) return 'gone';
    if (object.resourceVersion !== write.resourceVersion) return 'conflict';
    const { conditions = [] } = write.status;
    const status: ScheduledTaskStatus = structuredClone({
      ...write.status,
      conditions: [...conditions, ...this.foreign],
    });
    if (sameJson(object.status, status)) return 'applied';
    this.#version += 1;
    this.#objects.set(key, { ...object, status, resourceVersion: String(this.#version) });
    this.show(key);
    return 'applied';
  }
}
