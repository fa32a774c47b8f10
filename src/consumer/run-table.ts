/** The runs of one queue that this consumer holds, from the claim to the answer of the settle. */
import type { ClaimedRun } from '../broker/broker.ts';
import { LinkedList, type ListNode } from '../runtime/linked-list.ts';
import type { RunRecord } from '../task/run.ts';
import type { Execution } from './execute.ts';

export interface HeldRun {
  readonly id: string;
  readonly token: string;
  /** Who holds it: a settle under another incarnation would be refused. */
  readonly incarnation: string;
  /** Absent for a run that the broker says we hold, but whose claim we never heard of. */
  readonly record: RunRecord | undefined;
  /** `waiting`: claimed ahead of a free slot. `settling`: the body ended; its settlement is on its way. */
  state: 'waiting' | 'running' | 'settling';
  execution?: Execution;
  /** Its settlement was sent before, with no answer: an `unknown` now says nothing about a lost lease. */
  sentBefore: boolean;
  /** Where the table keeps it. */
  place?: ListNode<HeldRun>;
}

/** What names one hand-out: the same run may come back later under another token. */
export function handOutKey(run: { readonly id: string; readonly token: string }): string {
  return `${run.token} ${run.id}`;
}

export class RunTable {
  readonly #runs = new LinkedList<HeldRun>();
  #whenEmpty: (() => void)[] = [];

  get size(): number {
    return this.#runs.length;
  }

  add(claimed: ClaimedRun, incarnation: string): HeldRun {
    const { id } = claimed.record;
    const { token } = claimed;
    return this.#put({
      id,
      token,
      incarnation,
      record: claimed.record,
      state: 'waiting',
      sentBefore: false,
    });
  }

  /** A hand-out that only the broker knows of: it can be released, nothing else. */
  addOrphan(orphan: { readonly id: string; readonly token: string }, incarnation: string): HeldRun {
    const { id, token } = orphan;
    return this.#put({
      id,
      token,
      incarnation,
      record: undefined,
      state: 'settling',
      sentBefore: false,
    });
  }

  has(run: HeldRun): boolean {
    return run.place?.owner === this.#runs;
  }

  /** False when it was gone before: settled, or lost. */
  remove(run: HeldRun): boolean {
    if (run.place === undefined || !this.#runs.remove(run.place)) return false;
    if (this.#runs.length === 0) {
      for (const resolve of this.#whenEmpty) resolve();
      this.#whenEmpty = [];
    }
    return true;
  }

  all(): HeldRun[] {
    return [...this.#runs];
  }

  withId(id: string): HeldRun[] {
    return this.all().filter((run) => run.id === id);
  }

  /** Resolves once nothing is held. */
  async empty(): Promise<void> {
    if (this.#runs.length > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }

  #put(run: HeldRun): HeldRun {
    run.place = this.#runs.pushBack(run);
    return run;
  }
}
