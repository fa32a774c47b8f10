/**
 * Which schedule is looked at next, and when. Where many are due at the same moment, those whose slot may be decided before it
 * comes are handed out a little early, so that their runs stand ready when it does.
 */
import { FUTURE_SLOT_TOLERANCE_MS } from '../broker/broker.ts';
import { DueHeap } from './due-heap.ts';

export interface EarlyDecision {
  /** How long before its slot a schedule may be handed out. Less than `FUTURE_SLOT_TOLERANCE_MS`, as clocks differ. */
  readonly aheadMs: number;
  /** That many must be due within `withinMs`: fewer, or a steady stream, are decided as fast when their slots have come. */
  readonly crowd: number;
  readonly withinMs: number;
}

/** How far our estimate of the broker's clock may be fast without a slot being refused as too far ahead. */
const CLOCK_ERROR_MS = 10;

export const DEFAULT_EARLY_DECISION: EarlyDecision = {
  aheadMs: FUTURE_SLOT_TOLERANCE_MS - CLOCK_ERROR_MS,
  crowd: 32,
  withinMs: 10,
};

export class DueSlots<K> {
  readonly #early: EarlyDecision;
  /** May be handed out before they are due, in a crowd. */
  readonly #slots = new DueHeap<K>();
  /** May not. */
  readonly #exact = new DueHeap<K>();

  constructor(early: EarlyDecision) {
    this.#early = early;
  }

  /** Adds the key, or moves it. Not handed out before `atMs`. */
  set(key: K, atMs: number): void {
    this.#slots.delete(key);
    this.#exact.set(key, atMs);
  }

  /** Adds the key, or moves it: its slot comes at `atMs`, and may be decided early. */
  setSlot(key: K, atMs: number): void {
    this.#exact.delete(key);
    this.#slots.set(key, atMs);
  }

  delete(key: K): void {
    this.#slots.delete(key);
    this.#exact.delete(key);
  }

  /** When there is something to hand out; `undefined`: never. */
  get nextMs(): number | undefined {
    const instants = [this.#exact.earliestMs, this.#slots.earliestMs, this.#crowdMs].filter(
      (atMs) => atMs !== undefined,
    );
    return instants.length === 0 ? undefined : Math.min(...instants);
  }

  /** Up to which instant slots are handed out at `nowMs`: a little ahead where a crowd is due by then. */
  horizonMs(nowMs: number): number {
    const crowdMs = this.#crowdMs;
    return crowdMs !== undefined && crowdMs <= nowMs ? nowMs + this.#early.aheadMs : nowMs;
  }

  /** Takes out the key that is due first, of slots up to the horizon and of all else up to now. */
  popDue(nowMs: number, horizonMs: number): K | undefined {
    const isExactFirst = (this.#exact.earliestMs ?? Infinity) <= (this.#slots.earliestMs ?? Infinity);
    return isExactFirst
      ? (this.#exact.popDue(nowMs) ?? this.#slots.popDue(horizonMs))
      : (this.#slots.popDue(horizonMs) ?? this.#exact.popDue(nowMs));
  }

  /**
   * From when on so many slots are near that they are decided early. Looked for from the first that is due: one that comes shortly
   * before a crowd leaves it that much less time.
   */
  get #crowdMs(): number | undefined {
    const { aheadMs, crowd, withinMs } = this.#early;
    const [firstMs, lastMs] = [this.#slots.earliestMs, this.#slots.nthMs(crowd)];
    const isCrowd = firstMs !== undefined && lastMs !== undefined && lastMs - firstMs <= withinMs;
    return isCrowd ? lastMs - aheadMs : undefined;
  }
}
