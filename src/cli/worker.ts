/** A consumer with everything it needs: tasks, dependencies, children, metrics. Shared by `consumer`, `dev` and `run --here`. */
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type Broker, DEFAULT_QUEUE_SETTINGS, type QueueSettings } from '../broker/broker.ts';
import { createCpuPool, type CpuPool } from '../consumer/children/pool.ts';
import type { PoolObserver } from '../consumer/children/observer.ts';
import type { ChildPermissions } from '../consumer/children/permissions.ts';
import { Consumer } from '../consumer/consumer.ts';
import { type LoopLag, NO_LOOP_LAG } from '../consumer/loop-lag.ts';
import { type ConsumerObserver, SILENT_OBSERVER } from '../consumer/observer.ts';
import { VARIABLE_PREFIX } from '../runtime/config.ts';
import { type AnyApp, type LoadedApp, openApp } from '../task/app.ts';
import { buildManifest } from '../task/build-manifest.ts';
import { loadTasks } from '../task/load.ts';
import type { TaskManifest } from '../task/manifest.ts';
import type { TaskRegistry } from '../task/registry.ts';
import type { Log } from '../telemetry/log.ts';
import { childPermissions } from './child-settings.ts';
import type { Io } from './io.ts';
import type { WorkSettings } from './settings.ts';
import { VERSION } from './version.ts';

export interface TaskSet {
  /** As given: what the children load again. */
  readonly paths: readonly string[];
  readonly registry: TaskRegistry;
  readonly app: AnyApp | undefined;
  readonly manifest: TaskManifest;
}

/** Imports the tasks modules. @throws TidemillError TASKS_NOT_LOADED, TASK_DUPLICATE, TASK_INVALID */
export async function loadTaskSet(paths: readonly string[], io: Io): Promise<TaskSet> {
  const { registry, app } = await loadTasks(paths, io.cwd);
  // The image's build wrote the files: their newest time tells which of two live manifests is the newer build.
  const builtAtMs = Math.max(...paths.map((path) => statSync(resolve(io.cwd, path)).mtimeMs));
  return { paths, registry, app, manifest: buildManifest(registry, Math.floor(builtAtMs)) };
}

/** How much runs at the same time, and how it ends. */
export interface WorkerLimits {
  readonly concurrency: number;
  readonly cpuConcurrency: number;
  readonly drainMs: number;
  readonly killGraceMs: number;
  /** Most heap of a child process; absent: Node decides. */
  readonly childHeapBytes?: number | undefined;
  /** Absent: child processes may do what this one may. */
  readonly childPermissions?: ChildPermissions | undefined;
}

export function workerLimits({
  concurrency,
  cpuConcurrency,
  drain,
  killGrace,
  childHeap,
  ...children
}: WorkSettings): WorkerLimits {
  return {
    concurrency,
    cpuConcurrency,
    drainMs: drain,
    killGraceMs: killGrace,
    childHeapBytes: childHeap,
    childPermissions: childPermissions(children),
  };
}

export interface WorkerOptions extends WorkerLimits {
  readonly tasks: TaskSet;
  readonly broker: Broker;
  readonly io: Io;
  readonly log: Log;
  readonly settings?: QueueSettings;
  readonly leaseMs?: number;
  readonly renewEveryMs?: number;
  readonly observer?: ConsumerObserver;
  readonly poolObserver?: PoolObserver;
  /** Children are forked after it, or when the first run wants one. Default: at once. */
  readonly childrenAfter?: Promise<unknown>;
  readonly loopLag?: LoopLag;
}

/** What consumers of one process share. Dispose it after they have ended. */
export class WorkerParts implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #app: LoadedApp;
  readonly #pool: CpuPool | undefined;

  private constructor(options: WorkerOptions, app: LoadedApp, pool: CpuPool | undefined) {
    this.#options = options;
    this.#app = app;
    this.#pool = pool;
  }

  /** Opens the dependencies of the tasks, and the pool of children. */
  static async open(options: WorkerOptions): Promise<WorkerParts> {
    const { tasks, log } = options;
    const app = await openApp(tasks.app, { log });
    return new WorkerParts(options, app, openPool(options));
  }

  /** A consumer of these queues. */
  consumer(queues: readonly string[]): Consumer {
    const {
      tasks,
      broker,
      io,
      log,
      concurrency,
      cpuConcurrency,
      drainMs,
      killGraceMs,
      leaseMs,
      renewEveryMs,
    } = this.#options;
    const {
      settings = DEFAULT_QUEUE_SETTINGS,
      observer = SILENT_OBSERVER,
      loopLag = NO_LOOP_LAG,
    } = this.#options;
    return new Consumer({
      ...{ broker, queues, log, settings, observer, loopLag, drainMs, killGraceMs, cpuConcurrency },
      app: this.#app,
      manifest: tasks.manifest,
      registry: tasks.registry,
      identity: { host: hostname(), pid: process.pid, version: VERSION },
      clock: io.clock,
      ioConcurrency: concurrency,
      ...(this.#pool !== undefined && { cpuExecutor: this.#pool }),
      ...(leaseMs !== undefined && { leaseMs }),
      ...(renewEveryMs !== undefined && { renewEveryMs }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool?.[Symbol.asyncDispose]();
    await this.#app[Symbol.asyncDispose]();
  }
}

/** Without CPU-bound tasks there are no children. */
function openPool({
  tasks,
  io,
  log,
  cpuConcurrency,
  killGraceMs,
  childHeapBytes,
  childPermissions: permissions,
  poolObserver,
  childrenAfter,
}: WorkerOptions): CpuPool | undefined {
  if (cpuConcurrency === 0 || !tasks.manifest.tasks.some(({ executor }) => executor === 'cpu'))
    return undefined;
  return createCpuPool({
    tasks: tasks.paths,
    cwd: io.cwd,
    manifestHash: tasks.manifest.hash,
    env: childEnvironment(io.environment),
    log,
    size: cpuConcurrency,
    killGraceMs,
    permissions,
    ...(childHeapBytes !== undefined && { maxOldSpaceMb: Math.floor(childHeapBytes / 1_024 ** 2) }),
    ...(poolObserver !== undefined && { observer: poolObserver }),
    ...(childrenAfter !== undefined && { startAfter: childrenAfter }),
  });
}

/** Children get what the tasks may need; our own settings, the password of Redis among them, are none of theirs. */
function childEnvironment(environment: Io['environment']): Readonly<Record<string, string>> {
  const kept: [string, string][] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith(VARIABLE_PREFIX)) kept.push([name, value]);
  }
  return Object.fromEntries(kept);
}
