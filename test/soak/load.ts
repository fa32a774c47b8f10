/** Producers of a soak: runs of every kind at a steady rate, each repeated under its id until it is acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '../../src/broker/broker.ts';
import { Client, type BulkItem } from '../../src/client/client.ts';
import { TidemillError } from '../../src/runtime/errors.ts';
import type { RandomSource } from '../support/random.ts';
import { QUEUE } from './fleet.ts';

const BATCH_EVERY_MS = 200;
const REPEAT_AFTER_MS = 250;
/** Batches that wait for their acknowledgement: beyond, nothing new is begun. */
const MOST_UNDER_WAY = 50;
const TRIGGER_EVERY_MS = 5_000;
/** One in so many runs is cancelled, wherever it is by then. */
const CANCEL_ONE_IN = 50;

type Item = BulkItem<Readonly<Record<string, unknown>>> & { readonly id: string };

interface Kind {
  readonly task: string;
  readonly share: number;
  readonly item: (id: string, random: RandomSource) => Item;
}

const priorityOf = (random: RandomSource): 'high' | 'medium' | 'low' =>
  random.pick(['high', 'medium', 'low'] as const) ?? 'medium';

const KINDS: readonly Kind[] = [
  {
    task: 'io',
    share: 0.55,
    item: (id, random) => ({
      ...{ id, params: { ms: random.between({ min: 1, max: 100 }) }, priority: priorityOf(random) },
    }),
  },
  {
    task: 'io',
    share: 0.15,
    item: (id, random) => ({
      ...{ id, params: { ms: 10 }, delay: random.between({ min: 1_000, max: 20_000 }) },
    }),
  },
  {
    task: 'flaky',
    share: 0.15,
    item: (id, random) => ({ id, params: { failures: random.between({ min: 0, max: 4 }) } }),
  },
  {
    task: 'chained',
    share: 0.1,
    item: (id) => ({ id, params: { childId: childOf(id) } }),
  },
  {
    task: 'cpu',
    share: 0.05,
    item: (id, random) => ({ id, params: { ms: random.between({ min: 20, max: 200 }) } }),
  },
];

/** Id of the run that a run of `chained` enqueues, if it gets that far. */
export function childOf(id: string): string {
  return `${id}-child`;
}

export interface LoadCounts {
  readonly acknowledged: number;
  /** Calls whose outcome was unknown, and that were repeated. */
  readonly repeated: number;
  readonly duplicates: number;
}

export class Load {
  /** Every run that was acknowledged. */
  readonly ids: string[] = [];
  /** Of them, those that enqueue a child. */
  readonly parents: string[] = [];
  /** Requests by hand that were acknowledged. */
  readonly requests: string[] = [];
  readonly #clients: readonly Client[];
  readonly #direct: Broker;
  readonly #random: RandomSource;
  readonly #rate: number;
  readonly #underWay = new Set<Promise<void>>();
  #made = 0;
  #repeated = 0;
  #duplicates = 0;

  /** @param through - brokers of the producers: on Redis itself, and on a network that fails */
  constructor(through: readonly [Broker, ...Broker[]], random: RandomSource, rate: number) {
    this.#direct = through[0];
    this.#clients = through.map((broker) => new Client(broker));
    this.#random = random;
    this.#rate = rate;
  }

  get counts(): LoadCounts {
    return {
      acknowledged: this.ids.length,
      repeated: this.#repeated,
      duplicates: this.#duplicates,
    };
  }

  /** Until the signal; then until everything that was begun is acknowledged. */
  async run(uid: string, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#enqueueAll(signal), this.#triggerAll(uid, signal)]);
    await Promise.all(this.#underWay);
  }

  async #enqueueAll(signal: AbortSignal): Promise<void> {
    const perBatch = Math.max(1, Math.round((this.#rate * BATCH_EVERY_MS) / 1_000));
    while (!signal.aborted) {
      if (this.#underWay.size < MOST_UNDER_WAY) this.#begin(perBatch);
      await pause(BATCH_EVERY_MS, signal);
    }
  }

  #begin(count: number): void {
    const byKind = Map.groupBy(Array.from({ length: count }), () => this.#draw());
    for (const [kind, drawn] of byKind) {
      const items = drawn.map(() => kind.item(`${kind.task}-${(this.#made += 1)}`, this.#random));
      const sent: Promise<void> = this.#send(kind.task, items).finally(() => this.#underWay.delete(sent));
      this.#underWay.add(sent);
    }
  }

  #draw(): Kind {
    let left = this.#random.next();
    const found = KINDS.find(({ share }) => (left -= share) < 0);
    return found ?? KINDS[0]!;
  }

  async #send(task: string, items: readonly Item[]): Promise<void> {
    const client = this.#random.pick(this.#clients) ?? this.#clients[0]!;
    const enqueued = await this.#acknowledged(() => client.enqueueMany(task, items));
    this.#duplicates += enqueued.filter(({ outcome }) => outcome === 'duplicate').length;
    const ids = items.map(({ id }) => id);
    for (const id of ids) {
      this.ids.push(id);
      if (task === 'chained') this.parents.push(id);
    }
    const unwanted = ids.filter(() => this.#random.next() < 1 / CANCEL_ONE_IN);
    for (const id of unwanted) await this.#acknowledged(() => client.cancel(id, { queue: QUEUE }));
  }

  async #triggerAll(uid: string, signal: AbortSignal): Promise<void> {
    const schedules = this.#direct.queue(QUEUE).schedules;
    while (!signal.aborted) {
      const request = `soak-${this.requests.length + 1}`;
      const outcome = await this.#acknowledged(() => schedules.request(uid, { request }));
      if (outcome === 'unknown' || outcome === 'full')
        throw new Error(`a request by hand was answered ${outcome}`);
      this.requests.push(request);
      await pause(TRIGGER_EVERY_MS, signal);
    }
  }

  /** Says it again until it is answered: while Redis is away, and after each reply that was lost. */
  async #acknowledged<T>(call: () => Promise<T>): Promise<T> {
    while (true) {
      try {
        return await call();
      } catch (error) {
        if (!isAway(error)) throw error;
        this.#repeated += 1;
        await sleep(REPEAT_AFTER_MS);
      }
    }
  }
}

/** Redis gave no answer: what was asked may have happened, or not. */
export function isAway(error: unknown): boolean {
  return error instanceof TidemillError && error.code === 'BROKER_UNAVAILABLE';
}

/** Ends early at the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
