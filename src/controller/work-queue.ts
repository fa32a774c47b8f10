/**
 * Keys that need a look, each at most once however often it was marked: the queue of a level-based loop.
 *
 * - A key marked while it is being worked on is handed out again after `done`, never to two workers at once.
 * - `retry` waits 1 s, then twice as long at each further failure, so that no key is tried more than once a second.
 * - No timers: the owner looks at `nextAtMs` and comes back, so that whoever owns the clock owns the order of things.
 */
import { DueHeap } from './due-heap.ts';

export const FIRST_RETRY_MS = 1_000;
export const LONGEST_RETRY_MS = 60_000;

/** Called synchronously, must be quick and not throw. */
export interface WorkQueueObserver {
  added(): void;
  taken(waitedMs: number): void;
  done(workedMs: number): void;
  retried(): void;
}

export class WorkQueue<K> {
  /** Marked, in order, with the time of the first mark; what is being processed waits here until it is done. */
  readonly #dirty = new Map<K, number>();
  /** Handed out, with the time when. */
  readonly #processing = new Map<K, number>();
  readonly #delayed = new DueHeap<K>();
  readonly #failures = new Map<K, number>();
  readonly #monotonic: () => number;
  readonly #observer: WorkQueueObserver | undefined;

  constructor(monotonic: () => number, observer?: WorkQueueObserver) {
    this.#monotonic = monotonic;
    this.#observer = observer;
  }

  /** Keys marked, and not handed out. */
  get depth(): number {
    return this.#dirty.size;
  }

  /** When each of the keys in work was handed out, on the monotonic clock. */
  get processingSinceMs(): readonly number[] {
    return [...this.#processing.values()];
  }

  add(key: K): void {
    if (this.#dirty.has(key)) return;
    this.#dirty.set(key, this.#monotonic());
    this.#observer?.added();
  }

  addAfter(key: K, delayMs: number): void {
    const atMs = this.#monotonic() + delayMs;
    const known = this.#delayed.atMs(key);
    if (known === undefined || atMs < known) this.#delayed.set(key, atMs);
  }

  /** Marks the key again after its back-off. */
  retry(key: K): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#observer?.retried();
    this.addAfter(key, Math.min(FIRST_RETRY_MS * 2 ** failures, LONGEST_RETRY_MS));
  }

  /** The key is well: its next failure waits the shortest time again. */
  recovered(key: K): void {
    this.#failures.delete(key);
  }

  /** Hands out at most `limit` keys. Each must be given back with `done`. */
  take(limit: number): readonly K[] {
    const nowMs = this.#monotonic();
    for (let key = this.#delayed.popDue(nowMs); key !== undefined; key = this.#delayed.popDue(nowMs))
      this.add(key);
    const taken: K[] = [];
    for (const [key, markedAtMs] of this.#dirty) {
      if (taken.length >= limit) break;
      if (this.#processing.has(key)) continue;
      taken.push(key);
      this.#dirty.delete(key);
      this.#processing.set(key, nowMs);
      this.#observer?.taken(nowMs - markedAtMs);
    }
    return taken;
  }

  done(key: K): void {
    const takenAtMs = this.#processing.get(key);
    if (takenAtMs === undefined) return;
    this.#processing.delete(key);
    this.#observer?.done(this.#monotonic() - takenAtMs);
  }

  /** Drops every trace of the key, but for a worker that has it now. */
  forget(key: K): void {
    this.#dirty.delete(key);
    this.#delayed.delete(key);
    this.#failures.delete(key);
  }

  /** When to come back, on the monotonic clock: now when a key can be taken, `undefined` when nothing waits. */
  get nextAtMs(): number | undefined {
    for (const key of this.#dirty.keys()) if (!this.#processing.has(key)) return this.#monotonic();
    return this.#delayed.earliestMs;
  }
}
