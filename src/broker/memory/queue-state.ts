/** Everything one queue remembers, and the few moves that all transitions are made of; each leaves every index in step. */
import type { Clock } from '../../runtime/clock.ts';
import { scheduleUidOfRunId } from '../../task/ids.ts';
import type { TaskManifest } from '../../task/manifest.ts';
import type { Executor, Priority, RunError, RunOptions, TerminalState } from '../../task/run.ts';
import {
  DEFAULT_LEASE_MS,
  DEFAULT_QUEUE_SETTINGS,
  EARLY_CLAIM_MS,
  type QueueSettings,
  type Registration,
  type RequestedRun,
} from '../broker.ts';
import { DueQueue } from './due-queue.ts';
import { LaneTable } from './lanes.ts';
import { Retention } from './retention.ts';
import type { Run } from './run.ts';
import { noteEnd, noteStart, type ScheduleEntry } from './schedule-entry.ts';
import { TaskTable } from './task-table.ts';
import { WakeBoard } from './wake-board.ts';

export interface Incarnation {
  readonly id: string;
  leaseMs: number;
  leaseExpiresAtMs: number;
  manifest: TaskManifest;
  /** Names in the manifest: asked for every lane of every claim. */
  taskNames: ReadonlySet<string>;
  consumer: Registration['consumer'];
  readonly held: Map<string, Run>;
  /** Runs that were taken from it while they ran, and why: repeated until it shows that it knows. */
  readonly fenced: Map<string, string>;
}

export interface KnownManifest {
  readonly manifest: TaskManifest;
  lastSeenMs: number;
}

export interface NewRun {
  readonly id: string;
  readonly task: string;
  readonly priority: Priority;
  readonly params: string;
  readonly options: RunOptions;
  readonly delayMs: number;
  /** Taken as the due time where that is later. */
  readonly expiresAtMs: number | undefined;
}

export class QueueState {
  readonly name: string;
  readonly clock: Clock;
  settings: QueueSettings = DEFAULT_QUEUE_SETTINGS;
  /** The lease of the last registration. */
  leaseMs = DEFAULT_LEASE_MS;
  /** When the next sign of life of any consumer is due at the latest. */
  heardUntilMs = -1;
  /** The next recovery pass judges nobody; so it is for the first. */
  wasAway = true;
  paused = false;
  used = false;

  readonly runs = new Map<string, Run>();
  readonly tasks = new TaskTable();
  readonly lanes = new LaneTable(this.tasks, () => this.clock.now());
  readonly delayed = new DueQueue((id, atMs) => {
    const run = this.runs.get(id);
    return run?.state === 'delayed' && run.dueAtMs === atMs;
  });
  readonly expiring = new DueQueue((id, atMs) => {
    const run = this.runs.get(id);
    return run?.expiresAtMs === atMs && canExpire(run);
  });
  readonly retention = new Retention(
    () => this.settings,
    (run) => this.runs.delete(run.id),
  );
  readonly incarnations = new Map<string, Incarnation>();
  /** What ended incarnations held and has not gone back yet. */
  readonly dead: Map<string, Run>[] = [];
  readonly manifests = new Map<string, KnownManifest>();
  readonly schedules = new Map<string, ScheduleEntry>();
  /** Runs by hand that wait for an engine, oldest first. */
  readonly requested: RequestedRun[] = [];
  readonly wakeBoard: WakeBoard;
  readonly endListeners = new Map<string, Set<(run: Run) => void>>();
  readonly counts = { pending: 0, delayed: 0, running: 0 };
  #handOuts = 0;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.clock = clock;
    this.wakeBoard = new WakeBoard(clock);
  }

  /** Every change of the queue happens in one. */
  transition<T>(body: () => T): T {
    this.used = true;
    this.lanes.beginTransition();
    return body();
  }

  get isFull(): boolean {
    return this.waiting >= this.settings.maxPending;
  }

  /** Pending and delayed runs: what `maxPending` bounds. */
  get waiting(): number {
    return this.counts.pending + this.counts.delayed;
  }

  /** Makes a run; the caller has checked that the id is free. */
  add(request: NewRun): Run {
    const nowMs = this.clock.now();
    const { id, task, priority, params, options, delayMs, expiresAtMs } = request;
    const dueMs = nowMs + Math.max(0, delayMs);
    const run: Run = {
      ...{
        id,
        task,
        priority,
        params,
        options,
        enqueuedAtMs: nowMs,
        state: 'pending',
        attempt: 0,
        deaths: 0,
      },
      ...{ dueAtMs: undefined, startedAtMs: undefined, endedAtMs: undefined, incarnation: undefined },
      ...{ result: undefined, error: undefined, cancelReason: undefined, suspect: false, token: undefined },
      ...{ cancelRequested: undefined, holder: undefined, place: undefined, bytes: 0 },
      expiresAtMs: expiresAtMs === undefined ? undefined : Math.max(dueMs, expiresAtMs),
    };
    this.runs.set(id, run);
    const schedule = this.scheduleOf(run);
    if (schedule !== undefined) noteStart(schedule, run);
    if (delayMs > 0) this.putDelayed(run, nowMs + delayMs);
    else this.putPending(run, 'back');
    if (delayMs > 0 && delayMs <= EARLY_CLAIM_MS && this.goesEarly(task)) this.wake(task, 1);
    this.watchExpiry(run);
    return run;
  }

  /** Into its lane, or among the suspects. The run must stand nowhere. */
  putPending(run: Run, end: 'front' | 'back'): void {
    run.state = 'pending';
    this.counts.pending += 1;
    const lane = this.lanes.laneOf(run);
    run.place = end === 'front' ? lane.runs.pushFront(run) : lane.runs.pushBack(run);
    this.lanes.refresh(run.task);
    if (lane.ready) this.wake(run.task, 1);
  }

  putDelayed(run: Run, dueAtMs: number): void {
    const earliestMs = this.nextDueAtMs;
    run.state = 'delayed';
    run.dueAtMs = dueAtMs;
    this.counts.delayed += 1;
    this.delayed.add(run.id, dueAtMs);
    // Whoever sleeps until the former next due time would sleep too long.
    if (earliestMs === undefined || dueAtMs < earliestMs) this.wakeBoard.wake(1, () => true);
  }

  /** To be called when a run waits that no one has begun: it may expire. */
  watchExpiry(run: Run): void {
    if (run.expiresAtMs !== undefined && canExpire(run)) this.expiring.add(run.id, run.expiresAtMs);
  }

  /** As `putPending`; a run that was handed out early, and is not due yet, waits for its time. */
  putBack(run: Run, end: 'front' | 'back'): void {
    const { dueAtMs = 0 } = run;
    const untilMs = dueAtMs - this.clock.now();
    if (untilMs > 0 && untilMs <= EARLY_CLAIM_MS) this.putDelayed(run, dueAtMs);
    else this.putPending(run, end);
  }

  /** Takes a run from wherever it waits or runs, before it is put elsewhere. */
  withdraw(run: Run): void {
    const wasSaturated = this.tasks.roomFor(run.task) === 0;
    if (run.state === 'pending') {
      this.counts.pending -= 1;
      if (run.place !== undefined) run.place.owner?.remove(run.place);
    } else if (run.state === 'delayed') {
      this.counts.delayed -= 1;
    } else if (run.state === 'running') {
      this.counts.running -= 1;
      this.tasks.entry(run.task).running -= 1;
      run.holder?.delete(run.id);
      run.holder = undefined;
      run.token = undefined;
      run.cancelRequested = undefined;
    }
    run.place = undefined;
    this.lanes.refresh(run.task);
    if (wasSaturated) this.wakeForReady(run.task, 1);
  }

  /** Hands a waiting run out. */
  start(run: Run, incarnation: Incarnation): void {
    // Handed out early: nothing begins before it is due.
    run.startedAtMs =
      run.state === 'delayed' ? Math.max(run.dueAtMs ?? 0, this.clock.now()) : this.clock.now();
    this.withdraw(run);
    run.state = 'running';
    run.attempt += 1;
    run.incarnation = incarnation.id;
    run.holder = incarnation.held;
    this.#handOuts += 1;
    run.token = String(this.#handOuts);
    incarnation.held.set(run.id, run);
    this.counts.running += 1;
    this.tasks.entry(run.task).running += 1;
    this.lanes.refresh(run.task);
  }

  /** Ends a run, from whatever state. */
  end(
    run: Run,
    state: TerminalState,
    how: { readonly result?: string; readonly error?: RunError; readonly cancelReason?: string },
  ): void {
    this.withdraw(run);
    run.state = state;
    run.endedAtMs = this.clock.now();
    run.suspect = false;
    run.result = how.result;
    run.error = how.error;
    run.cancelReason = how.cancelReason;
    const schedule = this.scheduleOf(run);
    if (schedule !== undefined) noteEnd(schedule, run, state);
    const listeners = this.endListeners.get(run.id);
    this.endListeners.delete(run.id);
    this.retention.keep(run);
    for (const listener of listeners ?? []) listener(run);
  }

  scheduleOf(run: Run): ScheduleEntry | undefined {
    const uid = scheduleUidOfRunId(run.id);
    return uid === undefined ? undefined : this.schedules.get(uid);
  }

  /** Wakes up to `count` idle consumers that can run the task. */
  wake(task: string, count: number): void {
    if (this.paused) return;
    this.wakeBoard.wake(count, (id) => this.incarnations.get(id)?.taskNames.has(task) ?? true);
  }

  /** As `wake`, when runs of the task wait that may start. */
  wakeForReady(task: string, count: number): void {
    let ready = 0;
    for (const lane of this.lanes.lanesOf(task)) if (lane.ready) ready += lane.runs.length;
    this.wake(task, Math.min(count, ready, this.tasks.roomFor(task)));
  }

  /** Lets the registered manifests decide limits and executors anew, and wakes for what may start now. */
  decideTasks(): void {
    const manifests = [...this.incarnations.values()].map(({ manifest }) => manifest);
    for (const task of this.tasks.decide(manifests)) {
      this.lanes.refresh(task);
      this.wakeForReady(task, Infinity);
    }
  }

  /** Whether runs of the task may be handed out before they are due. */
  goesEarly(task: string): boolean {
    return this.executorOf(task) === 'io' && this.tasks.roomFor(task) === Infinity;
  }

  executorOf(task: string): Executor | undefined {
    return this.tasks.entry(task).executor;
  }

  /** When a delayed or expiring run, or a retention, needs someone. */
  get nextDueAtMs(): number | undefined {
    const dues = [this.delayed.nextAtMs, this.expiring.nextAtMs, this.retention.nextAtMs];
    const known = dues.filter((due) => due !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }
}

function canExpire(run: Run): boolean {
  return (run.state === 'pending' || run.state === 'delayed') && run.attempt === 0;
}
