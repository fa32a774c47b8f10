/** Moves delayed runs to their lanes when they are due. Every consumer does it; two at a time are harmless. */
import type { ConsumerPort } from '../broker/broker.ts';
import type { Clock } from '../runtime/clock.ts';
import { Nudge } from './nudge.ts';
import type { ConsumerObserver } from './observer.ts';
import type { QueueSession } from './queue-session.ts';

/** After a pass that moved nothing: a due time that stays in the past must not make the loop spin. */
const IDLE_PASS_MS = 10;

export interface PromotionOptions {
  readonly queue: string;
  readonly work: ConsumerPort;
  readonly session: QueueSession;
  readonly clock: Clock;
  readonly observer: ConsumerObserver;
  /** Longest time between two passes, ms: an earlier due time that we were not told of costs no more than this. */
  readonly idleMs: number;
  /** Runs became ready. */
  readonly onPromoted: () => void;
}

export class Promotion {
  readonly #options: PromotionOptions;
  readonly #nudge = new Nudge();
  #nextPassAtMs = Infinity;
  /** No pass before this instant of the monotonic clock. */
  #notBeforeMs = 0;

  constructor(options: PromotionOptions) {
    this.#options = options;
  }

  /** One pass; returns how long to wait before the next, ms: at once while more is due. */
  async pass(): Promise<number> {
    const { work, queue, clock, observer, onPromoted } = this.#options;
    const { promoted, expired, dropped, more, nextDueAtMs } = await work.promote();
    const moved = promoted + expired + dropped;
    if (moved > 0) observer.promoted({ queue, promoted, expired, dropped });
    if (promoted > 0) onPromoted();
    if (more && moved > 0) return 0;
    this.#notBeforeMs = clock.monotonic() + (moved > 0 ? 0 : IDLE_PASS_MS);
    return this.#passAtMs(nextDueAtMs) - clock.monotonic();
  }

  /** Waits for the next pass, or less when `due` tells of an earlier one. */
  async wait(delayMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    this.#nextPassAtMs = clock.monotonic() + delayMs;
    while (!signal.aborted && clock.monotonic() < this.#nextPassAtMs) {
      await this.#nudge.wait(clock, this.#nextPassAtMs - clock.monotonic(), signal);
    }
    this.#nextPassAtMs = Infinity;
  }

  /** The broker said when something is due next: the pass comes forward if it is planned for later. */
  due(nextDueAtMs: number): void {
    const atMs = this.#passAtMs(nextDueAtMs);
    if (this.#nextPassAtMs === Infinity || atMs >= this.#nextPassAtMs) return;
    this.#nextPassAtMs = atMs;
    this.#nudge.nudge();
  }

  /** On the monotonic clock. */
  #passAtMs(dueAtMs: number | undefined): number {
    const { session, clock, idleMs } = this.#options;
    const nowMs = clock.monotonic();
    const brokerNowMs = session.brokerNowMs;
    if (dueAtMs === undefined || brokerNowMs === undefined) return nowMs + idleMs;
    return Math.max(this.#notBeforeMs, nowMs + Math.min(idleMs, Math.max(0, dueAtMs - brokerNowMs)));
  }
}
