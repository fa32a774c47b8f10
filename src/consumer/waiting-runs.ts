/** Runs that were claimed ahead of a free slot, the oldest first. */
import type { RunRecord } from '../task/run.ts';
import type { HeldRun } from './run-table.ts';

export interface WaitingRun {
  readonly run: HeldRun;
  readonly record: RunRecord;
  readonly sinceMs: number;
}

export class WaitingRuns {
  #runs: WaitingRun[] = [];

  get length(): number {
    return this.#runs.length;
  }

  add(waiting: WaitingRun): void {
    this.#runs.push(waiting);
  }

  /** The oldest; it waits no longer. */
  next(): WaitingRun | undefined {
    return this.#runs.shift();
  }

  /** Those that wait since then or longer; they wait no longer. */
  takeStale(untilMs: number): readonly HeldRun[] {
    const stale = this.#runs.filter(({ sinceMs }) => sinceMs <= untilMs);
    this.#runs = this.#runs.filter(({ sinceMs }) => sinceMs > untilMs);
    return stale.map(({ run }) => run);
  }

  /** All but the oldest `count`; they wait no longer. */
  takeBeyond(count: number): readonly HeldRun[] {
    return this.#runs.splice(count).map(({ run }) => run);
  }

  forget(run: HeldRun): void {
    this.#runs = this.#runs.filter((waiting) => waiting.run !== run);
  }
}
