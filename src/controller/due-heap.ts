/** Which key is due next: a binary heap whose keys can be moved or taken out, so that 10,000 schedules need no scan. */

interface Item<K> {
  readonly key: K;
  atMs: number;
  index: number;
}

export class DueHeap<K> {
  readonly #heap: Item<K>[] = [];
  readonly #items = new Map<K, Item<K>>();

  get size(): number {
    return this.#heap.length;
  }

  /** Instant of the earliest key; `undefined` when the heap is empty. */
  get earliestMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  /** The earliest key; `undefined` when the heap is empty. */
  get first(): { readonly key: K; readonly atMs: number } | undefined {
    return this.#heap[0];
  }

  /** Instant at which `count` keys are due; `undefined` when there are fewer. O(count²), without a change. */
  nthMs(count: number): number | undefined {
    if (count > this.#heap.length) return undefined;
    // The least keys of a heap hang together from its top: of what hangs below those taken, the earliest is next.
    const below = this.#heap.slice(0, 1);
    for (let taken = 1; ; taken += 1) {
      const next = below.reduce<Item<K> | undefined>(
        (least, item) => (least === undefined || item.atMs < least.atMs ? item : least),
        undefined,
      );
      if (next === undefined || taken === count) return next?.atMs;
      below.splice(below.indexOf(next), 1);
      below.push(...this.#heap.slice(2 * next.index + 1, 2 * next.index + 3));
    }
  }

  has(key: K): boolean {
    return this.#items.has(key);
  }

  atMs(key: K): number | undefined {
    return this.#items.get(key)?.atMs;
  }

  /** Adds the key, or moves it when it is there. */
  set(key: K, atMs: number): void {
    const known = this.#items.get(key);
    if (known === undefined) {
      const item = { key, atMs, index: this.#heap.length };
      this.#heap.push(item);
      this.#items.set(key, item);
      this.#rise(item);
      return;
    }
    known.atMs = atMs;
    this.#rise(known);
    this.#sink(known);
  }

  delete(key: K): void {
    const item = this.#items.get(key);
    if (item !== undefined) this.#remove(item);
  }

  /** Takes out the earliest key when it is due at `nowMs`. */
  popDue(nowMs: number): K | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.#remove(first);
    return first.key;
  }

  #remove(item: Item<K>): void {
    this.#items.delete(item.key);
    const last = this.#heap.pop();
    if (last === undefined || last === item) return;
    this.#place(last, item.index);
    this.#rise(last);
    this.#sink(last);
  }

  #place(item: Item<K>, index: number): void {
    this.#heap[index] = item;
    item.index = index;
  }

  #rise(item: Item<K>): void {
    for (;;) {
      const parent = item.index === 0 ? undefined : this.#heap[(item.index - 1) >> 1];
      if (parent === undefined || parent.atMs <= item.atMs) return;
      this.#swap(item, parent);
    }
  }

  #sink(item: Item<K>): void {
    for (;;) {
      const left = this.#heap[2 * item.index + 1];
      const right = this.#heap[2 * item.index + 2];
      const least = left !== undefined && right !== undefined && right.atMs < left.atMs ? right : left;
      if (least === undefined || least.atMs >= item.atMs) return;
      this.#swap(item, least);
    }
  }

  #swap(a: Item<K>, b: Item<K>): void {
    const index = a.index;
    this.#place(a, b.index);
    this.#place(b, index);
  }
}
