/** What commands that talk to the queue share: the connection, and finding queues and runs. */
import type { Broker, Queue } from '../broker/broker.ts';
import type { RedisBroker } from '../broker/redis/redis-broker.ts';
import { TidemillError } from '../runtime/errors.ts';
import { queueOfRunId } from '../task/ids.ts';
import type { RunRecord } from '../task/run.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { redisMetrics } from '../telemetry/redis-metrics.ts';
import type { Io } from './io.ts';
import { type BrokerWatch, MeasuredBroker } from './measured-broker.ts';
import { type OptionalRedisSettings, type RedisSettings, redisAddress } from './redis-settings.ts';

/** Loaded on demand: `dev`, `run --here` and `--help` need no Redis client. */
async function connect(
  settings: RedisSettings,
  io: Io,
  onWarning?: (message: string) => void,
): Promise<RedisBroker> {
  const { connectRedis } = await import('../broker/redis/connect.ts');
  return connectRedis({
    ...redisAddress(settings, io),
    clock: io.clock,
    ...(onWarning !== undefined && { onWarning }),
  });
}

const NOT_COUNTED = { enqueued: () => undefined, enqueueRefused: () => undefined };

/** The broker of a process that runs for long: its calls are timed and its enqueues counted. */
export async function connectBroker(
  settings: RedisSettings,
  {
    io,
    log,
    metrics,
    counted = NOT_COUNTED,
  }: {
    readonly io: Io;
    readonly log: Log;
    readonly metrics: Metrics;
    /** Runs that this process enqueues. Default: someone else counts them. */
    readonly counted?: Pick<BrokerWatch, 'enqueued' | 'enqueueRefused'>;
  },
): Promise<MeasuredBroker> {
  const broker = await connect(settings, io, (message) =>
    log.warn('redis should be looked after', { advice: message }),
  );
  const redis = redisMetrics(metrics, () => broker.connected);
  return new MeasuredBroker(broker, io.clock, {
    ...redis,
    enqueued: (...run) => counted.enqueued(...run),
    enqueueRefused: (...run) => counted.enqueueRefused(...run),
  });
}

/** Connects, does the work, and closes the connection whatever happens. */
export async function withBroker<T>(
  {
    settings,
    io,
    onWarning,
  }: { readonly settings: RedisSettings; readonly io: Io; readonly onWarning?: (message: string) => void },
  work: (broker: RedisBroker) => Promise<T>,
): Promise<T> {
  await using broker = await connect(settings, io, onWarning);
  return await work(broker);
}

/**
 * The settings with a URL in them, for a part of a command that cannot do without.
 * @param instead - what could be done without Redis
 * @throws TidemillError CONFIG_INVALID
 */
export function requireRedis({ redis, ...rest }: OptionalRedisSettings, instead: string): RedisSettings {
  if (redis !== undefined) return { redis, ...rest };
  throw new TidemillError(
    'CONFIG_INVALID',
    `a Redis is needed: give --redis <url> or set TIDEMILL_REDIS_URL (or ${instead})`,
  );
}

/** The queue that was asked for, or all that were ever used. */
export async function queuesOf(broker: Broker, queue: string | undefined): Promise<readonly Queue[]> {
  const names = queue === undefined ? await broker.queueNames() : [queue];
  return names.map((name) => broker.queue(name));
}

/** The queue that holds a run: the one asked for, the one its id names, or the first of all that knows it. */
export async function findRun(
  broker: Broker,
  id: string,
  queue: string | undefined,
): Promise<{ readonly queue: Queue; readonly record: RunRecord } | undefined> {
  for (const candidate of await queuesOf(broker, queue ?? queueOfRunId(id))) {
    const record = await candidate.runs.get(id);
    if (record !== undefined) return { queue: candidate, record };
  }
  return undefined;
}

export function runNotFound(id: string): TidemillError {
  return new TidemillError(
    'RUN_NOT_FOUND',
    `no run ${JSON.stringify(id)} is known here: it never existed, or its record was dropped after its retention`,
  );
}
