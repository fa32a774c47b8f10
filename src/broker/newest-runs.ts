/** The newest of the runs that a search comes upon, in whatever order. */
import type { RunRecord } from '../task/run.ts';

/** What a run's age is measured by: its end, or while it has none, when it was enqueued. */
const instantOf = ({ endedAtMs, enqueuedAtMs }: RunRecord): number => endedAtMs ?? enqueuedAtMs;

/** Orders runs newest first; equal instants in the order of their ids. */
export function compareNewest(a: RunRecord, b: RunRecord): number {
  return instantOf(b) - instantOf(a) || (a.id < b.id ? -1 : Number(a.id > b.id));
}

/** Keeps `limit` runs at most. A run that moved during the search counts once, as it was seen last. */
export class NewestRuns {
  readonly #limit: number;
  #runs: readonly RunRecord[] = [];
  #isCut = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Newest first. */
  get runs(): readonly RunRecord[] {
    return this.#runs;
  }

  /** Whether runs were left out because newer ones took their places. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Runs that are older than this have no place any more, ms since the epoch; 0 while there is room. */
  get floorMs(): number {
    const last = this.#runs.at(-1);
    return last === undefined || this.#runs.length < this.#limit ? 0 : instantOf(last);
  }

  add(more: readonly RunRecord[]): void {
    const byId = new Map([...this.#runs, ...more].map((run) => [run.id, run]));
    const sorted = [...byId.values()].sort(compareNewest);
    this.#isCut ||= sorted.length > this.#limit;
    this.#runs = sorted.slice(0, this.#limit);
  }
}
