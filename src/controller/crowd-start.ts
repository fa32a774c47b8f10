/**
 * Makes runs that were decided ahead ready when their slot comes. Consumers do that for each other, but one of them has the
 * duty, and it may be dead, frozen or about to stop: a crowd must not wait for whoever takes over.
 */
import type { ConsumerPort } from '../broker/broker.ts';
import { Alarm } from './alarm.ts';
import type { EngineContext } from './engine-context.ts';

/** While nothing is expected. */
const LONGEST_WAIT_MS = 60_000;
/** Pause before a broker is asked again whose clock is a little behind our estimate. */
const EARLY_MS = 1;
/** How far behind it may be: one that is further behind was set back, and the slots may be hours away again. */
const LONGEST_EARLY_MS = 50;

export class CrowdStart {
  readonly #context: Pick<EngineContext, 'clock' | 'brokerClock' | 'log'>;
  readonly #queue: string;
  readonly #work: Pick<ConsumerPort, 'promote'>;
  readonly #alarm: Alarm;
  readonly #expected = new Set<number>();
  /** Calls that failed in a row. */
  #failures = 0;

  constructor(
    context: Pick<EngineContext, 'clock' | 'brokerClock' | 'log'>,
    queue: string,
    work: Pick<ConsumerPort, 'promote'>,
  ) {
    this.#context = context;
    this.#queue = queue;
    this.#work = work;
    this.#alarm = new Alarm(context.clock);
  }

  /** Runs wait for this instant of the broker's clock. */
  expect(slotMs: number): void {
    if (this.#expected.has(slotMs)) return;
    this.#expected.add(slotMs);
    this.#alarm.ring();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { brokerClock } = this.#context;
    while (!signal.aborted) {
      const waitMs = Math.min(LONGEST_WAIT_MS, Math.min(...this.#expected) - brokerClock.estimate());
      if (waitMs > 0) await this.#alarm.wait(waitMs, signal);
      else await this.#start(brokerClock.estimate(), signal);
    }
  }

  /** If this process dies here, a consumer does it, at the latest when it looks by itself: within 5 s. */
  async #start(nowMs: number, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#context;
    const untilMs = clock.monotonic() + LONGEST_EARLY_MS;
    for (const slotMs of this.#expected) if (slotMs <= nowMs) this.#expected.delete(slotMs);
    try {
      while (!signal.aborted) {
        const { promoted, expired, dropped, more, nextDueAtMs = Infinity } = await this.#work.promote();
        const isEarly = !more && nextDueAtMs <= nowMs && clock.monotonic() < untilMs;
        if (isEarly) await clock.sleep(EARLY_MS, signal);
        else if (!more || promoted + expired + dropped === 0) break;
      }
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      const level = this.#failures === 1 ? 'warn' : 'debug';
      log[level]('runs of slots that have come are left to the consumers', {
        queue: this.#queue,
        err: error,
      });
    }
  }
}
