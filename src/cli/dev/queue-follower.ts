/** Works on every queue that is used, also on those that turn up later: in `dev` nobody should have to name queues. */
import type { Broker } from '../../broker/broker.ts';
import type { Consumer } from '../../consumer/consumer.ts';
import type { Clock } from '../../runtime/clock.ts';
import { DEFAULT_QUEUE } from '../../task/names.ts';
import type { Log } from '../../telemetry/log.ts';

const LOOK_EVERY_MS = 500;

export interface QueueFollowerOptions {
  readonly broker: Pick<Broker, 'queueNames'>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
  readonly makeConsumer: (queues: readonly string[]) => Consumer;
}

export class QueueFollower {
  readonly #options: QueueFollowerOptions;
  readonly #consumers = new Map<string, Consumer>();

  constructor(options: QueueFollowerOptions) {
    this.#options = options;
  }

  get consumers(): readonly Consumer[] {
    return [...this.#consumers.values()];
  }

  get running(): number {
    return this.consumers.reduce((sum, { running }) => sum + running, 0);
  }

  /**
   * Resolves when the signal has aborted and every run has ended or was given back.
   * @throws what ended a consumer for good, after the others have ended as well
   */
  async run(signal: AbortSignal): Promise<void> {
    const { broker, clock } = this.#options;
    const failed = new AbortController();
    const until = AbortSignal.any([signal, failed.signal]);
    const followed = new Map<string, Promise<void>>();
    while (!until.aborted) {
      for (const queue of [DEFAULT_QUEUE, ...(await broker.queueNames())])
        if (!followed.has(queue)) followed.set(queue, this.#follow(queue, until, failed));
      await clock.sleep(LOOK_EVERY_MS, until);
    }
    for (const end of await Promise.allSettled(followed.values()))
      if (end.status === 'rejected') throw end.reason;
  }

  /** A failure of one queue ends the others as well; the promise keeps it for the caller. */
  #follow(queue: string, until: AbortSignal, failed: AbortController): Promise<void> {
    const end = this.#work(queue, until);
    end.catch(() => failed.abort());
    return end;
  }

  /**
   * One consumer after the other. Where `consumer` lets Kubernetes start the process anew, a developer wants to see what
   * went wrong and to go on: bodies that ignore their signal keep their memory, and nothing else.
   */
  async #work(queue: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const consumer = this.#options.makeConsumer([queue]);
      this.#consumers.set(queue, consumer);
      const end = await consumer.run(signal);
      if (end === 'leaked-slots')
        this.#options.log.error(
          'too many runs ignore their signal and go on after their timeout: their slots are given up, and work begins anew; tidemill consumer would end with 1 here',
          { queue },
        );
    }
  }
}
