/** A broker whose calls are timed and whose enqueues are counted: metrics see what this process did, whoever called. */
import type {
  Broker,
  EnqueueOutcome,
  Heartbeat,
  HeartbeatOptions,
  MemoryUse,
  ProducerPort,
  Queue,
} from '../broker/broker.ts';
import { type RefusalReason, refusalReason } from '../broker/redis/reply-errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import type { RunRequest } from '../task/request.ts';
import type { RunSource } from '../task/run.ts';
import { WriteRefusals } from './write-refusals.ts';

export interface BrokerWatch {
  /** A call was answered, with a refusal or not. */
  answered(operation: string, durationMs: number): void;
  /** A call was answered after one that was not. */
  reconnected(): void;
  /** A run is in a queue because of this process. */
  enqueued(queue: string, task: string, source: RunSource): void;
  /** A run of this process was not taken, because the queue is full. */
  enqueueRefused(queue: string, source: RunSource): void;
  /** Redis answered a call with an error: nothing was done. */
  refused(reason: RefusalReason): void;
}

/** Calls that wait on purpose: their time says nothing about Redis. */
const WAITING: ReadonlySet<PropertyKey> = new Set(['waitForEnd', 'waitForWork', 'claimWhenWoken']);

export class MeasuredBroker implements Broker {
  readonly #broker: Broker;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #watch: BrokerWatch;
  readonly #queues = new Map<string, Queue>();
  readonly #refusals: WriteRefusals;
  #lost = false;

  constructor(broker: Broker, clock: Pick<Clock, 'monotonic'>, watch: BrokerWatch) {
    this.#broker = broker;
    this.#clock = clock;
    this.#watch = watch;
    this.#refusals = new WriteRefusals(clock);
  }

  get description(): string {
    return this.#broker.description;
  }

  get connected(): boolean {
    return this.#broker.connected;
  }

  /** Why this process cannot work although it is connected; `undefined` while it can. */
  get refusal(): string | undefined {
    return this.#refusals.reason;
  }

  get connectionEpoch(): string | undefined {
    return this.#broker.connectionEpoch;
  }

  queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const queue = this.#broker.queue(name);
    const measured: Queue = {
      name: queue.name,
      runs: this.#timed(this.#countedRuns(queue)),
      work: this.#timed(queue.work),
      schedules: this.#timed(queue.schedules),
      inspect: this.#timed(queue.inspect),
    };
    this.#queues.set(name, measured);
    return measured;
  }

  queueNames(): Promise<readonly string[]> {
    return this.#time('queueNames', () => this.#broker.queueNames());
  }

  now(): Promise<number> {
    return this.#time('now', () => this.#broker.now());
  }

  memory(): Promise<MemoryUse | undefined> {
    return this.#time('memory', () => this.#broker.memory());
  }

  startHeartbeat(options: HeartbeatOptions): Heartbeat {
    return this.#broker.startHeartbeat(options);
  }

  holdLock(name: string, holder: string, leaseMs: number): Promise<boolean> {
    return this.#time('holdLock', () => this.#broker.holdLock(name, holder, leaseMs));
  }

  releaseLock(name: string, holder: string): Promise<void> {
    return this.#time('releaseLock', () => this.#broker.releaseLock(name, holder));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker[Symbol.asyncDispose]();
  }

  /** The same port, each call of it timed. */
  #timed<P extends object>(port: P): P {
    const calls = new Map<PropertyKey, unknown>();
    return new Proxy(port, {
      get: (target, name): unknown => {
        if (calls.has(name)) return calls.get(name);
        const call: unknown = Reflect.get(target, name);
        if (typeof call !== 'function' || WAITING.has(name))
          return typeof call === 'function' ? call.bind(target) : call;
        const measured = (...args: readonly unknown[]): Promise<unknown> =>
          this.#time(String(name), () => Promise.resolve(Reflect.apply(call, target, args) as unknown));
        calls.set(name, measured);
        return measured;
      },
    });
  }

  #countedRuns({ name, runs }: Queue): ProducerPort {
    const enqueue = async (requests: readonly RunRequest[]): Promise<readonly EnqueueOutcome[]> => {
      const outcomes = await runs.enqueue(requests);
      for (const [index, { task, options }] of requests.entries()) {
        if (outcomes[index] === 'enqueued') this.#watch.enqueued(name, task, options.source);
        else if (outcomes[index] === 'full') this.#watch.enqueueRefused(name, options.source);
      }
      return outcomes;
    };
    return {
      enqueue,
      cancel: (ids, reason) => runs.cancel(ids, reason),
      redrive: (ids) => runs.redrive(ids),
      get: (id) => runs.get(id),
      waitForEnd: (id, options) => runs.waitForEnd(id, options),
    };
  }

  async #time<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const sentMs = this.#clock.monotonic();
    try {
      const answer = await call();
      this.#note(operation, sentMs);
      this.#refusals.done(operation);
      return answer;
    } catch (error) {
      if (error instanceof TidemillError && error.code === 'BROKER_UNAVAILABLE') this.#lost = true;
      else this.#note(operation, sentMs);
      this.#refusals.failed(operation, error);
      const reason = refusalReason(error);
      if (reason !== undefined) this.#watch.refused(reason);
      throw error;
    }
  }

  #note(operation: string, sentMs: number): void {
    this.#watch.answered(operation, this.#clock.monotonic() - sentMs);
    if (!this.#lost) return;
    this.#lost = false;
    this.#watch.reconnected();
  }
}
