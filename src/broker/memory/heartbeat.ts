/** Keeps leases in the memory broker alive by timers: it shares the event loop, so it stalls when the loop does. */
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Heartbeat, HeartbeatOptions, Queue } from '../broker.ts';

/** Settles without an answer for this many leases mean that the broker, not the task, hangs. */
const UNANSWERED_LEASES = 2;

export class MemoryHeartbeat implements Heartbeat {
  readonly #clock: Clock;
  readonly #options: HeartbeatOptions;
  readonly #queueOf: (name: string) => Queue;
  readonly #queues: Set<string>;
  #timer: Timer | undefined;
  #lastBeatMs: number;
  #unansweredSinceMs: number | undefined;
  #disposed = false;

  constructor(clock: Clock, options: HeartbeatOptions, queueOf: (name: string) => Queue) {
    this.#clock = clock;
    this.#options = options;
    this.#queueOf = queueOf;
    this.#queues = new Set(options.queues);
    this.#lastBeatMs = clock.monotonic();
  }

  start(): this {
    this.#timer = this.#clock.after(this.#options.renewEveryMs, () => {
      if (this.#mayRenew()) for (const name of this.#queues) void this.#renew(name);
      if (!this.#disposed) this.start();
    });
    this.#timer.unref();
    return this;
  }

  beat(): void {
    this.#lastBeatMs = this.#clock.monotonic();
  }

  unansweredSince(monotonicMs: number | undefined): void {
    this.#unansweredSinceMs = monotonicMs;
  }

  add(queue: string): void {
    this.#queues.add(queue);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #mayRenew(): boolean {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#lastBeatMs > this.#options.stallMs) return false;
    const since = this.#unansweredSinceMs;
    return since === undefined || nowMs - since <= UNANSWERED_LEASES * this.#options.leaseMs;
  }

  async #renew(name: string): Promise<void> {
    const { incarnation, onCancellations, onLeaseGone, onRenewal } = this.#options;
    try {
      const { lease, cancellations } = await this.#queueOf(name).work.renew(incarnation);
      onRenewal(lease === 'held' ? 'ok' : 'lost');
      if (lease === 'gone') {
        this.#queues.delete(name);
        onLeaseGone(name);
      } else if (cancellations.length > 0) onCancellations(name, cancellations);
    } catch {
      onRenewal('error');
    }
  }
}
