/** What every port of a queue on Redis is made of. */
import type { Clock } from '../../runtime/clock.ts';
import { TidemillError } from '../../runtime/errors.ts';
import type { RedisAddress, RedisClient } from './client.ts';
import type { Connection } from './connection.ts';
import { installKeys, queueKeys, type QueueKeys } from './keys.ts';
import { ScriptRunner } from './script-runner.ts';
import type { ScriptName } from './scripts.ts';

export interface QueueParts {
  readonly prefix: string;
  readonly address: RedisAddress;
  readonly connection: Connection;
  readonly clock: Clock;
  readonly warn: (message: string) => void;
}

export class QueueContext {
  readonly name: string;
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly address: RedisAddress;
  /** Tells an operator what no caller would hear of. */
  readonly warn: (message: string) => void;
  readonly #connection: Connection;
  readonly #runner: ScriptRunner;
  readonly #queuesKey: string;
  #isListed = false;
  #listing: Promise<void> | undefined;

  constructor(name: string, { prefix, address, connection, clock, warn }: QueueParts) {
    this.name = name;
    this.keys = queueKeys(prefix, name);
    this.clock = clock;
    this.address = address;
    this.warn = warn;
    this.#connection = connection;
    this.#runner = new ScriptRunner(connection);
    this.#queuesKey = installKeys(prefix).queues;
  }

  /** Runs a transition of this queue. */
  run(name: ScriptName, args: readonly string[], timeoutMs?: number): Promise<unknown> {
    return this.#runner.run(name, this.keys.meta, args, timeoutMs);
  }

  /** Reads by plain commands, where one suffices. */
  read<T>(doing: string, send: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#connection.call(doing, send);
  }

  /**
   * Enters the queue in the list of queues, before its first use by this process. The list is in another slot of a cluster,
   * so it cannot be part of a transition; a full Redis, which refuses it, must not keep work from draining.
   */
  async list(timeoutMs?: number): Promise<void> {
    if (this.#isListed) return;
    // One at a time, and all who wait go on in the order in which they came.
    this.#listing ??= this.#list(timeoutMs).finally(() => (this.#listing = undefined));
    await this.#listing;
  }

  async #list(timeoutMs: number | undefined): Promise<void> {
    try {
      await this.#connection.call(
        'list the queue',
        (client) => client.sadd(this.#queuesKey, this.name),
        timeoutMs,
      );
      this.#isListed = true;
    } catch (error) {
      if (!(error instanceof TidemillError) || error.code !== 'BROKER_REFUSED') throw error;
    }
  }
}
