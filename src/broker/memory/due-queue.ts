/** What becomes due, earliest first; equal instants in the order of their ids, as a Redis sorted set has them. */

interface Due {
  readonly atMs: number;
  readonly id: string;
}

const isBefore = (a: Due, b: Due): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.id < b.id);

/** A binary heap. Entries that are no longer valid stay until they come up, and are dropped then. */
export class DueQueue {
  readonly #heap: Due[] = [];
  readonly #isValid: (id: string, atMs: number) => boolean;

  /** @param isValid - whether an entry still stands; asked when it comes up */
  constructor(isValid: (id: string, atMs: number) => boolean) {
    this.#isValid = isValid;
  }

  add(id: string, atMs: number): void {
    const heap = this.#heap;
    const entry = { atMs, id };
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || !isBefore(entry, parent)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  /** When the earliest valid entry is due. */
  get nextAtMs(): number | undefined {
    return this.#earliest()?.atMs;
  }

  /** The ids of up to `count` valid entries that are due from `fromMs` until `toMs`, the earliest first. They stay. */
  between(fromMs: number, toMs: number, count: number): readonly string[] {
    const due: Due[] = [];
    const look = (index: number): void => {
      const entry = this.#heap[index];
      if (entry === undefined || entry.atMs > toMs) return;
      if (entry.atMs >= fromMs && this.#isValid(entry.id, entry.atMs)) due.push(entry);
      look(2 * index + 1);
      look(2 * index + 2);
    };
    look(0);
    due.sort((a, b) => (isBefore(a, b) ? -1 : 1));
    // A run that left and came back for the same instant stands here twice.
    return [...new Set(due.map(({ id }) => id))].slice(0, count);
  }

  /** Removes and returns the id of the earliest valid entry due at `nowMs`. */
  takeDue(nowMs: number): string | undefined {
    const earliest = this.#earliest();
    if (earliest === undefined || earliest.atMs > nowMs) return undefined;
    this.#removeTop();
    return earliest.id;
  }

  #earliest(): Due | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.#isValid(top.id, top.atMs)) return top;
      this.#removeTop();
    }
    return undefined;
  }

  #removeTop(): void {
    const heap = this.#heap;
    const moved = heap.pop();
    if (moved === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const child = this.#lesserChild(index);
      const value = child === undefined ? undefined : heap[child];
      if (child === undefined || value === undefined || !isBefore(value, moved)) break;
      heap[index] = value;
      index = child;
    }
    heap[index] = moved;
  }

  #lesserChild(index: number): number | undefined {
    const left = this.#heap[2 * index + 1];
    const right = this.#heap[2 * index + 2];
    if (left === undefined) return undefined;
    return right !== undefined && isBefore(right, left) ? 2 * index + 2 : 2 * index + 1;
  }
}
