/** Producers and operators: what they are told counts, and what they are not told they ask again. */
import type { Broker } from '../../src/broker/broker.ts';
import type { RunRequest } from '../../src/task/request.ts';
import type { Book } from './book.ts';
import type { SimulatedProcess } from './process.ts';
import type { SimulatedRedis } from './redis.ts';

type Ask = (queue: ReturnType<Broker['queue']>) => Promise<unknown>;

const RETRY_MS = 300;
const MOST_ATTEMPTS = 200;

export class People {
  readonly #broker: Broker;
  readonly #process: SimulatedProcess;
  readonly #redis: SimulatedRedis;
  readonly #book: Book;
  /** Ids of acknowledged runs. */
  readonly acknowledged = new Set<string>();
  #ids = 0;
  /** One switch after the other: a pause that is asked for again must not come after its end. */
  #switching: Promise<void> = Promise.resolve();

  constructor(broker: Broker, process: SimulatedProcess, redis: SimulatedRedis, book: Book) {
    this.#broker = broker;
    this.#process = process;
    this.#redis = redis;
    this.#book = book;
  }

  enqueue(task: string, count: number, more: Partial<RunRequest> = {}): void {
    const requests = Array.from({ length: count }, (): RunRequest => {
      this.#ids += 1;
      const id = `${task}-${this.#ids}`;
      return { id, task, priority: 'medium', params: '{}', options: { source: 'api' }, ...more };
    });
    void this.#try(async ({ runs }) => {
      const outcomes = await runs.enqueue(requests);
      for (const [index, { id }] of requests.entries()) if (outcomes[index] !== 'full') this.#acknowledge(id);
    });
  }

  cancel(id: string): void {
    void this.#try(({ runs }) => runs.cancel([id], 'no longer wanted'));
  }

  redrive(id: string): void {
    void this.#try(({ runs }) => runs.redrive([id]));
  }

  purge(): void {
    void this.#try(({ inspect }) => inspect.purge('purged', 1_000));
  }

  pauseTask(task: string, paused: boolean): void {
    this.#switch(({ inspect }) => inspect.setTaskPaused(task, paused));
  }

  pauseQueue(paused: boolean): void {
    this.#switch(({ inspect }) => inspect.setQueuePaused(paused));
  }

  #switch(ask: Ask): void {
    this.#switching = this.#switching.then(() => this.#try(ask));
  }

  /** An answer that comes after Redis lost what it tells of is of no use. */
  #acknowledge(id: string): void {
    this.#book.counts.acknowledged += 1;
    if (this.#redis.lineage.runs.runs.has(id)) this.acknowledged.add(id);
    else this.#book.counts.acknowledgedLost += 1;
  }

  async #try(ask: Ask): Promise<void> {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
      try {
        await ask(this.#broker.queue('default'));
        return;
      } catch {
        // The line failed: whether it was done is unknown, and asking again must do no harm.
        await this.#process.clock.sleep(RETRY_MS);
      }
    }
  }
}
