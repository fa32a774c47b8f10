/** The broker keeps the contract on every server that this machine has. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { RedisServer } from '../support/redis-server.ts';
import { findServers } from '../support/servers.ts';
import { describeBroker } from './suite.ts';

const { servers, missing } = findServers();
assert.deepEqual(missing, [], 'the contract is proved on Redis and on Valkey');

for (const { name, version, binary } of servers) {
  let server: RedisServer;
  before(async () => {
    server = await RedisServer.start({ binary });
  });
  after(() => server[Symbol.asyncDispose]());

  describeBroker(`broker on ${name} ${version}`, async () => {
    await server.flushAll();
    const broker = await connectRedis({ url: server.url });
    return {
      broker,
      // A timer may fire within the millisecond before, by the clock of another process.
      passTime: (ms) => sleep(ms + 1),
      [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
    };
  });
}
