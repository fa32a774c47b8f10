/**
 * The event loop's side of the heartbeat: starts the thread, feeds it, and passes on what renewals bring. A thread needs a
 * moment to start (and to start again), so the event loop renews until the thread reports.
 */
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { unreachable } from '../../runtime/errors.ts';
import { ownFile } from '../../runtime/own-files.ts';
import type { ConsumerPort, Heartbeat, HeartbeatOptions } from '../broker.ts';
import type { RedisAddress } from './client.ts';
import {
  type AddedQueue,
  BEATS,
  UNANSWERED,
  type HeartbeatReport,
  type HeartbeatSetup,
} from './heartbeat-messages.ts';

const HeartbeatReportSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('renewed'),
    queue: z.string(),
    cancellations: z.array(z.object({ id: z.string(), reason: z.string() })),
  }),
  z.object({ kind: z.literal('gone'), queue: z.string() }),
  z.object({ kind: z.literal('failed'), queue: z.string() }),
]);

export interface ThreadHeartbeatNeeds {
  readonly address: RedisAddress;
  readonly clock: Clock;
  /** Renews from the event loop. */
  readonly renew: (queue: string) => ReturnType<ConsumerPort['renew']>;
  readonly onDisposed: () => void;
}

export class ThreadHeartbeat implements Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #setup: Omit<HeartbeatSetup, 'queues'>;
  readonly #queues: Set<string>;
  readonly #shared = new Int32Array(new SharedArrayBuffer(8));
  readonly #needs: ThreadHeartbeatNeeds;
  #worker: Worker;
  #restart: Timer | undefined;
  #bridge: AbortController | undefined;
  #isDisposed = false;
  #oldestUnansweredMs: number | undefined;
  #marks = 0;

  constructor(options: HeartbeatOptions, needs: ThreadHeartbeatNeeds) {
    const { incarnation, queues, leaseMs, renewEveryMs, stallMs } = options;
    this.#options = options;
    this.#needs = needs;
    this.#queues = new Set(queues);
    this.#setup = {
      address: needs.address,
      ...{ incarnation, leaseMs, renewEveryMs, stallMs },
      shared: this.#shared.buffer,
    };
    this.#worker = this.#start();
  }

  beat(): void {
    Atomics.add(this.#shared, BEATS, 1);
  }

  unansweredSince(monotonicMs: number | undefined): void {
    if (monotonicMs === this.#oldestUnansweredMs) return;
    this.#oldestUnansweredMs = monotonicMs;
    this.#marks = (this.#marks % 1_000_000) + 1;
    Atomics.store(this.#shared, UNANSWERED, monotonicMs === undefined ? 0 : this.#marks);
  }

  add(queue: string): void {
    this.#queues.add(queue);
    // A thread that is still starting reads it once it listens; one that has ended gets it with its next start.
    this.#worker.postMessage({ queue } satisfies AddedQueue);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#bridge?.abort();
    this.#restart?.[Symbol.dispose]();
    await this.#worker.terminate();
    this.#needs.onDisposed();
  }

  #start(): Worker {
    // A bundle of the client has no such file, and needs none.
    const worker = new Worker(ownFile('broker/redis/heartbeat-thread'), {
      workerData: { ...this.#setup, queues: [...this.#queues] } satisfies HeartbeatSetup,
    });
    worker.unref();
    const bridge = new AbortController();
    this.#bridge = bridge;
    void this.#renewHere(bridge.signal);
    worker.on('message', (message: unknown) => {
      bridge.abort();
      this.#receive(HeartbeatReportSchema.parse(message));
    });
    // An error is followed by the exit.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (this.#isDisposed) return;
      bridge.abort();
      for (const _queue of this.#queues) this.#options.onRenewal('error');
      this.#restart = this.#needs.clock
        .after(this.#options.renewEveryMs, () => {
          this.#worker = this.#start();
        })
        .unref();
    });
    return worker;
  }

  /** Until the thread has reported. Never rejects. */
  async #renewHere(signal: AbortSignal): Promise<void> {
    const { renewEveryMs } = this.#options;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      const reports = await Promise.all([...this.#queues].map((queue) => this.#renewOne(queue)));
      if (!isOver()) reports.forEach((report) => this.#receive(report));
      await this.#needs.clock.sleep(renewEveryMs, signal);
    }
  }

  async #renewOne(queue: string): Promise<HeartbeatReport> {
    try {
      const { lease, cancellations } = await this.#needs.renew(queue);
      return lease === 'gone'
        ? { kind: 'gone', queue }
        : { kind: 'renewed', queue, cancellations: [...cancellations] };
    } catch {
      return { kind: 'failed', queue };
    }
  }

  #receive(report: HeartbeatReport): void {
    if (this.#isDisposed) return;
    const { onRenewal, onLeaseGone, onCancellations } = this.#options;
    switch (report.kind) {
      case 'failed':
        onRenewal('error');
        break;
      case 'gone':
        // Loop and thread may both have asked; an incarnation that ended never comes back.
        if (!this.#queues.delete(report.queue)) break;
        onRenewal('lost');
        onLeaseGone(report.queue);
        break;
      case 'renewed':
        onRenewal('ok');
        if (report.cancellations.length > 0) onCancellations(report.queue, report.cancellations);
        break;
      default:
        unreachable(report);
    }
  }
}
