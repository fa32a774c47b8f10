/** Works on every queue that is used, also on those that turn up later: in `dev` nobody should have to name queues. */
import type { Broker } from '../../broker/broker.ts';
import type { Consumer } from '../../consumer/consumer.ts';
import type { Clock } from '../../runtime/clock.ts';
import { DEFAULT_QUEUE } from '../../task/names.ts';

const LOOK_EVERY_MS = 500;

export interface QueueFollowerOptions {
  readonly broker: Broker;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly makeConsumer: (queues: readonly string[]) => Consumer;
}

export class QueueFollower {
  readonly #options: QueueFollowerOptions;
  readonly #consumers = new Map<string, { readonly consumer: Consumer; readonly end: Promise<unknown> }>();

  constructor(options: QueueFollowerOptions) {
    this.#options = options;
  }

  get consumers(): readonly Consumer[] {
    return [...this.#consumers.values()].map(({ consumer }) => consumer);
  }

  get running(): number {
    return this.consumers.reduce((sum, { running }) => sum + running, 0);
  }

  /** Resolves when the signal has aborted and every run has ended or was given back. */
  async run(signal: AbortSignal): Promise<void> {
    const { broker, clock } = this.#options;
    while (!signal.aborted) {
      for (const queue of new Set([DEFAULT_QUEUE, ...(await broker.queueNames())]))
        this.#follow(queue, signal);
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
    await Promise.all([...this.#consumers.values()].map(({ end }) => end));
  }

  #follow(queue: string, signal: AbortSignal): void {
    if (this.#consumers.has(queue)) return;
    const consumer = this.#options.makeConsumer([queue]);
    this.#consumers.set(queue, { consumer, end: consumer.run(signal) });
  }
}
