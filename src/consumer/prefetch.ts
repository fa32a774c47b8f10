/** How many IO runs to claim ahead of free slots: only what should start at once, by how long such runs have taken. */

/** A run claimed ahead should start within this time. */
const PREFETCH_MS = 50;
/** Measured: with half of it Redis waits for a consumer of very short runs. */
const PREFETCH_LIMIT = 512;
/** A run that waited longer than this goes back: the mean did not foresee the runs before it. */
export const PREFETCH_GIVE_BACK_MS = 1_000;
/** The same for one that was handed out before it was due: a whole crowd may stand behind bodies that nobody foresaw. */
export const EARLY_GIVE_BACK_MS = 100;
/** Weight of the newest duration in the mean: it follows a change within a few dozen runs. */
const MEAN_WEIGHT = 1 / 16;
/** Durations below this count as this: nothing is learnt from dividing by the timer's resolution. */
const SHORTEST_MS = 0.5;

export class Prefetch {
  #meanMs: number | undefined;

  observe(durationMs: number): void {
    const ms = Math.max(SHORTEST_MS, durationMs);
    // One slow run must count at once, or the runs behind it wait for a mean that catches up.
    this.#meanMs =
      this.#meanMs === undefined || ms > 4 * this.#meanMs + PREFETCH_MS
        ? ms
        : this.#meanMs + (ms - this.#meanMs) * MEAN_WEIGHT;
  }

  /** How many runs to claim ahead of `slots` busy slots. */
  allowance(slots: number): number {
    return Math.min(PREFETCH_LIMIT, this.takenUp(slots));
  }

  /** How many runs `slots` busy slots will take up within `PREFETCH_MS`. 0 before anything ran. */
  takenUp(slots: number): number {
    return this.#meanMs === undefined ? 0 : Math.floor((slots * PREFETCH_MS) / this.#meanMs);
  }
}
