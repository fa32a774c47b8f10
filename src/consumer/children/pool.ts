/** The pool of warm children: who gets which run, when a child is replaced, and what happens when none will start. */
import { availableParallelism } from 'node:os';
import { type Clock, systemClock, type Timer } from '../../runtime/clock.ts';
import { TidemillError } from '../../runtime/errors.ts';
import type { TaskLog } from '../../task/define-task.ts';
import type { AttemptResult } from '../../task/invoke.ts';
import type { CpuExecutor, ExecuteRequest } from '../executor.ts';
import {
  afterFailure,
  afterStart,
  type Breaker,
  type BreakerPolicy,
  CLOSED_BREAKER,
  DEFAULT_BREAKER_POLICY,
  maxStarting,
  waitBeforeStart,
} from './breaker.ts';
import { WarmChild } from './child-process.ts';
import type { RunEnd } from './child-run.ts';
import type { ChildOptions } from './fork-child.ts';
import type { PoolObserver } from './observer.ts';
import type { ChildPermissions } from './permissions.ts';
import { WaitingRuns } from './waiting-runs.ts';

export interface CpuPoolOptions {
  /** Task modules, as given to `loadTasks`. */
  readonly tasks: readonly string[];
  /** Base of relative task modules, and working directory of the children. */
  readonly cwd: string;
  /** Hash of the manifest that this process publishes; a child with another one is refused. */
  readonly manifestHash: string;
  /** The whole environment of the children. */
  readonly env: Readonly<Record<string, string>>;
  readonly log: TaskLog;
  readonly observer?: PoolObserver;
  /** Children, and so runs at the same time. Default: the cores that this process may use. */
  readonly size?: number;
  /** Heap limit of a child, MiB. Default: V8's own. */
  readonly maxOldSpaceMb?: number;
  /** What the children may do at most; absent: whatever this process may. */
  readonly permissions?: ChildPermissions | undefined;
  /** Further options of Node for the children. */
  readonly execArgv?: readonly string[];
  /** Longest time from fork to ready. Default 60 s: a tasks module may be large and the node busy. */
  readonly startTimeoutMs?: number;
  /** From handing a run to a ready child to its body's begin; then another child gets it. Default 10 s. */
  readonly beginTimeoutMs?: number;
  /** From SIGTERM to SIGKILL. Default 5 s. */
  readonly killGraceMs?: number;
  readonly recycle?: Partial<RecycleLimits>;
  readonly breaker?: Partial<BreakerPolicy>;
  /**
   * The first children are forked when this has settled, or when a run wants one, whichever comes first: two processes that
   * start take the cores from whatever else is starting. Default: at once.
   */
  readonly startAfter?: Promise<unknown>;
  readonly clock?: Clock;
}

/** When a child has done its share. A leak in a task is so bounded without anybody having to find it first. */
export interface RecycleLimits {
  readonly maxRuns: number;
  readonly maxAgeMs: number;
  /** Growth of the resident memory since the child was ready. Growth, not size: a large module is no leak. */
  readonly maxGrowthBytes: number;
}

const DEFAULT_RECYCLE_LIMITS: RecycleLimits = {
  maxRuns: 1_000,
  maxAgeMs: 3_600_000,
  maxGrowthBytes: 256 * 1024 * 1024,
};

export interface CpuPool extends CpuExecutor, AsyncDisposable {
  readonly size: number;
  /** False while the breaker is open: children do not start, and runs are refused. */
  readonly healthy: boolean;
  /** Runs that could be given to it now: to a warm child, or to one that will be started. */
  readonly available: number;
  /** Children that are loaded and wait for a run. */
  readonly idle: number;
  /** Resolves when the first child is ready or the breaker has opened, whichever comes first. */
  started(): Promise<void>;
}

/** Children that a run is offered to when they die before its body begins: more than this is no chance. */
const MAX_OFFERS = 3;

/** Starts the pool. */
export function createCpuPool(options: CpuPoolOptions): CpuPool {
  const pool = new ChildPool(options);
  const begin = (): void => pool.begin();
  if (options.startAfter === undefined) begin();
  else void options.startAfter.then(begin, begin);
  return pool;
}

class ChildPool implements CpuPool {
  readonly size: number;
  readonly #clock: Clock;
  readonly #log: TaskLog;
  readonly #childOptions: ChildOptions;
  readonly #recycle: RecycleLimits;
  readonly #policy: BreakerPolicy;
  /** All that have not ended, those on their way out included. */
  readonly #children = new Set<WarmChild>();
  readonly #waiting = new WaitingRuns((child: WarmChild, request: ExecuteRequest) =>
    this.#runOn(child, request),
  );
  readonly #firstStart = Promise.withResolvers<undefined>();
  #hasBegun = false;
  #breaker: Breaker = CLOSED_BREAKER;
  #lastFailure: unknown;
  #retry: Timer | undefined;
  #disposal: Promise<void> | undefined;

  constructor(options: CpuPoolOptions) {
    this.size = options.size ?? availableParallelism();
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log;
    this.#recycle = { ...DEFAULT_RECYCLE_LIMITS, ...options.recycle };
    this.#policy = { ...DEFAULT_BREAKER_POLICY, ...options.breaker };
    this.#childOptions = {
      tasks: options.tasks,
      cwd: options.cwd,
      env: options.env,
      execArgv: [
        ...(options.maxOldSpaceMb === undefined ? [] : [`--max-old-space-size=${options.maxOldSpaceMb}`]),
        ...(options.execArgv ?? []),
      ],
      permissions: options.permissions,
      manifestHash: options.manifestHash,
      startTimeoutMs: options.startTimeoutMs ?? 60_000,
      beginTimeoutMs: options.beginTimeoutMs ?? 10_000,
      killGraceMs: options.killGraceMs ?? 5_000,
      clock: this.#clock,
      log: options.log,
      observer: options.observer ?? {},
    };
  }

  get ready(): boolean {
    return this.healthy && this.#disposal === undefined;
  }

  get healthy(): boolean {
    return !this.#breaker.open;
  }

  get available(): number {
    if (this.#disposal !== undefined) return 0;
    const free = this.healthy ? this.size - this.#count('busy') : this.#count('idle');
    return Math.max(0, free - this.#waiting.length);
  }

  get idle(): number {
    return this.#count('idle');
  }

  async started(): Promise<void> {
    this.begin();
    await this.#firstStart.promise;
  }

  async execute(request: ExecuteRequest): Promise<AttemptResult> {
    for (let offers = 0; offers < MAX_OFFERS; offers++) {
      const end = await this.#offer(request);
      if (end !== 'not-begun') return end;
    }
    throw new TidemillError(
      'CHILD_START',
      `${MAX_OFFERS} child processes in a row died before the run began in them`,
    );
  }

  /** Ends all children, busy ones too, and returns when they are gone. Twice is harmless. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    this.#retry?.[Symbol.dispose]();
    this.#firstStart.resolve(undefined);
    this.#waiting.refuseAll(closed());
    await Promise.all([...this.#children].map((child) => child.stop('disposed')));
  }

  /** Lets the first children start. Twice is harmless. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#fill();
  }

  /** Starts children up to the size of the pool, as the breaker allows. */
  #fill(): void {
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
    while (this.#disposal === undefined && this.#lacksChildren()) {
      const waitMs = waitBeforeStart(this.#breaker, this.#clock.monotonic());
      if (waitMs > 0) return void (this.#retry = this.#clock.after(waitMs, () => this.#fill()));
      this.#start();
    }
  }

  #lacksChildren(): boolean {
    const starting = this.#count('starting');
    const all = starting + this.#count('idle') + this.#count('busy');
    return all < this.size && starting < maxStarting(this.#breaker, this.size);
  }

  #count(state: WarmChild['state']): number {
    return [...this.#children].filter((child) => child.state === state).length;
  }

  #start(): void {
    try {
      const child = new WarmChild(this.#childOptions);
      this.#children.add(child);
      void this.#watch(child);
    } catch (error) {
      // Some shortages (memory, for one) make fork() itself throw.
      this.#startFailed(error);
    }
  }

  async #watch(child: WarmChild): Promise<void> {
    using _age = this.#clock.after(this.#recycle.maxAgeMs, () => this.#afterRun(child)).unref();
    await child.ready.then(
      () => this.#becameReady(child),
      (error: unknown) => this.#startFailed(error),
    );
    await child.exited;
    this.#children.delete(child);
    // It came up, was given nothing, and fell over: no better than not starting, and it must not become a hot loop.
    if (child.end === 'died' && child.runs === 0) {
      this.#startFailed(new TidemillError('CHILD_START', 'a child process ended before its first run'));
    }
    this.#fill();
  }

  #becameReady(child: WarmChild): void {
    this.#breaker = afterStart(this.#breaker);
    this.#firstStart.resolve(undefined);
    if (child.state === 'idle') this.#waiting.serve(child);
    this.#fill();
  }

  #startFailed(error: unknown): void {
    if (this.#disposal !== undefined) return;
    this.#lastFailure = error;
    this.#breaker = afterFailure(this.#breaker, this.#policy, this.#clock.monotonic());
    this.#log.error('child did not start', { err: error, failures: this.#breaker.failures });
    if (!this.#breaker.open) return;
    this.#firstStart.resolve(undefined);
    this.#waiting.refuseAll(this.#startError());
  }

  #startError(): TidemillError {
    const failures = this.#breaker.failures;
    return new TidemillError(
      'CHILD_START',
      `child processes do not start (${failures} failures); the next try follows by itself`,
      {
        cause: this.#lastFailure,
      },
    );
  }

  // ------------------------------------------------------------------ runs

  async #offer(request: ExecuteRequest): Promise<RunEnd> {
    if (this.#disposal !== undefined) throw closed();
    const child = [...this.#children].find(({ state }) => state === 'idle');
    if (child !== undefined) return this.#runOn(child, request);
    if (!this.healthy) throw this.#startError();
    // In the line first: where no child can be forked, the refusal must find it there.
    const end = this.#waiting.add(request);
    this.begin();
    return end;
  }

  async #runOn(child: WarmChild, request: ExecuteRequest): Promise<RunEnd> {
    const end = await child.run(request);
    // A child that was started before the breaker opened proves nothing about the next one.
    if (end !== 'not-begun' && this.healthy) this.#breaker = CLOSED_BREAKER;
    this.#afterRun(child);
    return end;
  }

  /** Gives a free child its next run, or replaces it. */
  #afterRun(child: WarmChild): void {
    if (child.state === 'idle' && this.#isWorn(child)) void child.stop('recycled');
    if (child.state === 'idle') this.#waiting.serve(child);
    this.#fill();
  }

  #isWorn(child: WarmChild): boolean {
    const { maxRuns, maxAgeMs, maxGrowthBytes } = this.#recycle;
    const ageMs = this.#clock.monotonic() - child.startedAtMs;
    return child.runs >= maxRuns || ageMs >= maxAgeMs || child.rssGrowthBytes > maxGrowthBytes;
  }
}

function closed(): TidemillError {
  return new TidemillError('CHILD_START', 'the pool of child processes is closed');
}
