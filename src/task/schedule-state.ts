/** What the queue remembers of a schedule: how far it is settled, by which spec, and what was decided for each slot. */
import type { Decision, DecisionReason } from '../schedule/reasons.ts';
import type { RunError, TerminalState } from './run.ts';

/** What happens when a slot is due while an earlier run of the schedule is in flight: both run, the slot is skipped, or the earlier run is replaced. */
export const CONCURRENCY_POLICIES = ['Allow', 'Forbid', 'Replace'] as const;
export type ConcurrencyPolicy = (typeof CONCURRENCY_POLICIES)[number];

/** One decision, or a row of like decisions merged into a range. */
export interface DecisionRecord {
  /** First and last slot, ms since the epoch; equal for a single slot. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
  /** False when counting stopped at its cap: `count` is then a lower bound. */
  readonly countIsExact: boolean;
  readonly decision: Decision;
  readonly reason?: DecisionReason;
  /** Generation of the spec that decided. */
  readonly generation: number;
  /** When it was decided (the first of a merged row), ms since the epoch. */
  readonly decidedAtMs: number;
  /** Request id of a run triggered by hand. */
  readonly request?: string;
}

/** The spec as it was from one adopted generation to the next: the only honest base for "why did it not run". */
export interface Era {
  readonly generation: number;
  readonly fromMs: number;
  /** Absent while it is in force. */
  readonly untilMs?: number;
  readonly suspended: boolean;
  /** JSON text of the timing and policy part of the spec, at most 1 KiB. */
  readonly spec: string;
}

/** How the newest ended run of a schedule ended. */
export interface LastRun {
  readonly id: string;
  readonly state: TerminalState;
  readonly slotMs?: number;
  readonly startedAtMs?: number;
  readonly endedAtMs: number;
  readonly attempt: number;
  readonly error?: RunError;
}

export interface ScheduleState {
  readonly uid: string;
  /** Newest generation acted on; a tombstone keeps the one it was withdrawn at. */
  readonly generation: number;
  readonly withdrawn: boolean;
  readonly suspended: boolean;
  /** No slot before this instant fires. */
  readonly notBeforeMs: number;
  /** Every slot up to and including this one has a decision; absent before the first. */
  readonly watermarkMs?: number;
  /** Runs in flight: pending, delayed, waiting for a retry, running, or triggered by hand. */
  readonly active: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly missed: number;
  readonly skipped: number;
  readonly fired: number;
  readonly lastSucceededAtMs?: number;
  readonly lastFailedAtMs?: number;
  readonly lastRun?: LastRun;
}
