/** Reads gauges from elsewhere at scrape: bounded in time, once for simultaneous scrapes, and never in the way of the rest. */
import type { Clock, Timer } from '../runtime/clock.ts';
import type { MetricOfType } from './catalogue.ts';

/** Scrapes within this time share one reading. */
const MEMO_MS = 1_000;
/** A reading that takes longer counts as failed; Prometheus gives a scrape 10 s in all. */
const TIMEOUT_MS = 2_000;

export interface Sample {
  readonly family: MetricOfType<'gauge'>;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Collector {
  /** Value of the label `collector`. */
  readonly name: string;
  /** All that it may return samples of. */
  readonly families: readonly MetricOfType<'gauge'>[];
  collect(): Promise<readonly Sample[]>;
}

export type Reading =
  | { readonly kind: 'samples'; readonly samples: readonly Sample[] }
  /** `fresh`: this reading was made for this scrape, so it is the one to report. */
  | { readonly kind: 'failed'; readonly error: unknown; readonly fresh: boolean };

/** One collector and its last reading. */
export class Collection {
  readonly collector: Collector;
  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  #pending: Promise<Reading> | undefined;
  #last: { readonly reading: Reading; readonly atMs: number } | undefined;

  constructor(collector: Collector, clock: Pick<Clock, 'monotonic' | 'after'>) {
    this.collector = collector;
    this.#clock = clock;
  }

  /** Never rejects. */
  async read(): Promise<Reading> {
    if (this.#last !== undefined && this.#clock.monotonic() - this.#last.atMs < MEMO_MS) {
      const { reading } = this.#last;
      return reading.kind === 'failed' ? { ...reading, fresh: false } : reading;
    }
    // A source that hangs is asked once, however often we are scraped.
    this.#pending ??= this.#start();
    return this.#withTimeout(this.#pending);
  }

  async #start(): Promise<Reading> {
    let reading: Reading;
    try {
      reading = { kind: 'samples', samples: await this.collector.collect() };
    } catch (error) {
      reading = { kind: 'failed', error, fresh: true };
    }
    this.#last = { reading, atMs: this.#clock.monotonic() };
    this.#pending = undefined;
    return reading;
  }

  async #withTimeout(pending: Promise<Reading>): Promise<Reading> {
    let timer: Timer | undefined;
    const timeout = new Promise<Reading>((resolve) => {
      const error = new Error(`no answer within ${TIMEOUT_MS} ms`);
      timer = this.#clock.after(TIMEOUT_MS, () => resolve({ kind: 'failed', error, fresh: true }));
    });
    try {
      return await Promise.race([pending, timeout]);
    } finally {
      timer?.[Symbol.dispose]();
    }
  }
}
