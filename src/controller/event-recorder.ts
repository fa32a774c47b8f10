/**
 * Raises events about objects: whatever a user could wonder about, once, and nothing for a run that went well.
 *
 * It watches the engine and its reports. What was told before it took over it sees in the objects' statuses, so that a
 * change of leaders tells nothing twice. An event is news, not a record: what cannot be written for long is dropped.
 */
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import type { Clock } from '../runtime/clock.ts';
import type { TaskLog } from '../task/types.ts';
import { Alarm } from './alarm.ts';
import {
  adoptionIntent,
  conditionIntent,
  type EventIntent,
  failureIntent,
  missedIntent,
  replacedIntent,
  skippedIntent,
  type Told,
  toldBy,
  triggerIntent,
} from './event-intents.ts';
import { type DueEvent, EventSeries, type EventTarget } from './event-series.ts';
import { type EventObserver, type EventStore, SILENT_EVENT_OBSERVER } from './event-store.ts';
import type { EngineObserver } from './observer.ts';
import type { ObjectReport, StatusSink } from './sink.ts';
import { WritePause } from './write-pause.ts';

const SWEEP_EVERY_MS = 60_000;

interface Adopted {
  readonly generation: number;
  readonly suspended: boolean;
  readonly forced: boolean;
}

export interface EventRecorderOptions {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly log: TaskLog;
  readonly observer?: Partial<EventObserver>;
}

export class EventRecorder implements StatusSink {
  readonly #store: EventStore;
  readonly #clock: Clock;
  readonly #log: TaskLog;
  readonly #watcher: EventObserver;
  readonly #alarm: Alarm;
  readonly #series: EventSeries;
  readonly #pause = new WritePause();
  /** By uid: what the queue has acted on, of which no report came yet, and what was told. */
  readonly #adopted = new Map<string, Adopted>();
  readonly #told = new Map<string, Told>();
  #running = false;

  constructor({ store, clock, log, observer }: EventRecorderOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#watcher = { ...SILENT_EVENT_OBSERVER, ...observer };
    this.#alarm = new Alarm(clock);
    this.#series = new EventSeries(clock.monotonic());
  }

  /** What the engine is to call, beside `report` and `gone`. */
  readonly observer: Pick<EngineObserver, 'adopted' | 'fired' | 'skipped' | 'missed'> = {
    // Whether it is news the object's status tells, which comes with the report that follows.
    adopted: (event) => {
      if (this.#running) this.#adopted.set(event.uid, event);
    },
    fired: (event) => {
      if (event.reason === 'Replaced') this.#add(event, replacedIntent(event.slotMs, event.runId));
    },
    skipped: (event) => this.#add(event, skippedIntent(event)),
    missed: (event) => this.#add(event, missedIntent(event)),
  };

  /** Ignored while `run` does not run: only who leads tells of what happens. */
  report(report: ObjectReport): void {
    if (!this.#running) return;
    const { object, condition, state, trigger } = report;
    const told = this.#told.get(object.uid) ?? toldBy(object.status);
    const adopted = this.#adopted.get(object.uid);
    this.#adopted.delete(object.uid);
    if (adopted !== undefined) this.#add(object, adoptionIntent(adopted, told.adopted, object));
    this.#add(object, conditionIntent(report, told.condition));
    this.#add(object, failureIntent(report, told.failures));
    const triggered = triggerIntent(trigger, told.trigger);
    this.#add(object, triggered);
    const { reason, message } = condition;
    this.#told.set(object.uid, {
      ...told,
      ...(adopted !== undefined && { adopted }),
      ...(report.inForce && { condition: { reason, message, generation: object.generation } }),
      ...(state !== undefined && {
        failures: { lastMs: state.lastFailedAtMs ?? -Infinity, failed: state.failed },
      }),
      ...(trigger !== undefined &&
        triggered !== undefined && { trigger: { request: trigger.request, reason: triggered.reason } }),
    });
  }

  gone({ uid }: ScheduledObject): void {
    this.#told.delete(uid);
    this.#adopted.delete(uid);
  }

  /** Writes until the signal aborts; what is not written by then is dropped. May be called again, once it has resolved. */
  async run(signal: AbortSignal): Promise<void> {
    this.#running = true;
    let sweepAtMs = this.#clock.monotonic() + SWEEP_EVERY_MS;
    try {
      while (!signal.aborted) {
        await this.#writeDue(signal);
        const nowMs = this.#clock.monotonic();
        if (nowMs >= sweepAtMs) {
          this.#series.sweep(nowMs);
          sweepAtMs = nowMs + SWEEP_EVERY_MS;
        }
        await this.#alarm.wait(Math.max(0, Math.ceil(this.#nextAtMs(sweepAtMs) - nowMs)), signal);
      }
    } finally {
      this.#running = false;
      this.#told.clear();
      this.#adopted.clear();
      this.#series.clear();
    }
  }

  #nextAtMs(sweepAtMs: number): number {
    const dueMs = this.#series.nextAtMs(this.#clock.monotonic()) ?? Infinity;
    return Math.min(sweepAtMs, Math.max(dueMs, this.#pause.untilMs));
  }

  /** One after the other: the rate is low, and a slow server sets the pace. */
  async #writeDue(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#pause.isOver(this.#clock.monotonic())) {
      const due = this.#series.take(this.#clock.monotonic());
      if (due === undefined) return;
      await this.#write(due);
    }
  }

  async #write(due: DueEvent): Promise<void> {
    const { kind, record } = due;
    const { reason } = record;
    const startedMs = this.#clock.monotonic();
    try {
      const outcome = await (kind === 'create' ? this.#store.create(record) : this.#store.repeat(record));
      this.#pause.recovered();
      if (outcome === 'written') this.#series.wrote(due);
      else this.#series.forget(due);
      if (outcome === 'refused') this.#log.warn('an event was refused by the API server', { reason });
      this.#watcher.recorded({ reason, outcome });
    } catch (error) {
      const retryMs = this.#pause.failed(error, startedMs, this.#clock.monotonic());
      this.#series.retry(due, this.#clock.monotonic());
      this.#watcher.recorded({ reason, outcome: 'failed' });
      this.#log.warn('an event could not be written', { reason, retryMs, err: error });
    }
  }

  #add({ namespace, name, uid }: EventTarget, intent: EventIntent | undefined): void {
    if (intent === undefined || !this.#running) return;
    const target = { namespace, name, uid };
    const isTaken = this.#series.add(target, intent, this.#clock.monotonic(), this.#clock.now());
    if (!isTaken) this.#watcher.recorded({ reason: intent.reason, outcome: 'dropped' });
    this.#alarm.ring();
  }
}
