/** A producer that goes on: batch after batch, each repeated under its ids until it is acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../src/client/client.ts';
import { TidemillError } from '../../src/runtime/errors.ts';

const REPEAT_AFTER_MS = 50;
const PAUSE_MS = 10;
/** What was acknowledged this long around the loss of a master may be gone with it. */
export const EXPOSED_MS = 1_500;

export interface StreamOptions {
  readonly batch?: number;
  /** Codes of errors after which a batch is sent again; any other ends the stream. */
  readonly repeats?: readonly TidemillError['code'][];
}

export class Stream {
  readonly #ids: string[] = [];
  readonly #client: Client;
  readonly #task: string;
  readonly #params: Readonly<Record<string, unknown>>;
  readonly #batch: number;
  readonly #repeats: readonly TidemillError['code'][];
  readonly #ended: Promise<void>;
  #stopped = false;
  #ackedAtMs = performance.now();
  /** Calls that failed, and the longest that one took to say so, ms. */
  failed = 0;
  slowestFailureMs = 0;
  /** Answers that the run had been enqueued before. */
  duplicates = 0;
  /** Longest time without an acknowledgement, ms. */
  longestGapMs = 0;
  lastError: TidemillError | undefined;
  /** What the failures said. */
  readonly said = new Set<string>();

  constructor(
    client: Client,
    task: string,
    params: Readonly<Record<string, unknown>>,
    { batch = 10, repeats = ['BROKER_UNAVAILABLE'] }: StreamOptions = {},
  ) {
    this.#client = client;
    this.#task = task;
    this.#params = params;
    this.#batch = batch;
    this.#repeats = repeats;
    this.#ended = this.#run();
    // Whoever stops the stream hears of it; until then it is no unhandled rejection.
    this.#ended.catch(() => undefined);
  }

  get acknowledged(): number {
    return this.#ids.length;
  }

  /** @returns ids of all runs that were acknowledged */
  async stop(): Promise<readonly string[]> {
    this.#stopped = true;
    await this.#ended;
    return this.#ids;
  }

  async #run(): Promise<void> {
    for (let batch = 0; !this.#stopped; batch += 1) {
      const items = Array.from({ length: this.#batch }, (_, index) => ({
        id: `stream-${batch}-${index}`,
        params: this.#params,
      }));
      await this.#acknowledge(items);
      this.#ids.push(...items.map(({ id }) => id));
      await sleep(PAUSE_MS);
    }
  }

  async #acknowledge(items: readonly { readonly id: string; readonly params: unknown }[]): Promise<void> {
    while (true) {
      const sentAt = performance.now();
      try {
        const answers = await this.#client.enqueueMany(this.#task, [...items]);
        this.duplicates += answers.filter(({ outcome }) => outcome === 'duplicate').length;
        this.longestGapMs = Math.max(this.longestGapMs, Math.round(performance.now() - this.#ackedAtMs));
        this.#ackedAtMs = performance.now();
        return;
      } catch (error) {
        if (!(error instanceof TidemillError) || !this.#repeats.includes(error.code)) throw error;
        this.failed += 1;
        this.lastError = error;
        this.said.add(`${error.message} ${String(error.cause)}`);
        this.slowestFailureMs = Math.max(this.slowestFailureMs, Math.round(performance.now() - sentAt));
        await sleep(REPEAT_AFTER_MS);
      }
    }
  }
}
