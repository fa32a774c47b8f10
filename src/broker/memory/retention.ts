/** How long ended runs are kept: by age and by bytes, failures apart from the rest so that successes never push them out. */
import type { QueueSettings } from '../broker.ts';
import { LinkedList } from '../../runtime/linked-list.ts';
import type { Run } from './run.ts';

/** What a record costs beside its texts: a rough figure, alike for every run. */
const RECORD_OVERHEAD_BYTES = 150;

function sizeOf(run: Run): number {
  const texts = [
    run.id,
    run.task,
    run.params,
    run.result ?? '',
    run.cancelReason ?? '',
    JSON.stringify(run.options),
  ];
  if (run.error !== undefined) texts.push(JSON.stringify(run.error));
  return RECORD_OVERHEAD_BYTES + texts.reduce((sum, text) => sum + text.length, 0);
}

interface Shelf {
  readonly runs: LinkedList<Run>;
  bytes: number;
}

export class Retention {
  readonly #failed: Shelf = { runs: new LinkedList(), bytes: 0 };
  readonly #others: Shelf = { runs: new LinkedList(), bytes: 0 };
  readonly #settings: () => QueueSettings;
  readonly #forget: (run: Run) => void;

  /** @param forget - removes the run from the queue's memory */
  constructor(settings: () => QueueSettings, forget: (run: Run) => void) {
    this.#settings = settings;
    this.#forget = forget;
  }

  get failedCount(): number {
    return this.#failed.runs.length;
  }

  get otherCount(): number {
    return this.#others.runs.length;
  }

  get bytes(): number {
    return this.#failed.bytes + this.#others.bytes;
  }

  /** Keeps a run that has just ended, and drops the oldest of its kind that no longer fit. */
  keep(run: Run): void {
    const shelf = this.#shelfOf(run);
    run.bytes = sizeOf(run);
    run.place = shelf.runs.pushBack(run);
    shelf.bytes += run.bytes;
    const budget =
      run.state === 'failed' ? this.#settings().retainFailedBytes : this.#settings().retainSucceededBytes;
    for (
      let oldest = shelf.runs.first;
      oldest !== undefined && shelf.bytes > budget;
      oldest = shelf.runs.first
    ) {
      this.#drop(oldest);
    }
  }

  /** Takes a run back that is to run again. */
  release(run: Run): void {
    const shelf = this.#shelfOf(run);
    if (run.place !== undefined) shelf.runs.remove(run.place);
    run.place = undefined;
    shelf.bytes -= run.bytes;
    run.bytes = 0;
  }

  /** Drops one run that is past its age. */
  dropOneDue(nowMs: number): boolean {
    for (const run of this.#oldest()) {
      if (this.#dueAt(run) > nowMs) continue;
      this.#drop(run);
      return true;
    }
    return false;
  }

  /** When the next kept run is past its age. */
  get nextAtMs(): number | undefined {
    const dues = this.#oldest().map((run) => this.#dueAt(run));
    return dues.length === 0 ? undefined : Math.min(...dues);
  }

  /** Failures, then the rest, as far as they are asked for and not empty; each newest first. */
  newestFirst(states: ReadonlySet<string>): readonly Iterable<Run>[] {
    const wanted: Shelf[] = [];
    if (states.has('failed')) wanted.push(this.#failed);
    if (states.has('succeeded') || states.has('cancelled') || states.has('expired'))
      wanted.push(this.#others);
    return wanted.filter(({ runs }) => runs.length > 0).map(({ runs }) => runs.backwards());
  }

  #oldest(): Run[] {
    return [this.#failed.runs.first, this.#others.runs.first].filter((run) => run !== undefined);
  }

  #dueAt(run: Run): number {
    const { retainFailedMs, retainSucceededMs } = this.#settings();
    return (run.endedAtMs ?? 0) + (run.state === 'failed' ? retainFailedMs : retainSucceededMs);
  }

  #shelfOf(run: Run): Shelf {
    return run.state === 'failed' ? this.#failed : this.#others;
  }

  #drop(run: Run): void {
    this.release(run);
    this.#forget(run);
  }
}
