/** What the parts of the engine share: its ports, its time, and its settings. */
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../runtime/clock.ts';
import type { TaskLog } from '../task/types.ts';
import type { ClockSync } from './clock-sync.ts';
import { DEFAULT_EARLY_DECISION, type EarlyDecision } from './due-slots.ts';
import type { EngineObserver } from './observer.ts';
import type { StatusSink } from './sink.ts';
import type { ObjectSource } from './source.ts';
import type { QueuePolicy } from './verdict.ts';

export interface EngineTiming {
  /**
   * No wait is longer, so that a step of the broker's clock, or a process that was stopped, is noticed within this.
   * Default 1 s.
   */
  readonly longestWaitMs: number;
  /** Watermarks are read back this often. Default 30 s. */
  readonly readBackEveryMs: number;
  /** Manifests of the consumers are read this often. Default 10 s. */
  readonly catalogEveryMs: number;
  /** A newer full list is looked for, and its absentees withdrawn, this often. Default 5 s. */
  readonly sweepEveryMs: number;
  /** How a crowd of slots is decided before it is due. Default: 140 ms ahead, from 32 slots within 10 ms on. */
  readonly early: EarlyDecision;
}

export const DEFAULT_ENGINE_TIMING: EngineTiming = {
  longestWaitMs: 1_000,
  readBackEveryMs: 30_000,
  catalogEveryMs: 10_000,
  sweepEveryMs: 5_000,
  early: DEFAULT_EARLY_DECISION,
};

/** Objects adopted, or read back, in one call: a call stays well under 10 ms on Redis. */
export const OBJECTS_PER_CALL = 200;
/** Schedules fired in one call, and slots or ranges in it; at least one schedule, whatever it owes. */
export const SCHEDULES_PER_FIRE = 64;
export const SLOTS_PER_FIRE = 1_000;
/** Calls to fire that are under way at once: while Redis works on one, the engine plans the other. */
export const FIRES_AT_ONCE = 2;
/** Calls that each of them makes before the loop looks at everything else again. */
export const FIRES_PER_TURN = 8;

/** Wait before a queue whose call failed is tried again: doubles up to the longest. */
export const FIRST_CALL_RETRY_MS = 1_000;
export const LONGEST_CALL_RETRY_MS = 5_000;

export interface EngineContext {
  /** Names this install: its sweep withdraws only what it adopted itself. */
  readonly install: string;
  readonly source: ObjectSource;
  readonly sink: StatusSink;
  readonly observer: EngineObserver;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly brokerClock: ClockSync;
  readonly log: TaskLog;
  readonly allow: QueuePolicy;
  readonly timing: EngineTiming;
}
