/**
 * Brings the statuses of objects to the level of the engine's reports, through two lanes of limited rate.
 *
 * Level-based: only the newest report of a key counts, and what is written follows from it and from what the object says at
 * that moment. A write that fails, or whose object changed meanwhile, is made anew, never repeated. Nothing here decides
 * what fires: if this process dies at any point, the next one finds the difference and writes it.
 */
import type { ObjectKey, ScheduledObject } from '../resource/scheduled-object.ts';
import type { ScheduledTaskStatus } from '../resource/scheduled-task.ts';
import type { Clock } from '../runtime/clock.ts';
import type { TaskLog } from '../task/types.ts';
import { Alarm } from './alarm.ts';
import type { ObjectReport, StatusSink } from './sink.ts';
import type { ObjectSource } from './source.ts';
import { compareStatus, periodMsOf } from './status-change.ts';
import { StatusLanes } from './status-lanes.ts';
import { statusOf } from './status-of.ts';
import { sameJson } from './status-values.ts';
import { WritePause } from './write-pause.ts';
import {
  SILENT_STATUS_OBSERVER,
  type StatusLane,
  type StatusObserver,
  type StatusOutcome,
  type StatusStore,
} from './status-store.ts';

export interface StatusTiming {
  /** No key is tried more often. Default 1 s. */
  readonly keyGapMs: number;
  /** Wait after the first failure of a key; it doubles with each further one in a row. Default 1 s. */
  readonly firstRetryMs: number;
  /** Longest wait after a failure of a key. Default 60 s. */
  readonly longestRetryMs: number;
  /** A status is not refreshed more often than this. Default 5 s. */
  readonly refreshGapMs: number;
  /** The same after a refresh, for schedules with a period under a minute. Default 30 s. */
  readonly fastRefreshGapMs: number;
  /** How long urgent writes may take after the stop. Default 2 s. */
  readonly flushMs: number;
}

export const DEFAULT_STATUS_TIMING: StatusTiming = {
  keyGapMs: 1_000,
  firstRetryMs: 1_000,
  longestRetryMs: 60_000,
  refreshGapMs: 5_000,
  fastRefreshGapMs: 30_000,
  flushMs: 2_000,
};

/** Writes under way at a time. At 50 ms each, urgent ones reach their rate with 10. */
const IN_FLIGHT: Readonly<Record<StatusLane, number>> = { urgent: 24, refresh: 8 };
const LONGEST_WAIT_MS = 60_000;
const SHORT_PERIOD_MS = 60_000;

export interface StatusReporterOptions {
  readonly source: Pick<ObjectSource, 'get' | 'subscribe'>;
  readonly store: StatusStore;
  readonly clock: Clock;
  readonly log: TaskLog;
  readonly observer?: Partial<StatusObserver>;
  readonly timing?: Partial<StatusTiming>;
}

interface Track {
  report: ObjectReport;
  /** What we wrote on top of a version that the source still shows. */
  applied: { readonly onVersion: string; readonly status: ScheduledTaskStatus } | undefined;
  busy: boolean;
  /** The version that our last try was for: until the source shows another, a new try would only collide. */
  triedVersion: string | undefined;
  failures: number;
  /** No try before this; once the source shows a newer version than we tried, none before the other. */
  notBeforeMs: number;
  newerNotBeforeMs: number;
  refreshNotBeforeMs: number;
}

export class StatusReporter implements StatusSink {
  readonly #source: StatusReporterOptions['source'];
  readonly #store: StatusStore;
  readonly #clock: Clock;
  readonly #log: TaskLog;
  readonly #observer: StatusObserver;
  readonly #timing: StatusTiming;
  readonly #alarm: Alarm;
  readonly #lanes: StatusLanes;
  readonly #pause: WritePause;
  readonly #inFlight: Record<StatusLane, number> = { urgent: 0, refresh: 0 };
  readonly #tracks = new Map<ObjectKey, Track>();
  #running = false;

  constructor({ source, store, clock, log, observer, timing }: StatusReporterOptions) {
    this.#source = source;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#observer = { ...SILENT_STATUS_OBSERVER, ...observer };
    this.#timing = { ...DEFAULT_STATUS_TIMING, ...timing };
    this.#alarm = new Alarm(clock);
    this.#lanes = new StatusLanes(clock.monotonic());
    this.#pause = new WritePause();
  }

  /** Ignored while `run` does not run: who does not lead must not write, and a later term begins with reports of its own. */
  report(report: ObjectReport): void {
    if (!this.#running) return;
    const { key, uid } = report.object;
    const known = this.#tracks.get(key);
    if (known?.report.object.uid === uid) {
      // What waits is compared when its turn comes; only what people wait for can change its place. In a burst of slots
      // this is most of the work.
      const isSettled = this.#lanes.has(key) && !isUrgentNews(known.report, report);
      known.report = report;
      if (isSettled) return;
    } else this.#tracks.set(key, newTrack(report, this.#clock.monotonic()));
    this.#look(key);
  }

  gone({ key, uid }: ScheduledObject): void {
    if (this.#tracks.get(key)?.report.object.uid !== uid) return;
    this.#tracks.delete(key);
    this.#lanes.drop(key);
  }

  /**
   * Writes until the signal aborts, and then for a moment more what is urgent. May be called again, once it has resolved.
   * @param mayFlush - false: at the stop nothing more is written, since another one leads by now
   */
  async run(signal: AbortSignal, mayFlush: () => boolean = () => true): Promise<void> {
    this.#running = true;
    using _subscription = this.#source.subscribe((key) => this.#look(key));
    try {
      while (!signal.aborted) {
        this.#startWrites(['urgent', 'refresh']);
        await this.#alarm.wait(this.#idleMs(['urgent', 'refresh']), signal);
      }
      this.#running = false;
      await this.#finish(mayFlush);
    } finally {
      this.#running = false;
      this.#tracks.clear();
      this.#lanes.clear();
    }
  }

  /** Urgent writes first, then the end of those under way; neither for longer than the bound. */
  async #finish(mayFlush: () => boolean): Promise<void> {
    const untilMs = this.#clock.monotonic() + this.#timing.flushMs;
    const { signal } = new AbortController();
    while (this.#clock.monotonic() < untilMs) {
      const idleMs = mayFlush() ? this.#flushIdleMs(untilMs) : undefined;
      const underWay = this.#inFlight.urgent + this.#inFlight.refresh;
      if (idleMs === undefined && underWay === 0) return;
      await this.#alarm.wait(Math.min(idleMs ?? Infinity, untilMs - this.#clock.monotonic()), signal);
    }
  }

  /** Starts what can start. @returns until when to wait for more, or `undefined` when no more comes within the bound */
  #flushIdleMs(untilMs: number): number | undefined {
    this.#startWrites(['urgent']);
    if (this.#lanes.waiting.urgent === 0) return undefined;
    const idleMs = this.#idleMs(['urgent']);
    return this.#clock.monotonic() + idleMs >= untilMs ? undefined : idleMs;
  }

  /** Compares one key with its object, and puts it where it belongs. */
  #look(key: ObjectKey): void {
    const track = this.#tracks.get(key);
    if (track === undefined || track.busy) return;
    const due = this.#due(track);
    if (due === undefined) {
      this.#lanes.drop(key);
      return;
    }
    const { object, lane } = due;
    const isNewer = object.resourceVersion !== track.triedVersion;
    const notBeforeMs = isNewer ? track.newerNotBeforeMs : track.notBeforeMs;
    if (lane === 'urgent') this.#lanes.putUrgent(key, notBeforeMs);
    else {
      const readyMs = Math.max(notBeforeMs, track.refreshNotBeforeMs);
      this.#lanes.putRefresh(key, periodMsOf(track.report), readyMs);
    }
    this.#alarm.ring();
  }

  /** What the key's status should be now, where that differs from what it is. */
  #due(track: Track): Due | undefined {
    const { report, applied } = track;
    const object = this.#source.get(report.object.key);
    // A report of another object of this name, or of another spec, says nothing of this one: its own will come.
    if (object?.uid !== report.object.uid || object.generation !== report.object.generation) return undefined;
    const { resourceVersion } = object;
    if (resourceVersion === undefined || object.deletedAt !== undefined) return undefined;
    // Once the source has moved on, it shows our write, or what came after it.
    if (applied?.onVersion !== resourceVersion) track.applied = undefined;
    const known = track.applied?.status ?? object.status;
    const status = statusOf(report, known, this.#clock.now());
    const change = compareStatus(known, status);
    return change === 'same' ? undefined : { object, resourceVersion, status, lane: change };
  }

  #startWrites(lanes: readonly StatusLane[]): void {
    const nowMs = this.#clock.monotonic();
    if (!this.#pause.isOver(nowMs)) return;
    for (const lane of lanes) {
      while (this.#inFlight[lane] < IN_FLIGHT[lane]) {
        const key = this.#lanes.take(lane, nowMs);
        if (key === undefined) break;
        const track = this.#tracks.get(key);
        if (track !== undefined) void this.#write(key, track);
      }
    }
    this.#observer.waiting(this.#lanes.waiting);
  }

  #idleMs(lanes: readonly StatusLane[]): number {
    const nowMs = this.#clock.monotonic();
    const waits = lanes.flatMap((lane) => {
      // A lane that is full goes on when a write of it ends, which rings.
      const atMs = this.#inFlight[lane] < IN_FLIGHT[lane] ? this.#lanes.nextAtMs(lane, nowMs) : undefined;
      return atMs === undefined ? [] : [Math.max(atMs, this.#pause.untilMs) - nowMs];
    });
    return Math.ceil(Math.max(0, Math.min(LONGEST_WAIT_MS, ...waits)));
  }

  /** One try. Never rejects: what failed comes again by `#look`. */
  async #write(key: ObjectKey, track: Track): Promise<void> {
    const due = this.#due(track);
    if (due === undefined) return;
    const { lane } = due;
    const startedMs = this.#clock.monotonic();
    track.busy = true;
    track.triedVersion = due.resourceVersion;
    this.#inFlight[lane] += 1;
    const outcome = await this.#try(key, due, startedMs);
    this.#inFlight[lane] -= 1;
    track.busy = false;
    this.#settle(track, due, outcome);
    this.#observer.wrote({ lane, outcome, durationMs: this.#clock.monotonic() - startedMs });
    this.#look(key);
    this.#alarm.ring();
  }

  async #try(
    key: ObjectKey,
    { object, resourceVersion, status }: Due,
    startedMs: number,
  ): Promise<StatusOutcome | 'failed'> {
    const { namespace, name, uid } = object;
    try {
      const outcome = await this.#store.apply({ namespace, name, uid, resourceVersion, status });
      this.#pause.recovered();
      return outcome;
    } catch (error) {
      const pausedMs = this.#pause.failed(error, startedMs, this.#clock.monotonic());
      if (pausedMs !== undefined)
        this.#log.warn('a status could not be written', { object: key, retryMs: pausedMs, err: error });
      return 'failed';
    }
  }

  #settle(track: Track, { resourceVersion, status, lane }: Due, outcome: StatusOutcome | 'failed'): void {
    const { keyGapMs, firstRetryMs, longestRetryMs } = this.#timing;
    const nowMs = this.#clock.monotonic();
    track.newerNotBeforeMs = nowMs + keyGapMs;
    if (outcome === 'applied') {
      track.applied = { onVersion: resourceVersion, status };
      track.failures = 0;
      track.notBeforeMs = nowMs + keyGapMs;
      track.refreshNotBeforeMs = nowMs + this.#refreshGapMs(track.report, lane);
      return;
    }
    // A refusal is mended by an upgrade, not by time.
    const backoffMs = outcome === 'refused' ? longestRetryMs : firstRetryMs * 2 ** track.failures;
    track.failures += 1;
    track.notBeforeMs = nowMs + Math.min(Math.max(backoffMs, keyGapMs), longestRetryMs);
    // A version that the source did not show yet explains a conflict and an absence, but no failure.
    if (outcome === 'failed' || outcome === 'refused') track.newerNotBeforeMs = track.notBeforeMs;
  }

  /** The first refresh comes soon whatever the period: who has just applied an object wants to see it fire. */
  #refreshGapMs(report: ObjectReport, written: StatusLane): number {
    const { refreshGapMs, fastRefreshGapMs } = this.#timing;
    return written === 'refresh' && periodMsOf(report) < SHORT_PERIOD_MS ? fastRefreshGapMs : refreshGapMs;
  }
}

interface Due {
  readonly object: ScheduledObject;
  readonly resourceVersion: string;
  readonly status: ScheduledTaskStatus;
  readonly lane: StatusLane;
}

/** Whether a report may hold something urgent that the one before it did not. */
function isUrgentNews(before: ObjectReport, after: ObjectReport): boolean {
  return (
    before.object.generation !== after.object.generation ||
    before.inForce !== after.inForce ||
    before.condition.reason !== after.condition.reason ||
    before.condition.flags.Stalled !== after.condition.flags.Stalled ||
    !sameJson(before.trigger, after.trigger)
  );
}

function newTrack(report: ObjectReport, nowMs: number): Track {
  return {
    report,
    applied: undefined,
    busy: false,
    triedVersion: undefined,
    failures: 0,
    notBeforeMs: nowMs,
    newerNotBeforeMs: nowMs,
    refreshNotBeforeMs: nowMs,
  };
}
