/** The broker on Redis 7.0 or Valkey 7.2 and newer: one server, Sentinel or Cluster. */
import type { Clock } from '../../runtime/clock.ts';
import { checkQueueName } from '../../task/names.ts';
import type {
  Broker,
  Heartbeat,
  HeartbeatOptions,
  InspectPort,
  MemoryUse,
  ProducerPort,
  ConsumerPort,
  Queue,
  QueueSettings,
  SchedulePort,
} from '../broker.ts';
import { describeAddress, type RedisAddress } from './client.ts';
import type { Connection } from './connection.ts';
import { RedisConsumerPort, type CheckBudgets } from './consumer-port.ts';
import { ThreadHeartbeat } from './heartbeat.ts';
import { createRedisInspect } from './inspect.ts';
import { DEFAULT_PREFIX, checkPrefix, installKeys } from './keys.ts';
import { readMemory } from './memory-use.ts';
import { OutcomeReader } from './outcome-reader.ts';
import { RedisProducerPort } from './producer-port.ts';
import { QueueContext } from './queue-context.ts';
import { createRedisSchedules } from './schedules.ts';
import { asNumber, ScriptRunner } from './script-runner.ts';
import { findBudgetProblem, type ServerFacts } from './suitability.ts';
import { WakeReaders } from './wake-reader.ts';

class RedisQueue implements Queue, Disposable {
  readonly name: string;
  readonly runs: ProducerPort & Disposable;
  readonly work: ConsumerPort;
  readonly schedules: SchedulePort;
  readonly inspect: InspectPort;
  readonly #outcomes: OutcomeReader;
  readonly #wakes: WakeReaders;

  constructor(context: QueueContext, checkBudgets: CheckBudgets) {
    this.name = context.name;
    this.#outcomes = new OutcomeReader(context);
    this.#wakes = new WakeReaders(context);
    this.runs = new RedisProducerPort(context, this.#outcomes);
    this.work = new RedisConsumerPort(context, this.#wakes, checkBudgets);
    this.schedules = createRedisSchedules(context);
    this.inspect = createRedisInspect(context);
  }

  [Symbol.dispose](): void {
    this.runs[Symbol.dispose]();
    this.#outcomes[Symbol.dispose]();
    this.#wakes[Symbol.dispose]();
  }
}

export interface RedisBrokerParts {
  readonly connection: Connection;
  readonly facts: ServerFacts;
  readonly clock: Clock;
  /** Told what an operator should know. */
  readonly warn: (message: string) => void;
}

export class RedisBroker implements Broker {
  readonly description: string;
  readonly #address: RedisAddress;
  readonly #prefix: string;
  readonly #connection: Connection;
  readonly #facts: ServerFacts;
  readonly #clock: Clock;
  readonly #warn: (message: string) => void;
  readonly #queues = new Map<string, RedisQueue>();
  /** Of the queues that this process has registered in. They stay when it leaves, as do the runs that they keep. */
  readonly #settings = new Map<string, QueueSettings>();
  readonly #heartbeats = new Set<ThreadHeartbeat>();

  /** Use `connectRedis`. */
  constructor(address: RedisAddress, { connection, facts, clock, warn }: RedisBrokerParts) {
    this.#address = address;
    this.#prefix = checkPrefix(address.prefix ?? DEFAULT_PREFIX);
    this.#connection = connection;
    this.#facts = facts;
    this.#clock = clock;
    this.#warn = warn;
    this.description = describeAddress(address);
  }

  /** What the server said of itself when we connected; for `doctor`. */
  get server(): ServerFacts {
    return this.#facts;
  }

  get connected(): boolean {
    return this.#connection.isAnswering;
  }

  get connectionEpoch(): string {
    return String(this.#connection.connects);
  }

  /** @throws TidemillError QUEUE_NAME_INVALID */
  queue(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      const context = new QueueContext(checkQueueName(name), {
        ...{ prefix: this.#prefix, address: this.#address, connection: this.#connection },
        ...{ clock: this.#clock, warn: this.#warn },
      });
      queue = new RedisQueue(context, ({ settings }) => this.#checkBudgets(name, settings));
      this.#queues.set(name, queue);
    }
    return queue;
  }

  async queueNames(): Promise<readonly string[]> {
    const names = await this.#connection.call('list queues', (client) =>
      client.smembers(installKeys(this.#prefix).queues),
    );
    return names.toSorted();
  }

  async now(): Promise<number> {
    const [seconds, microseconds] = await this.#connection.call('read the time', (client) => client.time());
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
  }

  memory(): Promise<MemoryUse | undefined> {
    return readMemory(this.#connection);
  }

  startHeartbeat(options: HeartbeatOptions): Heartbeat {
    const heartbeat = new ThreadHeartbeat(options, {
      address: this.#address,
      clock: this.#clock,
      renew: (queue) => this.queue(queue).work.renew(options.incarnation),
      onDisposed: () => this.#heartbeats.delete(heartbeat),
    });
    this.#heartbeats.add(heartbeat);
    return heartbeat;
  }

  async holdLock(name: string, holder: string, leaseMs: number): Promise<boolean> {
    return asNumber(await this.#runLockScript('hold-lock', name, [holder, String(Math.ceil(leaseMs))])) === 1;
  }

  async releaseLock(name: string, holder: string): Promise<void> {
    await this.#runLockScript('release-lock', name, [holder]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#heartbeats].map((heartbeat) => heartbeat[Symbol.asyncDispose]()));
    for (const queue of this.#queues.values()) queue[Symbol.dispose]();
    await this.#connection[Symbol.asyncDispose]();
  }

  #checkBudgets(queue: string, settings: QueueSettings): string | undefined {
    const together = new Map(this.#settings).set(queue, settings);
    const problem = findBudgetProblem(this.#facts, together);
    if (problem === undefined) this.#settings.set(queue, settings);
    return problem;
  }

  #runLockScript(
    script: 'hold-lock' | 'release-lock',
    name: string,
    args: readonly string[],
  ): Promise<unknown> {
    return new ScriptRunner(this.#connection).run(script, installKeys(this.#prefix).lock(name), args);
  }
}
