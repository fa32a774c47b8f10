/**
 * The schedule engine: keeps the broker up to date with the objects of a source, and fires what is due.
 *
 * It may run in any number of processes at once and be ended at any point. What must not happen twice is decided by the
 * broker in one step (`adopt`, `fire`); what the engine remembers only saves work. Redis first, status after: the sink is
 * told of nothing that the broker has not confirmed.
 */
import type { Broker } from '../broker/broker.ts';
import { queueOf } from '../resource/to-schedule.ts';
import type { Clock } from '../runtime/clock.ts';
import type { TaskLog } from '../task/types.ts';
import { ClockSync, MEASURE_EVERY_MS } from './clock-sync.ts';
import { DEFAULT_ENGINE_TIMING, type EngineContext, type EngineTiming } from './engine-context.ts';
import { type EngineObserver, SILENT_ENGINE_OBSERVER } from './observer.ts';
import { QueueLane } from './queue-lane.ts';
import { IGNORING_SINK, type StatusSink } from './sink.ts';
import type { ObjectKey } from '../resource/scheduled-object.ts';
import type { ObjectSource } from './source.ts';
import { Sweeper } from './sweeper.ts';
import { ALLOW_ALL_QUEUES, type QueuePolicy } from './verdict.ts';

export interface ScheduleEngineOptions {
  readonly source: ObjectSource;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly log: TaskLog;
  /** Names what this engine serves, among others on the same Redis: its sweep withdraws only what it adopted itself. */
  readonly install: string;
  readonly sink?: StatusSink;
  readonly observer?: Partial<EngineObserver>;
  /** Which namespaces and tasks a queue takes. Default: all. */
  readonly allow?: QueuePolicy;
  readonly timing?: Partial<EngineTiming>;
  /** How often the broker's time is measured. Default 5 s. */
  readonly measureEveryMs?: number;
}

export interface EngineHealth {
  /** Objects that wait to be reconciled. */
  readonly backlog: number;
  /** How long the slowest queue's loop has not come round, ms. It comes round every second, or after its back-off of 5 s. */
  readonly oldestTurnMs: number;
  /** For how long each of the objects in work has been so, ms. */
  readonly processingMs: readonly number[];
}

export class ScheduleEngine {
  readonly #context: EngineContext;
  readonly #lanes = new Map<string, QueueLane>();
  readonly #laneOf = new Map<ObjectKey, QueueLane>();
  readonly #sweeper: Sweeper;
  #running: { readonly signal: AbortSignal; readonly start: (lane: QueueLane) => void } | undefined;

  constructor(options: ScheduleEngineOptions) {
    const { source, broker, clock, log, install, measureEveryMs = MEASURE_EVERY_MS } = options;
    this.#context = {
      ...{ source, broker, clock, log, install },
      sink: options.sink ?? IGNORING_SINK,
      observer: { ...SILENT_ENGINE_OBSERVER, ...options.observer },
      allow: options.allow ?? ALLOW_ALL_QUEUES,
      timing: { ...DEFAULT_ENGINE_TIMING, ...options.timing },
      brokerClock: new ClockSync({ readNow: () => broker.now(), clock, measureEveryMs }),
    };
    this.#sweeper = new Sweeper(this.#context, (key, uid, queue) => {
      const object = source.get(key);
      return object?.uid === uid && object.deletedAt === undefined && queueOf(object.spec) === queue;
    });
  }

  get health(): EngineHealth {
    const nowMs = this.#context.clock.monotonic();
    const lanes = [...this.#lanes.values()];
    return {
      backlog: lanes.reduce((sum, { backlog }) => sum + backlog, 0),
      oldestTurnMs: lanes.reduce((oldest, { turnedAtMs }) => Math.max(oldest, nowMs - turnedAtMs), 0),
      processingMs: lanes.flatMap(({ processingSinceMs }) => processingSinceMs.map((since) => nowMs - since)),
    };
  }

  /**
   * Serves the source until the signal aborts; resolves when no call of it is under way any more. May be called again
   * after that, as by a leader that lost its lock and got it back.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { source } = this.#context;
    const loops: Promise<void>[] = [];
    this.#running = { signal, start: (lane) => loops.push(lane.run(signal)) };
    for (const lane of this.#lanes.values()) this.#running.start(lane);
    const subscription = source.subscribe((key) => {
      this.#route(key);
    });
    try {
      // What went while this engine did not run is marked as well.
      for (const key of this.#laneOf.keys()) this.#route(key);
      for (const { key } of source.list()) this.#route(key);
      await this.#sweeper.run(signal);
      await Promise.all(loops);
    } finally {
      subscription[Symbol.dispose]();
      this.#running = undefined;
    }
  }

  /** What was asked from outside, such as the queue policy, has changed: every object is judged again. */
  reconsider(): void {
    for (const [key, lane] of this.#laneOf) lane.mark(key);
  }

  /** Marks the key in the lane of its queue, and in the one that served it before when it was recreated in another. */
  #route(key: ObjectKey): void {
    const object = this.#context.source.get(key);
    const before = this.#laneOf.get(key);
    if (object === undefined) {
      this.#laneOf.delete(key);
      before?.mark(key);
      return;
    }
    const lane = this.#lane(queueOf(object.spec));
    this.#laneOf.set(key, lane);
    if (before !== lane) before?.mark(key);
    lane.mark(key);
  }

  #lane(queue: string): QueueLane {
    const known = this.#lanes.get(queue);
    if (known !== undefined) return known;
    const lane = new QueueLane(queue, this.#context);
    this.#lanes.set(queue, lane);
    this.#running?.start(lane);
    return lane;
  }
}
