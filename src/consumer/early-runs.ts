/** Runs that were handed out before they are due. They wait here, on no slot, until they are. */
import type { Clock, Timer } from '../runtime/clock.ts';
import { PRIORITIES, type RunRecord } from '../task/run.ts';
import { PREFETCH_GIVE_BACK_MS } from './prefetch.ts';
import type { HeldRun } from './run-table.ts';

export interface EarlyRun {
  readonly run: HeldRun;
  readonly record: RunRecord;
  /** On the monotonic clock, so that no step of a wall clock, nor of the broker's, keeps a run from its time. */
  readonly startAtMs: number;
}

export interface EarlyRunsOptions {
  readonly clock: Clock;
  /** Told of runs whose time has come, by priority; they wait here no longer. */
  readonly onDue: (runs: readonly EarlyRun[]) => void;
  readonly release: (run: HeldRun) => void;
}

const rankOf = ({ record }: EarlyRun): number => PRIORITIES.indexOf(record.priority);

export class EarlyRuns {
  readonly #options: EarlyRunsOptions;
  readonly #clock: Clock;
  #runs: EarlyRun[] = [];
  #timer: { readonly atMs: number; readonly pending: Timer } | undefined;

  constructor(options: EarlyRunsOptions) {
    this.#options = options;
    this.#clock = options.clock;
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

  /** Gives back all of them. */
  giveBack(): void {
    const runs = this.#runs;
    this.#runs = [];
    this.#disarm();
    for (const { run } of runs) this.#options.release(run);
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
    // This process stood still: its lease may be over, and the runs another's. If it is not, they come back.
    const isLate = ({ startAtMs }: EarlyRun): boolean => nowMs - startAtMs > PREFETCH_GIVE_BACK_MS;
    for (const { run } of due.filter(isLate)) this.#options.release(run);
    const onTime = due.filter((early) => !isLate(early)).sort((a, b) => rankOf(a) - rankOf(b));
    if (onTime.length > 0) this.#options.onDue(onTime);
  }
}
