/** All that one consumer does with one queue: registers, claims, executes, settles, recovers, promotes; and drains. */
import type { Broker, Cancellation, CycleReply, QueueSettings, Registration } from '../broker/broker.ts';
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import type { LoadedApp } from '../task/app.ts';
import type { TaskManifest } from '../task/manifest.ts';
import type { Executor, Outcome } from '../task/run.ts';
import type { Log } from '../telemetry/log.ts';
import { backgroundLoop, callBackoffMs } from './backoff.ts';
import { ClaimLoop } from './claim-loop.ts';
import type { HeartbeatKeeper } from './heartbeat.ts';
import { Nudge } from './nudge.ts';
import type { AttemptOutcome, ConsumerObserver } from './observer.ts';
import { Promotion } from './promotion.ts';
import { QueueCalls } from './queue-calls.ts';
import { QueueSession } from './queue-session.ts';
import { reconcileHeld } from './reconcile-held.ts';
import { recoverOnce } from './recovery.ts';
import { type ExecutorSlots, Runner, type TaskLookup } from './runner.ts';
import { type HeldRun, RunTable } from './run-table.ts';
import { StopError } from './stop-error.ts';

/** Registering cannot succeed by waiting: the process has to end and say so. */
const FATAL: readonly string[] = [
  'BROKER_FORMAT',
  'BROKER_UNSUITABLE',
  'BROKER_CLOSED',
  'QUEUE_NAME_INVALID',
];

export interface QueueWorkerOptions {
  readonly queue: string;
  readonly broker: Broker;
  readonly tasks: TaskLookup;
  readonly app: Pick<LoadedApp, 'onFailure'>;
  readonly manifest: TaskManifest;
  readonly settings: QueueSettings;
  readonly identity: Registration['consumer'];
  readonly executors: Readonly<Record<Executor, ExecutorSlots>>;
  readonly cpuReady: () => boolean;
  readonly leaseMs: number;
  readonly idleMs: number;
  readonly heartbeats: HeartbeatKeeper;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: ConsumerObserver;
  readonly random: () => number;
  readonly onLeak: () => void;
}

export class QueueWorker {
  readonly #options: QueueWorkerOptions;
  readonly #session: QueueSession;
  readonly #table = new RunTable();
  readonly #calls: QueueCalls;
  readonly #loop: ClaimLoop;
  readonly #promotion: Promotion;
  readonly #doubt = new Nudge();
  readonly #unregistered = new Nudge();
  #lostIncarnation: string | undefined;
  #claiming: Promise<void> = Promise.resolve();

  constructor(options: QueueWorkerOptions) {
    this.#options = options;
    const { queue, broker, clock, log, observer, random, executors, cpuReady, tasks, app, onLeak } = options;
    const { work } = broker.queue(queue);
    const shared = { queue, work, clock, log, observer, random, idleMs: options.idleMs };
    const session = new QueueSession(clock);
    const table = this.#table;
    this.#session = session;
    this.#calls = new QueueCalls({
      ...shared,
      session,
      table,
      onLeaseGone: (incarnation) => this.leaseGone(incarnation),
      onCancellations: (cancellations) => this.cancel(cancellations),
      onReply: (reply, claimed) => this.#replied(reply, claimed),
      onDoubt: () => this.#doubt.nudge(),
    });
    const runner = new Runner({
      ...shared,
      broker,
      tasks,
      app,
      executors,
      onLeak,
      onEnded: (run, outcome, durationMs) => this.#ended(run, outcome, durationMs),
    });
    const slots = { io: executors.io.slots, cpu: executors.cpu.slots };
    const release = (run: HeldRun): void => this.#settle(run, { kind: 'released' });
    this.#loop = new ClaimLoop({
      ...shared,
      calls: this.#calls,
      session,
      table,
      runner,
      slots,
      cpuReady,
      release,
    });
    this.#promotion = new Promotion({ ...shared, session, onPromoted: () => this.#loop.wake() });
  }

  get registered(): boolean {
    return this.#session.incarnation !== undefined;
  }

  /** Runs held: waiting, running, or with a settlement that has had no answer. */
  get held(): number {
    return this.#table.size;
  }

  get running(): number {
    return this.#table.all().filter((run) => run.state === 'running').length;
  }

  /** Since when settlements have had no answer, on the monotonic clock. */
  get unansweredSinceMs(): number | undefined {
    return this.#calls.settlements.unansweredSinceMs;
  }

  /**
   * Works until told to stop.
   * @param claiming - aborts when no further claim may be sent
   * @param living - aborts when all is over: drained, or given up
   * @throws what registering throws when waiting cannot mend it
   */
  async run(claiming: AbortSignal, living: AbortSignal): Promise<void> {
    await this.#register(claiming);
    if (claiming.aborted) return;
    this.#claiming = this.#loop.run(claiming);
    await Promise.all([
      this.#claiming,
      this.#keepRegistered(claiming),
      this.#background('recovery', claiming, () => this.#recover()),
      this.#background(
        'promotion',
        claiming,
        () => this.#promotion.pass(),
        (delayMs) => this.#promotion.wait(delayMs, claiming),
      ),
      this.#background(
        'comparison of held runs',
        living,
        () => this.#reconcile(),
        (delayMs) => this.#doubt.wait(this.#options.clock, delayMs, living),
      ),
    ]);
  }

  /** Resolves once claiming has ended and nothing is held. */
  async drained(): Promise<void> {
    await this.#claiming;
    await this.#table.empty();
  }

  /** Aborts what runs, for shutdown: it goes back with no attempt used. */
  stopRuns(): void {
    for (const run of this.#table.all()) run.execution?.stop(new StopError('shutdown', 'the consumer stops'));
  }

  /** Ends the registration: the broker takes back what is still held, with no attempt used. */
  async leave(): Promise<void> {
    const { incarnation } = this.#session;
    this.#calls.settlements[Symbol.dispose]();
    // Bodies that end from here on have nothing left to settle.
    for (const run of this.#table.all()) this.#table.remove(run);
    if (incarnation === undefined) return;
    this.#session.end(incarnation);
    await this.#options.broker.queue(this.#options.queue).work.leave(incarnation);
  }

  /** @param isOwn - this queue gave them back */
  slotsFreed(isOwn: boolean): void {
    this.#loop.slotsFreed(isOwn);
  }

  /** Regular work that needs no broker. */
  tick(): void {
    this.#loop.giveBackWaiting();
  }

  /** The broker ended our incarnation: all that it held is no longer ours. */
  leaseGone(incarnation: string): void {
    if (!this.#session.end(incarnation)) return;
    const { queue, log } = this.#options;
    this.#lostIncarnation = incarnation;
    log.error('lease is gone: every run of this queue is aborted', {
      queue,
      incarnation,
      held: this.#table.size,
    });
    for (const run of this.#table.all()) this.#lose(run);
    this.#unregistered.nudge();
  }

  cancel(cancellations: readonly Cancellation[]): void {
    for (const { id, reason } of cancellations) {
      for (const run of this.#table.withId(id)) {
        if (run.state === 'waiting') {
          this.#loop.forget(run);
          this.#settle(run, { kind: 'cancelled', reason });
        }
        run.execution?.stop(new StopError('cancelled', reason));
      }
    }
  }

  #replied(reply: CycleReply, claimed: boolean): void {
    if (reply.nextDueAtMs !== undefined) this.#promotion.due(reply.nextDueAtMs);
    if (!claimed) this.#loop.settled(reply);
  }

  #ended(run: HeldRun, outcome: AttemptOutcome, durationMs: number): void {
    const isIo = run.record !== undefined && this.#options.tasks.find(run.record.task)?.executor === 'io';
    if (isIo && run.execution !== undefined) this.#loop.observeDuration(durationMs);
    // A run that was lost while its body ended: whoever holds it now settles it.
    if (outcome.kind !== 'lost' && this.#table.has(run)) this.#settle(run, outcome);
  }

  #settle(run: HeldRun, outcome: Outcome): void {
    run.state = 'settling';
    this.#calls.settlements.add(run, outcome);
  }

  #lose(run: HeldRun): void {
    const { queue, log, observer } = this.#options;
    if (!this.#table.remove(run)) return;
    const task = run.record?.task ?? 'unknown';
    this.#calls.settlements.drop((other) => other === run);
    this.#loop.forget(run);
    run.execution?.stop(
      new StopError('lease-lost', 'the lease of this run ended: another consumer may run it'),
    );
    observer.leaseLost({ queue, task, runId: run.id });
    log.warn('run lost: the broker no longer holds it for this consumer', {
      queue,
      task,
      run: run.id,
      state: run.state,
    });
  }

  async #register(signal: AbortSignal): Promise<void> {
    const { queue, broker, heartbeats, clock, log, observer, random, manifest, settings, leaseMs, identity } =
      this.#options;
    for (let failures = 1; !signal.aborted && !this.registered; failures += 1) {
      const incarnation = heartbeats.incarnation(this.#lostIncarnation);
      try {
        await broker
          .queue(queue)
          .work.register({ incarnation, leaseMs, manifest, settings, consumer: identity });
        heartbeats.hold(queue, incarnation);
        this.#session.registered(incarnation);
        this.#loop.wake();
      } catch (error) {
        if (error instanceof TidemillError && FATAL.includes(error.code)) throw error;
        observer.callFailed({ queue, call: 'register', error });
        log[failures === 1 ? 'warn' : 'debug']('registration failed', { queue, err: error, failures });
        await clock.sleep(callBackoffMs(failures, random), signal);
      }
    }
  }

  async #keepRegistered(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#unregistered.wait(this.#options.clock, this.#options.idleMs, signal);
      await this.#register(signal);
    }
  }

  #recover(): Promise<number> {
    const { queue, broker, leaseMs, random, log, observer } = this.#options;
    return recoverOnce({ queue, work: broker.queue(queue).work, leaseMs, random, log, observer });
  }

  async #reconcile(): Promise<number> {
    const { queue, broker, log } = this.#options;
    await reconcileHeld({
      work: broker.queue(queue).work,
      calls: this.#calls,
      session: this.#session,
      table: this.#table,
      onLeaseGone: (incarnation) => this.leaseGone(incarnation),
      onLost: (run) => this.#lose(run),
      onOrphan: (orphan, incarnation) => {
        log.warn('run released: its claim was never answered', { queue, run: orphan.id });
        this.#settle(this.#table.addOrphan(orphan, incarnation), { kind: 'released' });
      },
    });
    return 2 * this.#options.idleMs;
  }

  #background(
    name: string,
    signal: AbortSignal,
    pass: () => Promise<number>,
    wait?: (delayMs: number) => Promise<void>,
  ): Promise<void> {
    const { clock, random, queue } = this.#options;
    const log = this.#options.log.child({ queue });
    return backgroundLoop({
      name,
      clock,
      log,
      random,
      signal,
      pass,
      ...(wait === undefined ? {} : { wait }),
    });
  }
}
