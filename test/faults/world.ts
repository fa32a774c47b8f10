/** What the rows share: a Redis of their own, real processes of one build, a ledger of what ran, and the final account. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Broker, ConsumerInfo, QueueStats } from '../../src/broker/broker.ts';
import { connectRedis, type RedisOptions } from '../../src/broker/redis/connect.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { Client } from '../../src/client/client.ts';
import { fileUid } from '../../src/controller/file-generation.ts';
import type { BuildCopy } from '../support/build-copy.ts';
import { RedisServer, type ServerOptions } from '../support/redis-server.ts';
import { slotAccount, sumOf, type SlotAccount } from '../support/slot-account.ts';
import { TidemillProcess } from '../support/tidemill-process.ts';
import { until } from '../support/until.ts';

export const QUEUE = 'default';
export const NAMESPACE = 'faults';
const TASKS = join(import.meta.dirname, '../fixtures/faults/tasks.ts');
const LOOKUPS_AT_ONCE = 500;
const STARTS = 3;
/** More than a row leaves behind, so that each end can be counted. */
const RETAINED = ['--retain-succeeded-bytes', '4GiB', '--retain-failed-bytes', '4GiB'];

export interface Account {
  readonly runs: number;
  readonly lost: number;
  readonly settledTwice: number;
  readonly extraExecutions: number;
}

export interface ProcessOptions {
  readonly url?: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly build?: BuildCopy;
  /** Of a consumer. */
  readonly queue?: string;
}

/** Looks at each, some hundred at a time. */
export async function inChunks<T>(
  ids: readonly string[],
  look: (id: string) => Promise<T>,
): Promise<readonly T[]> {
  const found: T[] = [];
  for (let start = 0; start < ids.length; start += LOOKUPS_AT_ONCE)
    found.push(...(await Promise.all(ids.slice(start, start + LOOKUPS_AT_ONCE).map(look))));
  return found;
}

class NotReached extends Error {}

/** Fails when the process has ended; as `NotReached` when it says that another try may help. */
async function refuseEnded(process: TidemillProcess): Promise<void> {
  if (process.running) return;
  const { code } = await process.exited;
  const told = `the process ended with ${code}:\n${process.lines.join('\n')}`;
  throw code === EXIT.unavailable ? new NotReached(told) : new Error(told);
}

/** On a machine where many processes start at once, one may not reach Redis in time: Kubernetes would start it again, too. */
async function startedOf(start: () => Promise<TidemillProcess>): Promise<TidemillProcess> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof NotReached) || attempt === STARTS) throw error;
    }
  }
}

export class World implements AsyncDisposable {
  readonly redis: RedisServer;
  readonly broker: Broker;
  readonly client: Client;
  readonly ledger: string;
  readonly folder: string;
  readonly #build: BuildCopy;
  readonly #processes = new Set<TidemillProcess>();

  private constructor(redis: RedisServer, broker: Broker, build: BuildCopy) {
    this.redis = redis;
    this.broker = broker;
    this.client = new Client(broker);
    this.#build = build;
    this.folder = mkdtempSync(join(tmpdir(), 'tidemill-faults-'));
    this.ledger = join(this.folder, 'ledger');
    writeFileSync(this.ledger, '');
  }

  static async start(build: BuildCopy, options: ServerOptions = {}): Promise<World> {
    return World.on(await RedisServer.start(options), build);
  }

  /** On a server that was started by the row; it ends with this world. */
  static async on(redis: RedisServer, build: BuildCopy, address?: RedisOptions): Promise<World> {
    return new World(redis, await connectRedis(address ?? { url: redis.url }), build);
  }

  /** A process of the build; it ends with this world at the latest. */
  process(command: string, args: readonly string[], options: ProcessOptions = {}): TidemillProcess {
    const { url = this.redis.url, flags = [], env = {}, build = this.#build } = options;
    const started = new TidemillProcess(
      [command, ...args, '--redis', url, '--http-host', '127.0.0.1', '--http-port', '0', ...flags],
      { TEST_LEDGER: this.ledger, ...env },
      build.entry,
    );
    this.#processes.add(started);
    return started;
  }

  /** A consumer that need not be registered yet. */
  startConsumer(options: ProcessOptions = {}): TidemillProcess {
    const { queue = QUEUE } = options;
    return this.process('consumer', ['--tasks', TASKS, '--queue', queue, ...RETAINED], options);
  }

  /** A consumer that is registered. */
  consumer(options: ProcessOptions = {}): Promise<TidemillProcess> {
    const { queue = QUEUE } = options;
    return startedOf(async () => {
      const consumer = this.startConsumer(options);
      await until(
        'the consumer is registered',
        async () => {
          await refuseEnded(consumer);
          return (await this.consumers(queue).catch(() => [])).some(({ pid }) => pid === consumer.pid);
        },
        { deadlineMs: 60_000 },
      );
      return consumer;
    });
  }

  /** A scheduler of the manifests in the folder; it need not lead. */
  scheduler(folder: string, options: ProcessOptions = {}): Promise<TidemillProcess> {
    return startedOf(async () => {
      const scheduler = this.process('scheduler', [folder, '--namespace', NAMESPACE], options);
      await until(
        'the scheduler has started',
        async () => {
          await refuseEnded(scheduler);
          return scheduler.lines.some((line) => line.includes('scheduler started'));
        },
        { deadlineMs: 60_000 },
      );
      return scheduler;
    });
  }

  /** Writes one object for each schedule; returns the folder. */
  schedules(name: string, objects: readonly (readonly [name: string, spec: string])[]): string {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const texts = objects.map(
      ([object, spec]) =>
        `apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata: { name: ${object} }\nspec: { ${spec} }\n`,
    );
    writeFileSync(join(folder, 'schedules.yaml'), texts.join('---\n'));
    return folder;
  }

  uid(name: string): string {
    return fileUid('default', NAMESPACE, name);
  }

  /** Waits until each schedule is decided through the instant. */
  async decided(uids: readonly string[], throughMs: number, deadlineMs = 60_000): Promise<void> {
    let seen = '';
    await until(
      `slots are decided through ${new Date(throughMs).toISOString()}`,
      async () => {
        const states = await this.broker
          .queue(QUEUE)
          .schedules.states(uids)
          .catch(() => []);
        seen = JSON.stringify(states);
        return states.length > 0 && states.every((state) => (state?.watermarkMs ?? 0) >= throughMs);
      },
      { deadlineMs, describe: () => `${seen}\n${this.#said()}` },
    );
  }

  /** The last words of each process, for whoever reads a failure. */
  #said(): string {
    return [...this.#processes]
      .map(
        ({ pid, running, lines }) =>
          `${pid} ${running ? 'runs' : 'has ended'}\n${lines.slice(-20).join('\n')}`,
      )
      .join('\n');
  }

  async slots(
    schedules: readonly (readonly [uid: string, every: string])[],
    span: { readonly fromMs: number; readonly untilMs: number },
  ): Promise<SlotAccount> {
    const queue = this.broker.queue(QUEUE);
    return sumOf(await Promise.all(schedules.map(([uid, every]) => slotAccount(queue, uid, every, span))));
  }

  stats(queue = QUEUE): Promise<QueueStats> {
    return this.broker.queue(queue).inspect.stats();
  }

  consumers(queue = QUEUE): Promise<readonly ConsumerInfo[]> {
    return this.broker.queue(queue).inspect.consumers();
  }

  /** Enqueues runs under ids of the row's own. */
  async enqueue(
    task: string,
    count: number,
    params: Readonly<Record<string, unknown>> = {},
    from = 0,
  ): Promise<readonly string[]> {
    const items = Array.from({ length: count }, (_, index) => ({ id: `${task}-${from + index}`, params }));
    return (await this.client.enqueueMany(task, items)).map(({ id }) => id);
  }

  /** Waits until nothing waits or runs. */
  async drained(deadlineMs: number): Promise<void> {
    let left = '';
    await until(
      'the queue is drained',
      async () => {
        const stats = await this.stats().catch(() => undefined);
        if (stats === undefined) return false;
        left = JSON.stringify(stats);
        return stats.pending + stats.delayed + stats.running === 0;
      },
      { deadlineMs, describe: () => left },
    );
  }

  /** Of acknowledged runs: how many the queue does not know, or never ended. */
  async lost(ids: readonly string[]): Promise<number> {
    const { runs } = this.broker.queue(QUEUE);
    const records = await inChunks(ids, (id) => runs.get(id));
    return records.filter((record) => record?.endedAtMs === undefined).length;
  }

  /** When nothing waits or runs any more: what became of the runs. */
  async account(ids: readonly string[], deadlineMs = 120_000): Promise<Account> {
    await this.drained(deadlineMs);
    const lost = await this.lost(ids);
    const { retainedSucceeded, retainedFailed } = await this.stats();
    return {
      runs: ids.length,
      lost,
      settledTwice: retainedSucceeded + retainedFailed - (ids.length - lost),
      extraExecutions: this.executions() - ids.length,
    };
  }

  /** Bodies that began, over all processes. */
  executions(): number {
    return this.begun().length;
  }

  /** Ids of the runs whose bodies began, as often as they did. */
  begun(): readonly string[] {
    return readFileSync(this.ledger, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('begin '))
      .map((line) => line.split(' ')[1] ?? '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
    await this.redis[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Kills a consumer and waits until the queue has taken back what it held. @returns how long that took */
export async function killAndRecover(world: World, victim: TidemillProcess): Promise<number> {
  const { pid } = victim;
  victim.signal('SIGKILL');
  const killedAt = performance.now();
  await victim.exited;
  await until('the dead consumer is ended', async () => {
    const consumers = await world.consumers().catch(() => undefined);
    return consumers !== undefined && !consumers.some((consumer) => consumer.pid === pid);
  });
  return Math.round(performance.now() - killedAt);
}

/** Where a process serves its probes. */
export async function httpOf(process: TidemillProcess): Promise<string> {
  const [, url] = /"http":"(http:[^"]+)"/.exec(await process.line(/"http":"http:/)) ?? [];
  assert.ok(url !== undefined);
  return url;
}
