/** How many runs may execute at once, shared fairly by the queues of one consumer. One pool for each executor. */
import type { Executor } from '../task/run.ts';

/** Slots that leak before the process asks to be replaced: this share of all, at least so many, and never more than there are. */
const LEAK_SHARE = 0.1;
const LEAK_MINIMUM = 5;

export class SlotPool {
  readonly executor: Executor;
  readonly total: number;
  #busy = 0;
  #leaked = 0;
  readonly #heldBy = new Map<string, number>();
  readonly #hungry = new Set<string>();
  /** When each queue was last given a slot, as a count of takes: decides whose turn it is when slots are fewer than queues. */
  readonly #servedAt = new Map<string, number>();
  #takes = 0;
  readonly #onChange: (pool: SlotPool, freed: boolean, queue: string) => void;

  /**
   * @param onChange - called when a queue took slots, gave them back, or needs none kept any more (both are `freed`); must not
   *   throw
   */
  constructor(
    executor: Executor,
    total: number,
    onChange: (pool: SlotPool, freed: boolean, queue: string) => void,
  ) {
    this.executor = executor;
    this.total = total;
    this.#onChange = onChange;
  }

  get busy(): number {
    return this.#busy;
  }

  get free(): number {
    return this.total - this.#busy;
  }

  /** Slots whose body went on after its deadline and grace. They are busy as well. */
  get leaked(): number {
    return this.#leaked;
  }

  get leaksTooMany(): boolean {
    const limit = Math.min(this.total, Math.max(LEAK_MINIMUM, Math.ceil(this.total * LEAK_SHARE)));
    return this.total > 0 && this.#leaked >= limit;
  }

  /** A queue that has, or may have, work waiting: its share is kept for it until it says otherwise. */
  setHungry(queue: string, hungry: boolean): void {
    if (hungry) this.#hungry.add(queue);
    else if (this.#hungry.delete(queue)) this.#onChange(this, true, queue);
  }

  isHungry(queue: string): boolean {
    return this.#hungry.has(queue);
  }

  heldBy(queue: string): number {
    return this.#heldBy.get(queue) ?? 0;
  }

  /** How many slots `queue` could get now: what is free, less what other hungry queues lack of their even share. */
  available(queue: string): number {
    const contenders = this.#hungry.size + (this.#hungry.has(queue) ? 0 : 1);
    const share = Math.floor(this.total / contenders);
    let keptForOthers = 0;
    for (const other of this.#hungry) {
      if (other === queue) continue;
      // What cannot be shared evenly goes in turns: one slot for two queues serves them alternately.
      const due = share > 0 ? share : this.#served(other) < this.#served(queue) ? 1 : 0;
      keptForOthers += Math.max(0, due - this.heldBy(other));
    }
    return Math.max(0, this.free - keptForOthers);
  }

  /** Takes up to `wanted` slots for `queue`; each is to be given back by `release`. */
  take(queue: string, wanted: number): number {
    const taken = Math.min(wanted, this.available(queue));
    if (taken > 0) {
      this.#servedAt.set(queue, (this.#takes += 1));
      this.#move(queue, taken);
    }
    return taken;
  }

  release(queue: string, count: number): void {
    if (count > 0) this.#move(queue, -count);
  }

  /** @param change - 1: one more slot is out of use; -1: it came back */
  countLeak(change: 1 | -1): void {
    this.#leaked += change;
  }

  #served(queue: string): number {
    return this.#servedAt.get(queue) ?? 0;
  }

  #move(queue: string, count: number): void {
    this.#busy += count;
    this.#heldBy.set(queue, this.heldBy(queue) + count);
    this.#onChange(this, count < 0, queue);
  }
}
