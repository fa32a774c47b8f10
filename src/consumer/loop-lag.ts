/**
 * Notices when this event loop stands still, and names the task whose code kept it.
 *
 * A timer that comes late tells how long. Who it was cannot be known afterwards, so a thread of its own watches the timer's
 * beats; when they stop, it interrupts this thread's JavaScript for a moment through the inspector (no port is opened) and
 * asks which run's code is on the stack, by the async context that each run's body started in.
 *
 * Limits: a stretch inside one native call (a huge `JSON.parse`) can only be interrupted when it returns; work on a socket or
 * timer that a task made outside its own run belongs to no task. Such a block is reported without a name.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Worker } from 'node:worker_threads';
import { type Clock, systemClock, type Timer } from '../runtime/clock.ts';
import { ownFile } from '../runtime/own-files.ts';
import type { Log } from '../telemetry/log.ts';
import type { ConsumerObserver } from './observer.ts';

const BEAT_EVERY_MS = 50;
/** Lag worth telling: other runs, leases and probes of this process wait as long. */
export const BLOCKED_MS = 200;
/** One log line for each task in this time: the metric counts every block. */
const LOG_EVERY_MS = 60_000;
/** How the thread calls into this one; a symbol, because it evaluates an expression here. */
const BLAME = Symbol.for('tidemill.loop-lag.blame');

export interface LoopLag extends Disposable {
  /** Runs `body` so that its code, also after each `await`, counts as that task's. */
  attribute<T>(task: string, body: () => T): T;
  start(): void;
}

/** For clocks that are not real, and for consumers that do not want to be watched. */
export const NO_LOOP_LAG: LoopLag = {
  attribute: (_task, body) => body(),
  start: () => undefined,
  [Symbol.dispose]: () => undefined,
};

interface Blame {
  readonly task: string | undefined;
  /** `file:line` of the statement that was running. */
  readonly at: string;
}

export interface LoopLagOptions {
  readonly log: Log;
  readonly observer: Pick<ConsumerObserver, 'loopBlocked'>;
  readonly clock?: Clock;
  /** Where the running task is kept, if others look there as well: a second storage would cost every run again. */
  readonly running?: AsyncLocalStorage<string>;
}

/** Lag is real time by its nature: this one is not for a virtual clock. */
export class WatchedLoopLag implements LoopLag {
  readonly #log: Log;
  readonly #observer: Pick<ConsumerObserver, 'loopBlocked'>;
  readonly #clock: Clock;
  readonly #running: AsyncLocalStorage<string>;
  readonly #beats = new Int32Array(new SharedArrayBuffer(4));
  readonly #loggedMs = new Map<string, number>();
  /** The context of each task's runs, entered anew for each: to make one for each run costs twice as much. */
  readonly #contexts = new Map<string, ReturnType<typeof AsyncLocalStorage.snapshot>>();
  #dueMs = 0;
  #timer: Timer | undefined;
  #watcher: Worker | undefined;
  #blame: Blame | undefined;

  constructor({ log, observer, clock = systemClock, running = new AsyncLocalStorage() }: LoopLagOptions) {
    this.#log = log;
    this.#observer = observer;
    this.#clock = clock;
    this.#running = running;
  }

  attribute<T>(task: string, body: () => T): T {
    let run = this.#contexts.get(task);
    if (run === undefined) {
      run = this.#running.run(task, () => AsyncLocalStorage.snapshot());
      this.#contexts.set(task, run);
    }
    return run(body);
  }

  start(): void {
    if (this.#timer !== undefined) return;
    Reflect.set(globalThis, BLAME, (at: string) => this.#note(at));
    this.#startWatcher();
    this.#arm();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    void this.#watcher?.terminate();
    this.#watcher = undefined;
    Reflect.deleteProperty(globalThis, BLAME);
  }

  #startWatcher(): void {
    const workerData = { beats: this.#beats.buffer, blockedMs: BLOCKED_MS, blame: Symbol.keyFor(BLAME) };
    // Nothing of the environment or of the command line is its business.
    this.#watcher = new Worker(ownFile('consumer/loop-watcher'), {
      workerData,
      env: {},
      execArgv: [],
      stdin: false,
    });
    this.#watcher.unref();
    this.#watcher.on('error', (error) =>
      this.#log.warn('blocked tasks cannot be named: the watcher thread failed', { err: error }),
    );
  }

  #arm(): void {
    this.#dueMs = this.#clock.monotonic() + BEAT_EVERY_MS;
    this.#timer = this.#clock.after(BEAT_EVERY_MS, () => this.#beat()).unref();
  }

  #beat(): void {
    const lagMs = this.#clock.monotonic() - this.#dueMs;
    Atomics.add(this.#beats, 0, 1);
    Atomics.notify(this.#beats, 0);
    if (lagMs > BLOCKED_MS) this.#report(Math.round(lagMs));
    this.#blame = undefined;
    this.#arm();
  }

  /** Called by the thread, in the middle of whatever blocks this one. */
  #note(at: string): void {
    // The block may have ended just before: what runs now is then not to blame.
    if (this.#clock.monotonic() - this.#dueMs < BLOCKED_MS / 2) return;
    this.#blame ??= { task: this.#running.getStore(), at };
  }

  #report(lagMs: number): void {
    const { task, at } = this.#blame ?? { task: undefined, at: undefined };
    this.#observer.loopBlocked({ task, lagMs, at });
    const nowMs = this.#clock.monotonic();
    const loggedMs = this.#loggedMs.get(task ?? '');
    if (loggedMs !== undefined && nowMs - loggedMs < LOG_EVERY_MS) return;
    this.#loggedMs.set(task ?? '', nowMs);
    const advice = 'define the task with cpuBound: true, so that it runs in a process of its own';
    this.#log.warn('event loop was blocked', { task, lagMs, at, ...(task === undefined ? {} : { advice }) });
  }
}
