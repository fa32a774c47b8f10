/** Starts a claimed run on its slot and sees it through to its outcome; whatever is wrong with a run ends that run alone. */
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import type { LoadedApp } from '../task/app.ts';
import type { RunRequest } from '../task/request.ts';
import type { Executor, Outcome, RunRecord } from '../task/run.ts';
import type { AnyTask, Enqueued, TaskLog } from '../task/types.ts';
import type { Log } from '../telemetry/log.ts';
import { conclude, START_RETRY_MS } from './conclude.ts';
import { Execution, type ExecutionEnd } from './execute.ts';
import type { RunExecutor } from './executor.ts';
import { checkRecord, malformed } from './malformed.ts';
import type { AttemptOutcome, ConsumerObserver, RunStartedEvent } from './observer.ts';
import type { HeldRun } from './run-table.ts';
import type { SlotPool } from './slots.ts';
import { tellOfOutsideFailure } from './outside-failure.ts';

/** What a consumer knows its tasks by. */
export interface TaskLookup {
  find(name: string): AnyTask | undefined;
}

export interface ExecutorSlots {
  readonly executor: RunExecutor;
  readonly slots: SlotPool;
  /** From a stop to giving up on the body, ms. */
  readonly graceMs: number;
}

export interface RunnerOptions {
  readonly queue: string;
  readonly broker: Broker;
  readonly tasks: TaskLookup;
  /** Told of failures that happened outside the body. */
  readonly app: Pick<LoadedApp, 'onFailure'>;
  readonly executors: Readonly<Record<Executor, ExecutorSlots>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: ConsumerObserver;
  readonly random: () => number;
  /** The attempt is over: to be settled, unless it was lost. */
  readonly onEnded: (run: HeldRun, outcome: AttemptOutcome, durationMs: number) => void;
  readonly onLeak: () => void;
}

interface Started {
  readonly run: HeldRun;
  readonly execution: Execution;
  readonly task: AnyTask;
  readonly started: RunStartedEvent;
}

export class Runner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Where a run belongs; a task that is not known here is seen by `start`. */
  executorOf(record: RunRecord): Executor {
    return this.#options.tasks.find(record.task)?.executor ?? 'io';
  }

  /** Begins a run for which a slot of its executor was taken. Never throws. */
  start(run: HeldRun, record: RunRecord): void {
    const { tasks, log, queue, onEnded } = this.#options;
    const slots = this.#options.executors[this.executorOf(record)].slots;
    const refuse = (outcome: Outcome): void => {
      slots.release(queue, 1);
      onEnded(run, outcome, 0);
    };
    const task = tasks.find(record.task);
    if (task === undefined) {
      // The broker hands out only what our manifest lists, so this is a defect; another consumer may know the task.
      log.error('claimed a run of an unknown task', { queue, task: record.task, run: record.id });
      refuse({ kind: 'released', delayMs: START_RETRY_MS });
      return;
    }
    try {
      this.#begin(run, record, task);
    } catch (error) {
      log.error('run cannot be started: its record is malformed', {
        queue,
        task: record.task,
        run: record.id,
        err: error,
      });
      refuse(malformed(error));
    }
  }

  #begin(run: HeldRun, record: RunRecord, task: AnyTask): void {
    const { queue, clock, observer, executors } = this.#options;
    checkRecord(record);
    const { executor, graceMs } = executors[task.executor];
    const started: RunStartedEvent = {
      queue,
      task: task.name,
      executor: task.executor,
      record,
      waitMs: waitMsOf(record),
    };
    const request = {
      task,
      record,
      timeoutMs: record.options.timeoutMs ?? task.timeoutMs,
      log: this.#logOf(record),
      enqueue: (target: string, child: RunRequest) => this.#enqueue(target, child),
    };
    run.state = 'running';
    observer.runStarted(started);
    const execution = new Execution({
      ...{ clock, executor, graceMs, request },
      onEnd: (end) => this.#attemptEnded({ run, execution, task, started }, end),
    });
    run.execution = execution;
  }

  #attemptEnded({ run, execution, task, started }: Started, end: ExecutionEnd): void {
    const { random, observer, onEnded } = this.#options;
    const outcome = conclude({ task, record: started.record, end, random });
    observer.runFinished({ ...started, outcome, durationMs: end.durationMs });
    this.#freeSlot(execution, end, task, started.record);
    if (outcome.kind === 'failed' || outcome.kind === 'retry') {
      tellOfOutsideFailure({
        app: this.#options.app,
        task,
        record: started.record,
        end,
        outcome,
        log: this.#logOf(started.record),
      });
    }
    onEnded(run, outcome, end.durationMs);
  }

  #freeSlot(execution: Execution, end: ExecutionEnd, task: AnyTask, record: RunRecord): void {
    const { queue, observer, log, onLeak, executors } = this.#options;
    const { slots } = executors[task.executor];
    if (end.abandoned === undefined) {
      slots.release(queue, 1);
      return;
    }
    const event = { queue, task: task.name, runId: record.id };
    slots.countLeak(1);
    log.warn('body ignores its signal: its slot is out of use until it returns', {
      ...event,
      stop: end.stop?.kind,
      leaked: slots.leaked,
    });
    observer.slotLeaked({ ...event, leaked: slots.leaked });
    void execution.returned.then(() => {
      slots.countLeak(-1);
      slots.release(queue, 1);
      observer.slotReturned({ ...event, leaked: slots.leaked });
    });
    onLeak();
  }

  /** Bound to the run on first use: most runs log nothing, and a child logger for each would cost more than they do. */
  #logOf(record: RunRecord): TaskLog {
    const { log, queue } = this.#options;
    let bound: TaskLog | undefined;
    const mine = (): TaskLog =>
      (bound ??= log.child({ task: record.task, run: record.id, queue, attempt: record.attempt }));
    return {
      debug: (message, fields) => mine().debug(message, fields),
      info: (message, fields) => mine().info(message, fields),
      warn: (message, fields) => mine().warn(message, fields),
      error: (message, fields) => mine().error(message, fields),
    };
  }

  async #enqueue(queue: string, request: RunRequest): Promise<Enqueued> {
    const [outcome] = await this.#options.broker.queue(queue).runs.enqueue([request]);
    if (outcome === 'enqueued' || outcome === 'duplicate') return { id: request.id, outcome };
    throw new TidemillError(
      'QUEUE_FULL',
      `queue ${queue} takes no more runs: ${request.task} was not enqueued; let it drain, or raise maxPending`,
    );
  }
}

/** From ready to claimed. Both instants are the broker's, so no clock of ours can distort it. */
function waitMsOf(record: RunRecord): number {
  const readyMs = Math.max(record.enqueuedAtMs, record.dueAtMs ?? 0);
  return Math.max(0, (record.startedAtMs ?? readyMs) - readyMs);
}
