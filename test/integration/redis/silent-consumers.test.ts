/** Consumers that died without a word, with nobody left to end them: what they published counts as gone after a minute. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Broker, DEFAULT_LEASE_MS, SILENT_CONSUMER_MS } from '../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { register } from './work.ts';

const livesOf = async (broker: Broker): Promise<readonly boolean[]> =>
  (await broker.queue('default').inspect.manifests()).map(({ live }) => live);

test('on Redis', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const endLeaseAgo = (ms: number): Promise<string> =>
    server.command('ZADD', 'tidemill:{default}:leases', String(Date.now() - ms), 'one');
  await endLeaseAgo(SILENT_CONSUMER_MS - 5_000);
  assert.deepEqual(await livesOf(broker), [true]);
  await endLeaseAgo(SILENT_CONSUMER_MS + 1);
  assert.deepEqual(await livesOf(broker), [false]);
  await queue.work.renew('one');
  assert.deepEqual(await livesOf(broker), [true]);
});

test('in memory', async () => {
  const clock = new VirtualClock(0);
  await using broker = createMemoryBroker({ clock });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await clock.advanceTo(DEFAULT_LEASE_MS + SILENT_CONSUMER_MS - 1);
  assert.deepEqual(await livesOf(broker), [true]);
  await clock.advanceTo(DEFAULT_LEASE_MS + SILENT_CONSUMER_MS);
  assert.deepEqual(await livesOf(broker), [false]);
  await queue.work.renew('one');
  assert.deepEqual(await livesOf(broker), [true]);
});
