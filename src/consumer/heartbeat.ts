/** Keeps the leases of this consumer alive on all its queues, and passes on what the renewals bring. */
import type { Broker, Cancellation, Heartbeat } from '../broker/broker.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { newIncarnation } from '../task/ids.ts';
import type { Log } from '../telemetry/log.ts';

/** Registrations of several queues that follow each other at start share one heartbeat. */
const GATHER_MS = 20;

export interface LeaseTimes {
  readonly leaseMs: number;
  readonly renewEveryMs: number;
  readonly stallMs: number;
}

export interface HeartbeatKeeperOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly log: Log;
  readonly times: LeaseTimes;
  readonly onCancellations: (queue: string, cancellations: readonly Cancellation[]) => void;
  readonly onLeaseGone: (queue: string, incarnation: string) => void;
  readonly onRenewal: (result: 'ok' | 'lost' | 'error') => void;
}

/** The queues that one incarnation is registered in, and the heartbeat that renews them. */
interface Group {
  readonly queues: Set<string>;
  heartbeat: Heartbeat | undefined;
}

/**
 * A queue whose lease is gone goes on under a new incarnation, the others keep theirs: so there is one heartbeat for
 * each incarnation in use, nearly always one in all.
 */
export class HeartbeatKeeper implements AsyncDisposable {
  readonly #options: HeartbeatKeeperOptions;
  readonly #groups = new Map<string, Group>();
  /** Groups that got a queue, and need a heartbeat that knows it. */
  readonly #changed = new Set<string>();
  #incarnation = newIncarnation();
  #timer: Timer | undefined;
  #unansweredMs: number | undefined;
  #disposed = false;

  constructor(options: HeartbeatKeeperOptions) {
    this.#options = options;
  }

  /** The incarnation to register with; never one that `lost` names. */
  incarnation(lost: string | undefined): string {
    if (this.#incarnation === lost) this.#incarnation = newIncarnation();
    return this.#incarnation;
  }

  /** Renews `incarnation` in `queue` from now on, and no other one there. */
  hold(queue: string, incarnation: string): void {
    for (const [other, group] of this.#groups) {
      if (other !== incarnation && group.queues.delete(queue) && group.queues.size === 0)
        this.#end(other, group);
    }
    const group = this.#groups.get(incarnation) ?? { queues: new Set<string>(), heartbeat: undefined };
    group.queues.add(queue);
    this.#groups.set(incarnation, group);
    this.#changed.add(incarnation);
    this.#timer ??= this.#options.clock.after(GATHER_MS, () => {
      this.#timer = undefined;
      this.#startChanged();
    });
  }

  /** The event loop is alive. */
  beat(): void {
    for (const { heartbeat } of this.#groups.values()) heartbeat?.beat();
  }

  /** See `Heartbeat.unansweredSince`; only changes are passed on. */
  unansweredSince(monotonicMs: number | undefined): void {
    if (monotonicMs === this.#unansweredMs) return;
    this.#unansweredMs = monotonicMs;
    for (const { heartbeat } of this.#groups.values()) heartbeat?.unansweredSince(monotonicMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    const heartbeats = [...this.#groups.values()].map(({ heartbeat }) => heartbeat);
    this.#groups.clear();
    await Promise.all(heartbeats.map((heartbeat) => this.#dispose(heartbeat)));
  }

  #startChanged(): void {
    for (const incarnation of this.#changed) {
      const group = this.#groups.get(incarnation);
      if (group === undefined || this.#disposed) continue;
      const before = group.heartbeat;
      // The new one first: between the two no renewal is missed.
      group.heartbeat = this.#start(incarnation, [...group.queues]);
      group.heartbeat.unansweredSince(this.#unansweredMs);
      group.heartbeat.beat();
      void this.#dispose(before);
    }
    this.#changed.clear();
  }

  #start(incarnation: string, queues: readonly string[]): Heartbeat {
    const { broker, times, onCancellations, onLeaseGone, onRenewal } = this.#options;
    return broker.startHeartbeat({
      incarnation,
      queues,
      ...times,
      onCancellations,
      onLeaseGone: (queue) => onLeaseGone(queue, incarnation),
      onRenewal,
    });
  }

  #end(incarnation: string, group: Group): void {
    this.#groups.delete(incarnation);
    void this.#dispose(group.heartbeat);
  }

  async #dispose(heartbeat: Heartbeat | undefined): Promise<void> {
    try {
      await heartbeat?.[Symbol.asyncDispose]();
    } catch (error) {
      this.#options.log.warn('heartbeat failed to stop', { err: error });
    }
  }
}
