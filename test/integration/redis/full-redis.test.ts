/** A full Redis drains: what ends work goes on, what adds work is refused, and nothing is half done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { MeasuredBroker } from '../../../src/cli/measured-broker.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { claim, codeOf, numbered, register, request, settlements } from './work.ts';

const SMALL_BUDGETS = { retainSucceededBytes: 10_000, retainFailedBytes: 10_000 };

test('a full Redis refuses to enqueue and changes nothing, and drains to the last run', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one', { settings: SMALL_BUDGETS });
  await queue.runs.enqueue(numbered('run', 500));
  await queue.runs.enqueue(numbered('later', 10, { delayMs: 1 }));
  const held = await claim(queue, 'one', 10);

  await server.command('CONFIG', 'SET', 'maxmemory', '1');
  const before = await queue.inspect.stats();
  assert.equal(await codeOf(queue.runs.enqueue([request('new')])), 'BROKER_REFUSED');
  assert.equal(await queue.runs.get('new'), undefined);
  assert.deepEqual((await queue.inspect.stats()).pending, before.pending);

  await register(queue, 'two', { settings: SMALL_BUDGETS });
  assert.equal((await queue.work.renew('one')).lease, 'held');
  assert.deepEqual(await queue.runs.cancel(['run-499'], 'enough'), ['cancelled']);
  await queue.work.recover();
  await queue.work.promote();
  await queue.work.leave('two');
  let settle = settlements(held, {
    kind: 'retry',
    delayMs: 0,
    error: { reason: 'Error', name: 'Error', message: 'again' },
  });
  let ended = 0;
  do {
    const reply = await queue.work.cycle({ incarnation: 'one', settle, claim: { io: 100, cpu: 0 } });
    assert.equal(reply.claimError, undefined);
    settle = settlements(reply.claimed);
    ended += settle.length;
  } while (settle.length > 0);
  assert.equal(ended, 509);

  await server.command('CONFIG', 'SET', 'maxmemory', '0');
  assert.deepEqual(await queue.runs.enqueue([request('new')]), ['enqueued']);
});

test('a full Redis is told of: how little room there is, and why calls were refused', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const refusals: string[] = [];
  const ignore = (): void => undefined;
  const watched = new MeasuredBroker(broker, systemClock, {
    ...{ answered: ignore, reconnected: ignore, enqueued: ignore },
    enqueueRefused: (queue, source) => refusals.push(`${queue} is full for ${source}`),
    refused: (reason) => refusals.push(reason),
  });
  const queue = watched.queue('default');
  await register(queue, 'one', { settings: { maxPending: 1 } });
  assert.equal((await queue.inspect.stats()).maxPending, 1);
  assert.deepEqual(await queue.runs.enqueue([request('a'), request('b')]), ['enqueued', 'full']);
  assert.equal((await watched.memory())?.maxBytes, 0);

  await server.command('CONFIG', 'SET', 'maxmemory', '1000');
  const use = await watched.memory();
  assert.equal(use?.maxBytes, 1_000);
  assert.ok(use.usedBytes > 1_000);
  assert.equal(await codeOf(queue.runs.enqueue([request('c')])), 'BROKER_REFUSED');
  assert.deepEqual(refusals, ['default is full for api', 'memory']);

  await server.command('ACL', 'SETUSER', 'default', '-info');
  assert.equal(await watched.memory(), undefined, 'a user that may not read INFO does without');
});
