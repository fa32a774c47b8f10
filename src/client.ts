/**
 * `tidemill/client`: enqueue runs from any Node program (22 or newer; ESM, CommonJS or bundled).
 *
 * An acknowledged enqueue reaches exactly one end. What is not promised: that the body of a task runs only once (its run
 * id is the idempotency key), and that a Redis failover without `WAIT` keeps what was acknowledged in its window.
 */
import { connectRedis, type RedisOptions } from './broker/redis/connect.ts';
import { Client } from './client/client.ts';

export type { CancelOutcome } from './broker/broker.ts';
export type { RedisOptions } from './broker/redis/connect.ts';
export { type BulkItem, Client, QueueFullError, RunFailedError, type WaitOptions } from './client/client.ts';
export { TidemillError } from './runtime/errors.ts';
export type { RunRecord, RunState } from './task/run.ts';
export type { Enqueued, EnqueueOptions, TaskContract } from './task/types.ts';

/**
 * Connects to Redis.
 * @param url - `redis://` or `rediss://`, with user, password and database as usual
 * @throws TidemillError BROKER_UNAVAILABLE, BROKER_UNSUITABLE, CONFIG_INVALID
 */
export async function connect(url: string, options: Omit<RedisOptions, 'url'> = {}): Promise<Client> {
  return new Client(await connectRedis({ ...options, url }));
}
