/** Runs that are enqueued all the time while something is broken, and the account of what became of them. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Queue } from '../../src/broker/broker.ts';
import type { Client } from '../../src/client/client.ts';
import { until } from '../support/until.ts';

export interface LoadOptions {
  readonly queue: string;
  /** Runs are named `PREFIX-0`, `PREFIX-1` … */
  readonly prefix: string;
  /** Bodies take one of these in turn, ms. */
  readonly durationsMs: readonly number[];
  /** Runs in each call. */
  readonly batch?: number;
  /** Between two calls. */
  readonly everyMs?: number;
}

/** What became of the runs of a load. */
export interface LoadAccount {
  readonly acknowledged: number;
  /** Enqueues whose answer was an error: whether these runs exist is not promised. */
  readonly unanswered: number;
  /** Acknowledged runs that reached no end. */
  readonly lost: number;
  /** Ends beyond one for each run. */
  readonly settledTwice: number;
  readonly failed: number;
}

export class Load {
  readonly #client: Client;
  readonly #options: LoadOptions;
  readonly #acknowledged: string[] = [];
  readonly #unanswered: string[] = [];
  readonly #stop = new AbortController();
  readonly #endsBefore: number;
  readonly #done: Promise<void>;

  private constructor(client: Client, options: LoadOptions, endsBefore: number) {
    this.#client = client;
    this.#options = options;
    this.#endsBefore = endsBefore;
    this.#done = this.#produce();
  }

  static async start(client: Client, queue: Queue, options: LoadOptions): Promise<Load> {
    return new Load(client, options, await endsOf(queue));
  }

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  /** Counts a run that somebody else enqueued meanwhile, to the same queue. */
  include(id: string): void {
    this.#acknowledged.push(id);
  }

  /** Stops enqueuing, waits until the queue is empty, and counts. */
  async account(queue: Queue, deadlineMs: number): Promise<LoadAccount> {
    this.#stop.abort();
    await this.#done;
    await drained(queue, deadlineMs);
    const ids = [...this.#acknowledged, ...this.#unanswered];
    const records = await Promise.all(ids.map((id) => this.#client.get(id, { queue: this.#options.queue })));
    const isEnded = records.map((record) => record?.endedAtMs !== undefined);
    const ended = isEnded.filter(Boolean).length;
    return {
      acknowledged: this.#acknowledged.length,
      unanswered: this.#unanswered.length,
      lost: isEnded.slice(0, this.#acknowledged.length).filter((is) => !is).length,
      settledTwice: (await endsOf(queue)) - this.#endsBefore - ended,
      failed: records.filter((record) => record?.state === 'failed').length,
    };
  }

  async #produce(): Promise<void> {
    const { queue, prefix, durationsMs, batch = 5, everyMs = 100 } = this.#options;
    let next = 0;
    while (!this.#stop.signal.aborted) {
      const items = Array.from({ length: batch }, (_, index) => ({
        id: `${prefix}-${next + index}`,
        params: { ms: durationsMs[(next + index) % durationsMs.length] },
        queue,
      }));
      next += batch;
      const ids = items.map(({ id }) => id);
      try {
        await this.#client.enqueueMany('work', items);
        this.#acknowledged.push(...ids);
      } catch {
        this.#unanswered.push(...ids);
      }
      await delay(everyMs);
    }
  }
}

/** Waits until nothing waits and nothing runs. */
export async function drained(queue: Queue, deadlineMs: number): Promise<void> {
  let seen = '';
  await until(
    'the queue is drained',
    async () => {
      const { pending, delayed, running } = await queue.inspect.stats();
      seen = `pending ${pending}, delayed ${delayed}, running ${running}`;
      return pending + delayed + running === 0;
    },
    { deadlineMs, describe: () => seen },
  );
}

/** Each end of a run is one entry in the retention lists. */
export async function endsOf(queue: Queue): Promise<number> {
  const { retainedSucceeded, retainedFailed } = await queue.inspect.stats();
  return retainedSucceeded + retainedFailed;
}
