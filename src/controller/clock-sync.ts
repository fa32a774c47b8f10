/**
 * The broker's time in this process, so that replicas cannot disagree and a wrong node clock changes nothing.
 *
 * It is the monotonic clock plus an offset, and the offset is measured again every 5 s. A step of the machine's wall clock
 * is never seen. Between two measurements the two clocks may drift apart by a few ms, which `fire` allows for (150 ms, and 10 for a crowd that is decided ahead).
 */
import type { Clock } from '../runtime/clock.ts';

export const MEASURE_EVERY_MS = 5_000;
/** What two clocks may drift apart: 500 ppm is more than any working machine does. */
const DRIFT = 0.0005;

/** A measurement that may be wrong by more than this is made again, a few times: the network may just be slow. */
const BLURRED_MS = 100;
const ATTEMPTS = 4;

interface Measurement {
  readonly offsetMs: number;
  /** The broker's time was read somewhere between sending and receiving: half of that. */
  readonly errorMs: number;
  readonly atMs: number;
}

export interface ClockSyncOptions {
  readonly readNow: () => Promise<number>;
  readonly clock: Clock;
  readonly measureEveryMs?: number;
}

export class ClockSync {
  readonly #readNow: () => Promise<number>;
  readonly #clock: Clock;
  readonly #measureEveryMs: number;
  #held: Measurement | undefined;
  #measuredAtMs = -Infinity;
  #underWay: Promise<void> | undefined;

  constructor({ readNow, clock, measureEveryMs = MEASURE_EVERY_MS }: ClockSyncOptions) {
    this.#readNow = readNow;
    this.#clock = clock;
    this.#measureEveryMs = measureEveryMs;
  }

  /** The broker's time, ms since the epoch; measures first when that is due, once for all who ask meanwhile. */
  async now(): Promise<number> {
    if (this.#clock.monotonic() - this.#measuredAtMs >= this.#measureEveryMs) {
      this.#underWay ??= this.#measure().finally(() => {
        this.#underWay = undefined;
      });
      await this.#underWay;
    }
    return this.estimate();
  }

  /** The broker's time by the last measurement. */
  estimate(): number {
    return Math.floor(this.#clock.monotonic() + (this.#held?.offsetMs ?? 0));
  }

  /** The broker disagreed with our time: measure before the next use. */
  doubt(): void {
    if (this.#held !== undefined) this.#held = { ...this.#held, errorMs: Infinity };
    this.#measuredAtMs = -Infinity;
  }

  async #measure(): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const sentMs = this.#clock.monotonic();
      const brokerMs = await this.#readNow();
      const atMs = this.#clock.monotonic();
      const errorMs = (atMs - sentMs) / 2;
      // A process that stood still while it asked would be wrong by half of that time.
      if (errorMs > BLURRED_MS && attempt < ATTEMPTS) continue;
      this.#held = better(this.#held, { offsetMs: brokerMs - (sentMs + atMs) / 2, errorMs, atMs });
      this.#measuredAtMs = atMs;
      return;
    }
  }
}

/** Keeps a sharp measurement rather than a blurred newer one, unless the two cannot both be true: then time was set. */
function better(held: Measurement | undefined, next: Measurement): Measurement {
  if (held === undefined) return next;
  const heldErrorMs = held.errorMs + (next.atMs - held.atMs) * DRIFT;
  const contradicted = Math.abs(next.offsetMs - held.offsetMs) > heldErrorMs + next.errorMs;
  return contradicted || next.errorMs <= heldErrorMs
    ? next
    : { ...held, errorMs: heldErrorMs, atMs: next.atMs };
}
