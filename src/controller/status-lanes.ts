/**
 * Which object's status is written next: what people and tools wait for goes first and fast, everything else in the time
 * that is left, those first that change seldom.
 *
 * No timers and no I/O: the owner asks with a time, and looks at `nextAtMs` for when to ask again. Each lane has a rate of
 * its own, so that neither holds back the other.
 */
import type { ObjectKey } from '../resource/scheduled-object.ts';
import { DueHeap } from './due-heap.ts';
import type { StatusLane } from './status-store.ts';
import { TokenBucket } from './token-bucket.ts';

interface LaneRate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Rate and burst together stay within 200 and 20 writes in any second; of the latter, events take up to 3. */
export const LANE_RATES: Readonly<Record<StatusLane, LaneRate>> = {
  urgent: { perSecond: 190, burst: 10 },
  refresh: { perSecond: 15, burst: 2 },
};

/** Of so many refreshes one goes to whoever waits longest, however short its period: or it would never come. */
const FAIR_SHARE = 4;

/** Longer than any time a process lives, in ms: periods stand above waiting times in one number. */
const BEYOND_ANY_WAIT_MS = 2 ** 42;

export class StatusLanes {
  readonly #tokens: Readonly<Record<StatusLane, TokenBucket>>;
  /** By when they may be written. */
  readonly #urgent = new DueHeap<ObjectKey>();
  readonly #later = new DueHeap<ObjectKey>();
  /** What may be refreshed now: by period and waiting time, and by waiting time alone. */
  readonly #byPeriod = new DueHeap<ObjectKey>();
  readonly #byWait = new DueHeap<ObjectKey>();
  readonly #periods = new Map<ObjectKey, number>();
  #refreshes = 0;

  constructor(nowMs: number, rates: Readonly<Record<StatusLane, LaneRate>> = LANE_RATES) {
    this.#tokens = {
      urgent: new TokenBucket(rates.urgent, nowMs),
      refresh: new TokenBucket(rates.refresh, nowMs),
    };
  }

  get waiting(): Readonly<Record<StatusLane, number>> {
    return { urgent: this.#urgent.size, refresh: this.#later.size + this.#byWait.size };
  }

  /** Whether the key waits in one of the lanes. */
  has(key: ObjectKey): boolean {
    return this.#urgent.has(key) || this.#later.has(key) || this.#byWait.has(key);
  }

  /** @param notBeforeMs - the earliest time for it; also its place in the line */
  putUrgent(key: ObjectKey, notBeforeMs: number): void {
    this.#dropRefresh(key);
    this.#urgent.set(key, notBeforeMs);
  }

  /** @param periodMs - from one slot of the schedule to the next; `Infinity`: there is no next */
  putRefresh(key: ObjectKey, periodMs: number, notBeforeMs: number): void {
    this.#urgent.delete(key);
    if (this.#byWait.has(key)) return;
    this.#periods.set(key, periodMs);
    this.#later.set(key, notBeforeMs);
  }

  drop(key: ObjectKey): void {
    this.#urgent.delete(key);
    this.#dropRefresh(key);
  }

  /** The key whose turn it is; it is taken out, and its token with it. */
  take(lane: StatusLane, nowMs: number): ObjectKey | undefined {
    if (lane === 'refresh') this.#ripen(nowMs);
    const key = lane === 'urgent' ? this.#dueUrgent(nowMs) : this.#nextRefresh();
    if (key === undefined || !this.#tokens[lane].take(nowMs)) return undefined;
    if (lane === 'refresh') this.#refreshes += 1;
    this.drop(key);
    return key;
  }

  /** When `take` has something to give; `undefined`: nothing waits. */
  nextAtMs(lane: StatusLane, nowMs: number): number | undefined {
    const readyMs = lane === 'urgent' ? this.#urgent.earliestMs : this.#earliestRefreshMs(nowMs);
    return readyMs === undefined ? undefined : Math.max(readyMs, this.#tokens[lane].nextAtMs(nowMs));
  }

  clear(): void {
    for (const heap of [this.#urgent, this.#later, this.#byPeriod, this.#byWait])
      for (let key = heap.popDue(Infinity); key !== undefined; key = heap.popDue(Infinity));
    this.#periods.clear();
  }

  #earliestRefreshMs(nowMs: number): number | undefined {
    return this.#byWait.size > 0 ? nowMs : this.#later.earliestMs;
  }

  #dueUrgent(nowMs: number): ObjectKey | undefined {
    const first = this.#urgent.first;
    return first !== undefined && first.atMs <= nowMs ? first.key : undefined;
  }

  #nextRefresh(): ObjectKey | undefined {
    const isFair = this.#refreshes % FAIR_SHARE === FAIR_SHARE - 1;
    return (isFair ? this.#byWait : this.#byPeriod).first?.key;
  }

  #ripen(nowMs: number): void {
    for (
      let first = this.#later.first;
      first !== undefined && first.atMs <= nowMs;
      first = this.#later.first
    ) {
      const { key, atMs } = first;
      this.#later.delete(key);
      this.#byWait.set(key, atMs);
      this.#byPeriod.set(key, atMs - periodClass(this.#periods.get(key)) * BEYOND_ANY_WAIT_MS);
    }
  }

  #dropRefresh(key: ObjectKey): void {
    for (const heap of [this.#later, this.#byPeriod, this.#byWait]) heap.delete(key);
    this.#periods.delete(key);
  }
}

/** Periods within a factor of two count as equal, so that those who wait longer come first among them. 0 to 40. */
function periodClass(periodMs = 1): number {
  return Math.min(40, Math.max(0, Math.floor(Math.log2(periodMs))));
}
