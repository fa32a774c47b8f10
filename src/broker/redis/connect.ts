/** Connects to Redis, and refuses a server that would lose work. */
import { TidemillError } from '../../runtime/errors.ts';
import { isReplyError, meaningOf } from './reply-errors.ts';
import { systemClock, type Clock } from '../../runtime/clock.ts';
import { describeAddress, describePlace, type RedisAddress } from './client.ts';
import { Connection } from './connection.ts';
import { RedisBroker } from './redis-broker.ts';
import { checkServer } from './suitability.ts';

export interface RedisOptions extends RedisAddress {
  readonly clock?: Clock;
  /** Told what an operator should know: a version with a published hole, a missing right, … Default: nobody is. */
  readonly onWarning?: (message: string) => void;
  /** How long a call may wait for its answer, reconnecting included. Default 4 s. */
  readonly callTimeoutMs?: number;
}

/**
 * @throws TidemillError CONFIG_INVALID (URL, prefix), BROKER_UNAVAILABLE (not reached in time),
 *   BROKER_UNSUITABLE (too old, or an eviction policy that may delete waiting runs)
 */
export async function connectRedis(options: RedisOptions): Promise<RedisBroker> {
  const { clock = systemClock, onWarning = () => undefined, callTimeoutMs, ...address } = options;
  const description = describeAddress(address);
  const connection = new Connection(address, {
    clock,
    ...(callTimeoutMs === undefined ? {} : { timeoutMs: callTimeoutMs }),
  });
  try {
    const facts = await checkServer(connection, description, onWarning);
    return new RedisBroker(address, { connection, facts, clock, warn: onWarning });
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw unreached(error, describePlace(address));
  }
}

/** Nothing was asked of the queue yet, so nothing may have happened. */
function unreached(error: unknown, place: string): unknown {
  if (!(error instanceof TidemillError) || error.code !== 'BROKER_UNAVAILABLE') return error;
  const { cause } = error;
  if (isReplyError(cause)) {
    const message = `Redis at ${place} cannot be used: ${meaningOf(cause)}`;
    return new TidemillError('BROKER_UNAVAILABLE', message, { cause });
  }
  const why = cause instanceof Error ? cause.message : 'no answer in time';
  return new TidemillError('BROKER_UNAVAILABLE', `cannot reach Redis at ${place}: ${why}`, { cause });
}
