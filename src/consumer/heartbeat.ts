/** Keeps the leases of this consumer alive on all its queues, and passes on what the renewals bring. */
import type { Broker, Cancellation, Heartbeat } from '../broker/broker.ts';
import { newIncarnation } from '../task/ids.ts';
import type { Log } from '../telemetry/log.ts';

export interface LeaseTimes {
  readonly leaseMs: number;
  readonly renewEveryMs: number;
  readonly stallMs: number;
}

export interface HeartbeatKeeperOptions {
  readonly broker: Broker;
  readonly log: Log;
  readonly times: LeaseTimes;
  readonly onCancellations: (queue: string, cancellations: readonly Cancellation[]) => void;
  readonly onLeaseGone: (queue: string, incarnation: string) => void;
  readonly onRenewal: (result: 'ok' | 'lost' | 'error') => void;
}

/** The queues that one incarnation is registered in, and the heartbeat that renews them. */
interface Group {
  readonly queues: Set<string>;
  readonly heartbeat: Heartbeat;
}

/**
 * A queue whose lease is gone goes on under a new incarnation, the others keep theirs: so there is one heartbeat for
 * each incarnation in use, nearly always one in all.
 */
export class HeartbeatKeeper implements AsyncDisposable {
  readonly #options: HeartbeatKeeperOptions;
  readonly #groups = new Map<string, Group>();
  #incarnation = newIncarnation();
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

  /**
   * Renews `incarnation` in `queue` from now on, and no other one there. To be called before anything is claimed: a first run
   * that blocks the event loop must find its lease in the care of the heartbeat.
   */
  hold(queue: string, incarnation: string): void {
    // A registration that was answered too late.
    if (this.#disposed) return;
    for (const [other, group] of this.#groups) {
      if (other !== incarnation && group.queues.delete(queue) && group.queues.size === 0)
        this.#end(other, group);
    }
    const group = this.#groups.get(incarnation);
    if (group === undefined) this.#start(queue, incarnation);
    else if (!group.queues.has(queue)) {
      group.queues.add(queue);
      group.heartbeat.add(queue);
    }
  }

  /** The event loop is alive. */
  beat(): void {
    for (const { heartbeat } of this.#groups.values()) heartbeat.beat();
  }

  /** See `Heartbeat.unansweredSince`; only changes are passed on. */
  unansweredSince(monotonicMs: number | undefined): void {
    if (monotonicMs === this.#unansweredMs) return;
    this.#unansweredMs = monotonicMs;
    for (const { heartbeat } of this.#groups.values()) heartbeat.unansweredSince(monotonicMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const heartbeats = [...this.#groups.values()].map(({ heartbeat }) => heartbeat);
    this.#groups.clear();
    await Promise.all(heartbeats.map((heartbeat) => this.#dispose(heartbeat)));
  }

  #start(queue: string, incarnation: string): void {
    const { broker, times, onCancellations, onLeaseGone, onRenewal } = this.#options;
    const heartbeat = broker.startHeartbeat({
      incarnation,
      queues: [queue],
      ...times,
      onCancellations,
      onLeaseGone: (gone) => onLeaseGone(gone, incarnation),
      onRenewal,
    });
    heartbeat.unansweredSince(this.#unansweredMs);
    heartbeat.beat();
    this.#groups.set(incarnation, { queues: new Set([queue]), heartbeat });
  }

  #end(incarnation: string, group: Group): void {
    this.#groups.delete(incarnation);
    void this.#dispose(group.heartbeat);
  }

  async #dispose(heartbeat: Heartbeat): Promise<void> {
    try {
      await heartbeat[Symbol.asyncDispose]();
    } catch (error) {
      this.#options.log.warn('heartbeat failed to stop', { err: error });
    }
  }
}
