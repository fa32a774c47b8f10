/** What the proofs share: consumers as real processes on one Redis, a ledger of what ran, and the final account. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Broker, QueueStats } from '../../src/broker/broker.ts';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { Client } from '../../src/client/client.ts';
import { RedisServer, type ServerOptions } from '../support/redis-server.ts';
import { TidemillProcess } from '../support/tidemill-process.ts';
import { until } from '../support/until.ts';

const TASKS = join(import.meta.dirname, '../fixtures/e2e/tasks.ts');
export const QUEUE = 'default';

/** What became of a number of enqueued runs. */
export interface Account {
  readonly runs: number;
  /** Runs that reached no end. */
  readonly lost: number;
  /** Runs that ended more than once: each end is one entry in the retention lists. */
  readonly settledTwice: number;
  /** Bodies that began more often than once per run. */
  readonly extraExecutions: number;
}

export class Fleet implements AsyncDisposable {
  readonly redis: RedisServer;
  readonly broker: Broker;
  readonly client: Client;
  readonly ledger: string;
  readonly #folder: string;
  readonly #processes = new Set<TidemillProcess>();

  private constructor(redis: RedisServer, broker: Broker, folder: string) {
    this.redis = redis;
    this.broker = broker;
    this.client = new Client(broker);
    this.#folder = folder;
    this.ledger = join(folder, 'ledger');
    writeFileSync(this.ledger, '');
  }

  static async start(options: ServerOptions = {}): Promise<Fleet> {
    const redis = await RedisServer.start(options);
    const broker = await connectRedis({ url: redis.url });
    return new Fleet(redis, broker, mkdtempSync(join(tmpdir(), 'tidemill-e2e-')));
  }

  /** A consumer that has its lease. */
  async consumer(...flags: readonly string[]): Promise<TidemillProcess> {
    const args = ['consumer', '--tasks', TASKS, '--redis', this.redis.url, '--http-port', '0', ...flags];
    const consumer = new TidemillProcess(args, { TEST_LEDGER: this.ledger });
    this.#processes.add(consumer);
    await until('the consumer is registered', async () => {
      if (!consumer.running) throw new Error(`the consumer ended:\n${consumer.lines.join('\n')}`);
      const registered = await this.broker.queue(QUEUE).inspect.consumers();
      return registered.some(({ pid }) => pid === consumer.pid);
    });
    return consumer;
  }

  stats(): Promise<QueueStats> {
    return this.broker.queue(QUEUE).inspect.stats();
  }

  /** Enqueues runs with ids of the test's own. */
  async enqueue(
    task: string,
    count: number,
    params: Readonly<Record<string, unknown>>,
    from = 0,
  ): Promise<readonly string[]> {
    const items = Array.from({ length: count }, (_, index) => ({ id: `${task}-${from + index}`, params }));
    return (await this.client.enqueueMany(task, items)).map(({ id }) => id);
  }

  /** Waits until nothing waits or runs, then counts. */
  async account(ids: readonly string[], deadlineMs: number): Promise<Account> {
    await until(
      'the queue is drained',
      async () => {
        const { pending, delayed, running } = await this.stats().catch(() => ({
          pending: 1,
          delayed: 0,
          running: 0,
        }));
        return pending + delayed + running === 0;
      },
      { deadlineMs },
    );
    const records = await Promise.all(ids.map((id) => this.client.get(id, { queue: QUEUE })));
    const ended = records.filter((record) => record?.endedAtMs !== undefined).length;
    const { retainedSucceeded, retainedFailed } = await this.stats();
    return {
      runs: ids.length,
      lost: ids.length - ended,
      settledTwice: retainedSucceeded + retainedFailed - ended,
      extraExecutions: this.executions() - ids.length,
    };
  }

  /** Runs that consumers gave back for dead ones, as their logs say. */
  givenBack(): number {
    const lines = [...this.#processes].flatMap((process) => process.lines);
    return lines.reduce((sum, line) => sum + Number(/"returned":(\d+).*given back/.exec(line)?.[1] ?? 0), 0);
  }

  /** Bodies that began, over all processes. */
  executions(): number {
    return readFileSync(this.ledger, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('begin ')).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
    await this.redis[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
