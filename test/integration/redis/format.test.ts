/** Queues of another version: a newer format is refused whole, one without a number or older is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { claim, codeOf, register, request } from './work.ts';

const META = 'tidemill:{default}:meta';

test('a queue of a newer format is refused by every transition, and nothing is changed', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await queue.runs.enqueue([request('a')]);
  await server.command('HSET', META, 'format', '2');
  const before = await server.command('DUMP', META);
  const calls = [
    queue.runs.enqueue([request('b')]),
    queue.runs.cancel(['a'], 'why'),
    queue.runs.redrive(['a']),
    register(queue, 'two'),
    queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 1, cpu: 0 } }),
    queue.work.renew('one'),
    queue.work.held('one'),
    queue.work.recover(),
    queue.work.promote(),
    queue.work.leave('one'),
    queue.inspect.stats(),
  ];
  assert.deepEqual(new Set(await Promise.all(calls.map(codeOf))), new Set(['BROKER_FORMAT']));
  assert.equal(await server.command('DUMP', META), before);
});

test('a queue of an older format is read', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await server.command('HSET', META, 'format', '0');
  await queue.runs.enqueue([request('a')]);
  assert.equal((await claim(queue, 'one')).length, 1);
});
