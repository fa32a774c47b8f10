/**
 * Redis as one actor: the memory broker, which here can be away, be emptied, and lose its last writes. What it was asked is
 * written down, so that an earlier state is had again by asking it anew.
 */
import type { Queue } from '../../src/broker/broker.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { Book } from './book.ts';
import { createLineage, type Lineage } from './lineage.ts';
import { LIMITED_TASK_CONCURRENCY } from './settings.ts';

interface Written {
  readonly atMs: number;
  readonly ask: (queue: Queue) => Promise<unknown>;
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Stands where it is put while writes are done again, and is the world's otherwise. */
class RedisClock implements Clock {
  readonly #clock: Clock;
  standsAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.standsAtMs ?? this.#clock.now();
  }

  monotonic(): number {
    return this.now();
  }

  after: Clock['after'] = (delayMs, callback) => this.#clock.after(delayMs, callback);
  sleep: Clock['sleep'] = (delayMs, signal) => this.#clock.sleep(delayMs, signal);
}

export class SimulatedRedis {
  readonly #clock: RedisClock;
  readonly #book: Book;
  #journal: Written[] = [];
  #lineage: Lineage;
  #away: Span[] = [];
  #isAwayUntilMs = 0;
  /** Changes when clients notice that they speak to another server. */
  epoch = 0;
  /** Ids of runs that were fired in a history that was lost. */
  readonly #firedInVain = new Set<string>();
  /** Told when a history ends, before the next begins. */
  onLoss: (lost: Lineage, next: Lineage) => void = () => undefined;

  /** Whether a process has been well since then, and none of its calls went wrong but by an absence. */
  isInnocent: (process: string, sinceMs: number) => boolean = () => false;

  constructor(clock: Clock, book: Book) {
    this.#clock = new RedisClock(clock);
    this.#book = book;
    this.#lineage = this.#create();
  }

  get nowMs(): number {
    return this.#clock.now();
  }

  get lineage(): Lineage {
    return this.#lineage;
  }

  get isAway(): boolean {
    return this.#clock.now() < this.#isAwayUntilMs;
  }

  /** Since when it can be reached. */
  get upSinceMs(): number {
    return Math.max(-Infinity, ...this.#away.map(({ toMs }) => toMs));
  }

  /** One write, which a later state may be without. */
  ask<T>(ask: (queue: Queue) => Promise<T>): Promise<T> {
    this.#journal.push({ atMs: this.#clock.now(), ask });
    this.#book.counts.calls += 1;
    return ask(this.#lineage.queue);
  }

  get queue(): Queue {
    return this.#lineage.queue;
  }

  goAway(forMs: number): void {
    const nowMs = this.#clock.now();
    this.#isAwayUntilMs = Math.max(this.#isAwayUntilMs, nowMs + forMs);
    this.#away.push({ fromMs: nowMs, toMs: this.#isAwayUntilMs });
    this.epoch += 1;
  }

  /** @param isNoticed - clients lose their connections by it */
  empty(isNoticed: boolean): Promise<void> {
    return this.#lose(this.#clock.now(), [], isNoticed);
  }

  rollBack(byMs: number, isNoticed: boolean): Promise<void> {
    const toMs = this.#clock.now() - byMs;
    const kept = this.#journal.filter(({ atMs }) => atMs <= toMs);
    return this.#lose(toMs, kept, isNoticed);
  }

  /** Takes no time and waits for nothing but promises that are ready: nobody else acts meanwhile. */
  async #lose(toMs: number, kept: Written[], isNoticed: boolean): Promise<void> {
    const lost = this.#lineage;
    this.#away.push({ fromMs: toMs, toMs: this.#clock.now() });
    const { counts } = this.#book;
    const before = { ...counts };
    this.#lineage = this.#create();
    for (const { atMs, ask } of kept) {
      this.#clock.standsAtMs = atMs;
      await ask(this.#lineage.queue);
    }
    this.#clock.standsAtMs = undefined;
    Object.assign(counts, before);
    this.#journal = kept;
    if (isNoticed) this.epoch += 1;
    for (const id of lost.fired.keys()) if (!this.#lineage.fired.has(id)) this.#firedInVain.add(id);
    this.onLoss(lost, this.#lineage);
  }

  /** How many slots were enqueued again, after their first run was lost. */
  get firedAgain(): number {
    return [...this.#firedInVain].filter((id) => this.#lineage.fired.has(id)).length;
  }

  /**
   * How long of that span it was away.
   * @param leastMs - absences shorter than this are left out
   */
  awayMs(fromMs: number, toMs: number, leastMs = 0): number {
    const absences = this.#absences().filter((span) => span.toMs - span.fromMs > leastMs);
    const overlaps = absences.map((span) => Math.min(span.toMs, toMs) - Math.max(span.fromMs, fromMs));
    return overlaps.reduce((sum, overlap) => sum + Math.max(0, overlap), 0);
  }

  /** Spans that touch each other are one. */
  #absences(): readonly Span[] {
    const merged: Span[] = [];
    for (const span of this.#away.toSorted((a, b) => a.fromMs - b.fromMs)) {
      const last = merged.at(-1);
      if (last === undefined || last.toMs < span.fromMs) merged.push(span);
      else merged[merged.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, span.toMs) };
    }
    return merged;
  }

  #create(): Lineage {
    return createLineage(this.#clock, this.#book, {
      awayMs: (fromMs, toMs, leastMs) => this.awayMs(fromMs, toMs, leastMs),
      isInnocent: (process, sinceMs) => this.isInnocent(process, sinceMs),
      limitOf: (task) => (task === 'limited' ? LIMITED_TASK_CONCURRENCY : undefined),
    });
  }
}
