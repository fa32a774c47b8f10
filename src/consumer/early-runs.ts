/** Runs that were handed out before they are due. They wait here, on no slot, until they are. */
import type { Clock, Timer } from '../runtime/clock.ts';
import type { RunRecord } from '../task/run.ts';
import type { HeldRun } from './run-table.ts';

interface EarlyRun {
  readonly run: HeldRun;
  readonly record: RunRecord;
  /** On the monotonic clock, so that no step of a wall clock, nor of the broker's, keeps a run from its time. */
  readonly startAtMs: number;
}

export class EarlyRuns {
  readonly #clock: Clock;
  readonly #onDue: (runs: readonly EarlyRun[]) => void;
  #runs: EarlyRun[] = [];
  #timer: { readonly atMs: number; readonly pending: Timer } | undefined;

  /** @param onDue - told of runs whose time has come, the first that was handed out first; they wait here no longer */
  constructor(clock: Clock, onDue: (runs: readonly EarlyRun[]) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  get length(): number {
    return this.#runs.length;
  }

  /** @param waitMs - until the run is due */
  add(run: HeldRun, record: RunRecord, waitMs: number): void {
    const startAtMs = this.#clock.monotonic() + waitMs;
    this.#runs.push({ run, record, startAtMs });
    this.#arm(startAtMs);
  }

  /** A run was lost or cancelled: it must not start. */
  forget(run: HeldRun): void {
    if (this.#runs.length > 0) this.#runs = this.#runs.filter((early) => early.run !== run);
  }

  /** All of them; they wait no longer. */
  takeAll(): readonly HeldRun[] {
    const runs = this.#runs.map(({ run }) => run);
    this.#runs = [];
    this.#disarm();
    return runs;
  }

  #arm(atMs: number): void {
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    this.#disarm();
    // Timers of Node count whole ms and drop the rest: rounded up, or they would come early and be set again.
    const delayMs = Math.ceil(atMs - this.#clock.monotonic());
    this.#timer = { atMs, pending: this.#clock.after(delayMs, () => this.#fire()) };
  }

  #disarm(): void {
    this.#timer?.pending[Symbol.dispose]();
    this.#timer = undefined;
  }

  #fire(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonic();
    const due = this.#runs.filter(({ startAtMs }) => startAtMs <= nowMs);
    this.#runs = this.#runs.filter(({ startAtMs }) => startAtMs > nowMs);
    if (this.#runs.length > 0) this.#arm(Math.min(...this.#runs.map(({ startAtMs }) => startAtMs)));
    if (due.length > 0) this.#onDue(due);
  }
}
