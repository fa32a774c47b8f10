/** What the schedule engine tells whoever watches it (metrics, the output of `dev`): called synchronously, must be quick and not throw. */
import type { DecisionReason } from '../schedule/reasons.ts';
import type { TriggerEcho } from './trigger.ts';

/** The schedule and the queue that an event is about. */
export interface ScheduleRef {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly queue: string;
  readonly task: string;
}

export interface FiredEvent extends ScheduleRef {
  readonly slotMs: number;
  readonly runId: string | undefined;
  /** `CatchUp` or `Replaced`; absent for a run on time that replaced nothing. */
  readonly reason: DecisionReason | undefined;
  /** From the slot to the moment when the queue had the run, by the broker's clock, ms; negative when it was decided ahead. */
  readonly lagMs: number;
  /** How long after the later of slot and now the run starts: jitter, or the spread of a catch-up. */
  readonly delayMs: number;
}

export interface SkippedEvent extends ScheduleRef {
  readonly slotMs: number;
  readonly reason: DecisionReason | undefined;
}

export interface MissedEvent extends ScheduleRef {
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
  readonly countIsExact: boolean;
  readonly reason: DecisionReason;
}

export interface EngineObserver {
  fired(event: FiredEvent): void;
  skipped(event: SkippedEvent): void;
  missed(event: MissedEvent): void;
  /** A run by hand was decided, or a request for one was recorded or refused. */
  triggered(event: ScheduleRef & TriggerEcho): void;
  /** A slot or range that was decided before, by another engine or by a call whose reply was lost. */
  duplicate(event: ScheduleRef & { readonly slotMs: number; readonly count: number }): void;
  /** A generation of an object was acted on for the first time. */
  adopted(
    event: ScheduleRef & {
      readonly generation: number;
      readonly suspended: boolean;
      readonly forced: boolean;
    },
  ): void;
  /** The broker knows a newer generation than ours, or a tombstone: the object is read again. */
  stale(
    event: ScheduleRef & { readonly generation: number; readonly known: number; readonly withdrawn: boolean },
  ): void;
  /** The broker knows less than it did: emptied, or a failover lost writes. What it lost is planned again. */
  regressed(event: ScheduleRef & { readonly what: 'schedule' | 'watermark' | 'generation' }): void;
  /** The broker is out of memory: these slots stay owed and are tried again. */
  refusedForMemory(event: { readonly queue: string; readonly schedules: number }): void;
  /** A call failed; the queue is left alone for `retryMs`, then read back. */
  callFailed(event: { readonly queue: string; readonly error: unknown; readonly retryMs: number }): void;
  /** A sweep withdrew schedules whose objects are gone; `held`: too many at once, each is asked for first. */
  swept(event: { readonly queue: string; readonly withdrawn: number; readonly held: number }): void;
  /** An object was marked to be reconciled, handed out after waiting, given back, or marked again after a failure. */
  keyAdded(): void;
  keyTaken(waitedMs: number): void;
  keyDone(workedMs: number): void;
  keyRetried(): void;
  /** One turn of a queue's loop: schedules looked at, and how long it took. */
  turned(event: {
    readonly queue: string;
    readonly reconciled: number;
    readonly planned: number;
    readonly durationMs: number;
  }): void;
}

const ignore = (): void => undefined;

/** Watches nothing; spread it to implement only some of the calls. */
export const SILENT_ENGINE_OBSERVER: EngineObserver = {
  fired: ignore,
  skipped: ignore,
  missed: ignore,
  triggered: ignore,
  duplicate: ignore,
  adopted: ignore,
  stale: ignore,
  regressed: ignore,
  refusedForMemory: ignore,
  callFailed: ignore,
  swept: ignore,
  keyAdded: ignore,
  keyTaken: ignore,
  keyDone: ignore,
  keyRetried: ignore,
  turned: ignore,
};
