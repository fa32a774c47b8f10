/** Answers the scale endpoint from the broker: seldom, whoever asks how often, and whatever names are made up. */
import type { Broker } from '../broker/broker.ts';
import type { ReadScale, ScaleReading } from '../http/scale.ts';
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import { checkQueueName } from '../task/names.ts';

/** Requests within this time share one reading. */
const FRESH_MS = 1_000;
/** Readings that are kept, by queue and look-ahead; the oldest goes. */
const MAX_READINGS = 200;

export function scaleReader(broker: Broker, clock: Pick<Clock, 'monotonic'>): ReadScale {
  const known = new Set<string>();
  const names = new SharedReadings<readonly string[]>(clock);
  const readings = new SharedReadings<ScaleReading>(clock);

  // A queue that was used stays one. Names that nobody used never reach the broker, which keeps what it made for each.
  const isUsed = async (queue: string): Promise<boolean> => {
    if (!known.has(queue)) for (const name of await names.get('', () => broker.queueNames())) known.add(name);
    return known.has(queue);
  };
  return async (name, lookAheadMs) => {
    const queue = checkQueueName(name);
    // An autoscaler waits 3 s for an answer, less than a call to a Redis that is away.
    if (!broker.connected)
      throw new TidemillError('BROKER_UNAVAILABLE', `queue ${queue} was not read: Redis does not answer`);
    if (!(await isUsed(queue))) return { queue, waiting: 0, running: 0, delayedSoon: 0, oldestAgeMs: 0 };
    return readings.get(`${queue} ${lookAheadMs}`, () => readQueue(broker, queue, lookAheadMs));
  };
}

async function readQueue(broker: Broker, queue: string, lookAheadMs: number): Promise<ScaleReading> {
  const { pending, running, dueSoon, oldestPendingAgeMs } = await broker
    .queue(queue)
    .inspect.stats(lookAheadMs);
  return { queue, waiting: pending, running, delayedSoon: dueSoon, oldestAgeMs: oldestPendingAgeMs };
}

/** One reading at a time for each key, kept for a second. What failed is read again. */
class SharedReadings<T> {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #made = new Map<string, { readonly reading: Promise<T>; readonly atMs: number }>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  get(key: string, read: () => Promise<T>): Promise<T> {
    const nowMs = this.#clock.monotonic();
    const made = this.#made.get(key);
    if (made !== undefined && nowMs - made.atMs < FRESH_MS) return made.reading;
    const reading = read();
    this.#made.delete(key);
    this.#made.set(key, { reading, atMs: nowMs });
    reading.catch(() => {
      if (this.#made.get(key)?.reading === reading) this.#made.delete(key);
    });
    const [oldest] = this.#made.keys();
    if (this.#made.size > MAX_READINGS && oldest !== undefined) this.#made.delete(oldest);
    return reading;
  }
}
