/** A controller that cannot reach Redis cannot fire: after a while it gives the Lease to one that may be able to. */
import type { Clock } from '../runtime/clock.ts';
import type { TaskLog } from '../task/types.ts';

/** As long as a dead leader keeps its Lease. */
export const REDIS_AWAY_MS = 15_000;
const LOOK_EVERY_MS = 1_000;

export interface ConnectedOptions {
  readonly connected: () => boolean;
  readonly clock: Clock;
  readonly log: TaskLog;
}

/**
 * Calls `lead` while Redis can be reached, again and again until the signal aborts. `lead` must resolve when its own signal
 * aborts. When Redis is away for all replicas, none of them asks for the Lease until it is back.
 */
export async function leadWhileConnected(
  options: ConnectedOptions,
  signal: AbortSignal,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { connected, clock } = options;
  while (!signal.aborted) {
    if (!connected()) {
      await clock.sleep(LOOK_EVERY_MS, signal);
      continue;
    }
    const term = new AbortController();
    const both = AbortSignal.any([signal, term.signal]);
    const watching = untilAway(options, both).then(() => {
      term.abort();
    });
    try {
      await lead(both);
    } finally {
      term.abort();
      await watching;
    }
  }
}

/** Resolves when Redis has been away for long, or when the signal aborts. */
async function untilAway({ connected, clock, log }: ConnectedOptions, signal: AbortSignal): Promise<void> {
  let seenAtMs = clock.monotonic();
  for (;;) {
    await clock.sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) return;
    if (connected()) seenAtMs = clock.monotonic();
    const awayMs = clock.monotonic() - seenAtMs;
    if (awayMs < REDIS_AWAY_MS) continue;
    log.warn('Redis cannot be reached: the Lease is given back, another controller may reach it', {
      awayMs: Math.round(awayMs),
    });
    return;
  }
}
