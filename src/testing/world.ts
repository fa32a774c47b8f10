/**
 * The whole system in a unit test: the schedule engine, the queue and a consumer, in memory, on a clock that stands still
 * until it is told to advance. A month of schedules passes in seconds, and every run of it can be looked at.
 *
 * CPU-bound tasks run in the same process here. A body that waits for the real world (a socket, a file) is not waited for:
 * give such tasks fakes through `deps`.
 */
import type { Broker } from '../broker/broker.ts';
import { createMemoryBroker } from '../broker/memory/memory-broker.ts';
import { Client } from '../client/client.ts';
import { Consumer } from '../consumer/consumer.ts';
import { InlineExecutor } from '../consumer/inline-executor.ts';
import { NO_LOOP_LAG } from '../consumer/loop-lag.ts';
import { type RunFinishedEvent, SILENT_OBSERVER } from '../consumer/observer.ts';
import { ScheduleEngine } from '../controller/engine.ts';
import { fileUid } from '../controller/file-generation.ts';
import { FileSource } from '../controller/file-source.ts';
import type { ManifestObject } from '../controller/manifest-object.ts';
import { exportSchedules } from '../resource/export.ts';
import { parseScheduledTask } from '../resource/scheduled-task.ts';
import { ProblemsError, TidemillError } from '../runtime/errors.ts';
import { VirtualClock } from '../runtime/virtual-clock.ts';
import { parseDuration } from '../schedule/duration.ts';
import { type AnyApp, openApp } from '../task/app.ts';
import { buildManifest } from '../task/build-manifest.ts';
import { DEFAULT_QUEUE } from '../task/names.ts';
import { TaskRegistry } from '../task/registry.ts';
import type { Outcome } from '../task/run.ts';
import type { DecisionRecord } from '../task/schedule-state.ts';
import type { AnyTask } from '../task/types.ts';
import { silentLog } from '../telemetry/log.ts';

const HOUR_MS = 3_600_000;
const INSTALL = 'world';
const DEFAULT_START = '2026-01-01T00:00:00.000Z';
/** Leases are no subject of a world: long ones keep the clock from stopping at every heartbeat. */
const LEASE_MS = HOUR_MS;
/** Nothing else changes a world's broker or steps its clock, so the engine need not look for that every second. */
const RARELY = {
  longestWaitMs: HOUR_MS,
  readBackEveryMs: HOUR_MS,
  catalogEveryMs: HOUR_MS,
  sweepEveryMs: HOUR_MS,
};
const KEEP_MS = 10 * 365 * 24 * HOUR_MS;
const KEEP_BYTES = 2 ** 30;
const MAX_PENDING = 1_000_000;
/** How far the clock moves at once while the parts stop, and how often: more than any grace of a consumer. */
const STOP_STEP_MS = 500;
const STOP_STEPS = 40;

export interface WorldOptions {
  readonly tasks: readonly AnyTask[];
  /** The app whose `deps` and hooks the tasks use. */
  readonly app?: AnyApp;
  /** `ScheduledTask` objects, as parsed from YAML. Schedules in code are in force as well. */
  readonly schedules?: readonly unknown[];
  /** Where the clock begins. Default 2026-01-01T00:00:00Z. */
  readonly startAt?: Date;
}

/** One attempt of a run. */
export interface WorldRun {
  readonly id: string;
  readonly task: string;
  readonly attempt: number;
  /** Nominal time, for a run of a schedule. */
  readonly slot: Date | undefined;
  readonly startedAt: Date;
  /** What the task was given, before its schema: parsed JSON. */
  readonly params: unknown;
  readonly outcome: Outcome['kind'] | 'lost';
  /** What it returned, parsed; `undefined` unless it succeeded. */
  readonly result: unknown;
  readonly error: string | undefined;
}

export interface World extends AsyncDisposable {
  /** The clock's time. */
  readonly now: Date;
  /** Enqueues, cancels and waits as a producer does. */
  readonly client: Client;
  /** Lets this much time pass: a duration such as `'90s'`, `'36h'`, days as `'7d'`, or ms. */
  advance(duration: string | number): Promise<void>;
  /** Attempts that ended, in the order in which they began; of one task, or of all. */
  runs(task?: string): readonly WorldRun[];
  /** What was decided for each slot of a schedule, by the name of its object (for a schedule in code: its task). */
  decisions(name: string, namespace?: string): Promise<readonly DecisionRecord[]>;
}

/** @throws ProblemsError MANIFEST_INVALID when an object is wrong; whatever opening the app's deps throws */
export async function createWorld(options: WorldOptions): Promise<World> {
  const objects = [...codeObjects(options.tasks), ...givenObjects(options.schedules ?? [])];
  const registry = new TaskRegistry(options.tasks);
  const clock = new VirtualClock((options.startAt ?? new Date(DEFAULT_START)).getTime());
  const broker = createMemoryBroker({ clock });
  const queues = [...new Set([DEFAULT_QUEUE, ...objects.map(({ spec }) => spec.queue ?? DEFAULT_QUEUE)])];
  const app = await openApp(options.app, { log: silentLog });
  const runs: WorldRun[] = [];
  const stop = new AbortController();

  const source = new FileSource({
    ...{ roots: [], code: objects, install: INSTALL, broker, clock, log: silentLog },
    parse: () => ({ objects: [], problems: [] }),
  });
  await source.load();
  const engine = new ScheduleEngine({
    ...{ source, broker, clock, log: silentLog, install: INSTALL, timing: RARELY, measureEveryMs: HOUR_MS },
  });
  const inline = new InlineExecutor(app, NO_LOOP_LAG);
  const consumer = new Consumer({
    ...{
      broker,
      queues,
      registry,
      app,
      clock,
      log: silentLog,
      drainMs: 0,
      leaseMs: LEASE_MS,
      idleMs: LEASE_MS,
    },
    manifest: buildManifest(registry, 0),
    settings: {
      ...{
        retainSucceededMs: KEEP_MS,
        retainFailedMs: KEEP_MS,
        retainSucceededBytes: KEEP_BYTES,
        retainFailedBytes: KEEP_BYTES,
      },
      ...{ maxPending: MAX_PENDING, maxPendingPerSchedule: MAX_PENDING, maxDeliveries: 3 },
    },
    identity: { host: 'world', pid: 0, version: '0' },
    cpuExecutor: { ready: true, execute: (request) => inline.execute(request) },
    cpuConcurrency: 1,
    // The whole back-off, not a random part of it: a test wants to know when.
    random: () => 1 - Number.EPSILON,
    observer: { ...SILENT_OBSERVER, runFinished: (event) => runs.push(worldRun(event, clock.now())) },
  });
  const parts = [consumer.run(stop.signal), engine.run(stop.signal)];
  await clock.advanceBy(0);
  return new RunningWorld({ clock, broker, runs, parts, stop, close: () => app[Symbol.asyncDispose]() });
}

interface WorldParts {
  readonly clock: VirtualClock;
  readonly broker: Broker;
  readonly runs: readonly WorldRun[];
  readonly parts: readonly Promise<unknown>[];
  readonly stop: AbortController;
  readonly close: () => PromiseLike<void>;
}

class RunningWorld implements World {
  readonly client: Client;
  readonly #world: WorldParts;

  constructor(world: WorldParts) {
    this.#world = world;
    this.client = new Client(world.broker);
  }

  get now(): Date {
    return new Date(this.#world.clock.now());
  }

  async advance(duration: string | number): Promise<void> {
    await this.#world.clock.advanceBy(typeof duration === 'number' ? duration : durationWithDays(duration));
  }

  runs(task?: string): readonly WorldRun[] {
    return this.#world.runs
      .filter((run) => task === undefined || run.task === task)
      .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime());
  }

  async decisions(name: string, namespace = 'default'): Promise<readonly DecisionRecord[]> {
    const uid = fileUid(INSTALL, namespace, name);
    for (const queue of await this.#world.broker.queueNames()) {
      const { schedules } = this.#world.broker.queue(queue);
      const [state] = await schedules.states([uid]);
      if (state !== undefined) return schedules.decisions(uid, { limit: KEEP_BYTES });
    }
    throw new TidemillError('RUN_NOT_FOUND', `no schedule ${namespace}/${name} is known in this world`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, parts, stop, close, broker } = this.#world;
    stop.abort();
    const ended = Promise.allSettled(parts);
    for (let step = 0; step < STOP_STEPS; step += 1) await clock.advanceBy(STOP_STEP_MS);
    await ended;
    await close();
    await broker[Symbol.asyncDispose]();
  }
}

/** Durations of schedules have no days; a test that lets a week pass should not have to count hours. */
function durationWithDays(text: string): number {
  const [, days, rest] = /^(?:([0-9]{1,5})d)?(.*)$/.exec(text) ?? [];
  return Number(days ?? 0) * 24 * HOUR_MS + (rest === undefined || rest === '' ? 0 : parseDuration(rest));
}

function worldRun({ record, outcome, durationMs }: RunFinishedEvent, nowMs: number): WorldRun {
  const slotMs = record.options.schedule?.slotMs;
  const params: unknown = JSON.parse(record.params);
  const result: unknown =
    outcome.kind === 'succeeded' && outcome.result !== undefined ? JSON.parse(outcome.result) : undefined;
  return {
    ...{ id: record.id, task: record.task, attempt: record.attempt, outcome: outcome.kind, params, result },
    slot: slotMs === undefined ? undefined : new Date(slotMs),
    startedAt: new Date(nowMs - durationMs),
    error: 'error' in outcome ? outcome.error.message : undefined,
  };
}

const codeObjects = (tasks: readonly AnyTask[]): readonly ManifestObject[] =>
  givenObjects(exportSchedules(tasks));

function givenObjects(values: readonly unknown[]): readonly ManifestObject[] {
  return values.map((value, index) => {
    const parsed = parseScheduledTask(value, 'refuse');
    if (parsed.kind === 'invalid') {
      const problems = parsed.problems.map(({ message }) => ({ at: `schedules[${index}]`, message }));
      throw new ProblemsError('MANIFEST_INVALID', 'a schedule of the world is wrong:', problems);
    }
    const { metadata, spec } = parsed.object;
    return {
      namespace: metadata.namespace ?? 'default',
      name: metadata.name,
      spec,
      at: `schedules[${index}]`,
    };
  });
}
