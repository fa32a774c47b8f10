/** A consumer: claims runs from its queues, executes them in this loop and in children, and gives every one of them back. */
import { DEFAULT_LEASE_MS, type Broker, type QueueSettings, type Registration } from '../broker/broker.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import type { LoadedApp } from '../task/app.ts';
import type { TaskManifest } from '../task/manifest.ts';
import type { Executor } from '../task/run.ts';
import type { Log } from '../telemetry/log.ts';
import { drain, within } from './drain.ts';
import type { CpuExecutor } from './executor.ts';
import { HeartbeatKeeper } from './heartbeat.ts';
import { InlineExecutor } from './inline-executor.ts';
import { type LoopLag, NO_LOOP_LAG } from './loop-lag.ts';
import { type ConsumerObserver, SILENT_OBSERVER } from './observer.ts';
import { QueueWorker } from './queue-worker.ts';
import type { ExecutorSlots, TaskLookup } from './runner.ts';
import { SlotPool } from './slots.ts';

const DEFAULT_IO_CONCURRENCY = 100;
/** A body that listens ends within this time of its signal. */
const IO_GRACE_MS = 1_000;
/** From the kill of a child to the answer of the pool. */
const KILL_ANSWER_MS = 1_000;
const SHORTEST_STALL_MS = 30_000;
/** For the background loops and the heartbeat to end. */
const STOP_MS = 1_000;
/** Longest wait for a wake-up: a lost one costs no more than this. */
const DEFAULT_IDLE_MS = 5_000;

export interface ConsumerOptions {
  readonly broker: Broker;
  readonly queues: readonly string[];
  readonly registry: TaskLookup;
  readonly app: LoadedApp;
  readonly manifest: TaskManifest;
  readonly settings: QueueSettings;
  /** For people, in `tidemill doctor` and the like. */
  readonly identity: Registration['consumer'];
  readonly clock: Clock;
  readonly log: Log;
  /** Default: nobody watches. */
  readonly observer?: ConsumerObserver;
  /** Runs at the same time in this event loop. Default 100. */
  readonly ioConcurrency?: number;
  /** Runs at the same time in child processes; no more than the pool has children. Without a `cpuExecutor`: none. */
  readonly cpuConcurrency?: number;
  readonly cpuExecutor?: CpuExecutor;
  /** Default 10 s. */
  readonly leaseMs?: number;
  /** Default: a quarter of the lease. */
  readonly renewEveryMs?: number;
  /** How long the event loop may stand still before its leases are given up. Default: 30 s or three leases, the longer. */
  readonly stallMs?: number;
  /** Longest wait for a wake-up of the broker, and for the next look at what is due, ms. Default 5 s. */
  readonly idleMs?: number;
  /** How long runs may go on after the stop signal, ms. */
  readonly drainMs: number;
  /** From SIGTERM to SIGKILL of a child, as the pool was told, ms. Default 5 s. */
  readonly killGraceMs?: number;
  /** Names the task that blocks the event loop. Default: nobody does. */
  readonly loopLag?: LoopLag;
  /** Numbers from 0 to below 1. Default `Math.random`. */
  readonly random?: () => number;
}

/** Why a consumer ended. `leaked-slots`: too many bodies ignore their deadline; start the process anew. */
export type ConsumerEnd = 'signal' | 'leaked-slots';

export class Consumer {
  readonly #options: ConsumerOptions;
  readonly #observer: ConsumerObserver;
  readonly #leaseMs: number;
  readonly #stallMs: number;
  readonly #executors: Readonly<Record<Executor, ExecutorSlots>>;
  readonly #heartbeats: HeartbeatKeeper;
  readonly #workers: ReadonlyMap<string, QueueWorker>;
  readonly #leaked = new AbortController();
  #state: 'new' | 'running' | 'draining' | 'ended' = 'new';
  readonly #tickMs: number;
  #lastTickMs = 0;
  /** Every renewal since then was answered. */
  #renewedSinceMs: number | undefined;
  #timer: Timer | undefined;

  constructor(options: ConsumerOptions) {
    const { leaseMs = DEFAULT_LEASE_MS, observer = SILENT_OBSERVER } = options;
    this.#options = options;
    this.#observer = observer;
    this.#leaseMs = leaseMs;
    this.#stallMs = options.stallMs ?? Math.max(SHORTEST_STALL_MS, 3 * leaseMs);
    this.#tickMs = Math.min(this.#stallMs / 30, leaseMs / 10);
    this.#executors = this.#makeExecutors();
    this.#heartbeats = new HeartbeatKeeper({
      broker: options.broker,
      log: options.log,
      times: { leaseMs, renewEveryMs: options.renewEveryMs ?? leaseMs / 4, stallMs: this.#stallMs },
      onCancellations: (queue, cancellations) => this.#workers.get(queue)?.cancel(cancellations),
      onLeaseGone: (queue, incarnation) => this.#workers.get(queue)?.leaseGone(incarnation),
      onRenewal: (result) => {
        if (result === 'error') this.#renewedSinceMs = undefined;
        else this.#renewedSinceMs ??= options.clock.monotonic();
        observer.leaseRenewal(result);
      },
    });
    this.#workers = new Map([...new Set(options.queues)].map((queue) => [queue, this.#makeWorker(queue)]));
  }

  /** Registered in every queue, able to reach the broker, and not on its way out. */
  get ready(): boolean {
    return (
      this.#state === 'running' && this.#options.broker.connected && this.#all((worker) => worker.registered)
    );
  }

  /**
   * False when this process should be killed: its loop stood still, or its settlements have had no answer for two leases
   * although renewals, on a connection of their own, had one. While the broker itself is away a restart would help nobody,
   * and would throw away what the running bodies have done.
   */
  get live(): boolean {
    if (this.#state === 'new' || this.#state === 'ended') return true;
    const nowMs = this.#options.clock.monotonic();
    return nowMs - this.#lastTickMs < this.#stallMs && !this.#isHalfOpen(nowMs);
  }

  #isHalfOpen(nowMs: number): boolean {
    const unansweredMs = this.#unansweredSinceMs();
    if (unansweredMs === undefined || this.#renewedSinceMs === undefined) return false;
    return nowMs - Math.max(unansweredMs, this.#renewedSinceMs) >= 2 * this.#leaseMs;
  }

  /** Runs whose body is being executed. */
  get running(): number {
    return [...this.#workers.values()].reduce((sum, worker) => sum + worker.running, 0);
  }

  /**
   * Works until `signal` aborts, or until too many slots have leaked. Resolves once claiming has stopped and every run is
   * settled or given back; bounded by `drainMs`, the grace of an aborted body and 4 s, also when the broker cannot be reached.
   *
   * @throws TidemillError when a queue refuses this consumer for good (BROKER_FORMAT, BROKER_UNSUITABLE)
   */
  async run(signal: AbortSignal): Promise<ConsumerEnd> {
    if (this.#state !== 'new') throw new TidemillError('INTERNAL', 'a consumer runs once: make a new one');
    this.#state = 'running';
    const { clock, log, loopLag = NO_LOOP_LAG } = this.#options;
    const failed = new AbortController();
    const claiming = AbortSignal.any([signal, this.#leaked.signal, failed.signal]);
    const living = new AbortController();
    loopLag.start();
    this.#tick();
    const working = Promise.all(
      [...this.#workers.values()].map((worker) => worker.run(claiming, living.signal)),
    );
    // A refusal for good ends the others as well; `working` keeps it for the caller.
    working.catch(() => failed.abort());
    await aborted(claiming);

    const reason = this.#leaked.signal.aborted && !signal.aborted ? 'leaked-slots' : 'signal';
    this.#state = 'draining';
    this.#observer.draining({ reason, running: this.running });
    log.info('consumer drains', { reason, running: this.running });
    await drain({
      workers: [...this.#workers.values()],
      clock,
      log,
      drainMs: this.#options.drainMs,
      graceMs: () => this.#longestGraceMs(),
    });
    living.abort();
    this.#timer?.[Symbol.dispose]();
    await within(clock, STOP_MS, Promise.allSettled([working, this.#heartbeats[Symbol.asyncDispose]()]));
    loopLag[Symbol.dispose]();
    this.#state = 'ended';
    if (failed.signal.aborted) await working;
    return reason;
  }

  /** The loop's sign of life. */
  #tick(): void {
    this.#lastTickMs = this.#options.clock.monotonic();
    this.#heartbeats.unansweredSince(this.#unansweredSinceMs());
    this.#heartbeats.beat();
    for (const worker of this.#workers.values()) worker.tick();
    this.#timer = this.#options.clock.after(this.#tickMs, () => this.#tick());
  }

  #unansweredSinceMs(): number | undefined {
    const times = [...this.#workers.values()].flatMap((worker) => worker.unansweredSinceMs ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #longestGraceMs(): number {
    const graces = Object.values(this.#executors).map(({ slots, graceMs }) => (slots.busy > 0 ? graceMs : 0));
    return Math.max(...graces);
  }

  #makeExecutors(): Readonly<Record<Executor, ExecutorSlots>> {
    const {
      app,
      cpuExecutor,
      ioConcurrency = DEFAULT_IO_CONCURRENCY,
      cpuConcurrency = 0,
      loopLag,
    } = this.#options;
    const { killGraceMs = 5_000 } = this.#options;
    const inline = new InlineExecutor(app, loopLag ?? NO_LOOP_LAG);
    const hasCpu =
      cpuExecutor !== undefined && this.#options.manifest.tasks.some((task) => task.executor === 'cpu');
    return {
      io: { executor: inline, slots: this.#makeSlots('io', ioConcurrency), graceMs: IO_GRACE_MS },
      cpu: {
        executor: cpuExecutor ?? inline,
        slots: this.#makeSlots('cpu', hasCpu ? cpuConcurrency : 0),
        graceMs: killGraceMs + KILL_ANSWER_MS,
      },
    };
  }

  #makeSlots(executor: Executor, total: number): SlotPool {
    return new SlotPool(executor, total, (pool, freed, queue) => {
      this.#observer.slots({ executor, total, busy: pool.busy });
      if (freed) for (const [name, worker] of this.#workers) worker.slotsFreed(name === queue);
    });
  }

  #makeWorker(queue: string): QueueWorker {
    const {
      broker,
      registry: tasks,
      app,
      manifest,
      settings,
      identity,
      clock,
      log,
      cpuExecutor,
    } = this.#options;
    return new QueueWorker({
      ...{ queue, broker, tasks, app, manifest, settings, identity, clock, log },
      executors: this.#executors,
      cpuReady: () => cpuExecutor?.ready ?? false,
      leaseMs: this.#leaseMs,
      idleMs: this.#options.idleMs ?? DEFAULT_IDLE_MS,
      heartbeats: this.#heartbeats,
      observer: this.#observer,
      random: this.#options.random ?? Math.random,
      onLeak: () => {
        if (Object.values(this.#executors).some(({ slots }) => slots.leaksTooMany)) this.#leaked.abort();
      },
    });
  }

  #all(holds: (worker: QueueWorker) => boolean): boolean {
    return [...this.#workers.values()].every(holds);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
