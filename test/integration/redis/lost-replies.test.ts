/** A reply that is lost is normal: nothing is sent again blindly, and what is sent again is answered as the first time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { PRODUCER_SLOTS } from '../../../src/broker/redis/enqueue-batcher.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { claim, codeOf, numbered, register, request, settlements } from './work.ts';

/** Enough of a script call to know it by: the id of a run in its arguments, alone or in a list of ids. */
const naming = (id: string): RegExp => new RegExp(`[\\n ]${id}[\\r ]`);

test('a batch whose reply is lost with its connection is resent under its number and answered as the first time', async () => {
  await using server = await RedisServer.start();
  await using proxy = await FaultProxy.start(server.port);
  await using broker = await connectRedis({ url: proxy.url });
  const queue = broker.queue('default');
  await queue.runs.enqueue([request('warm-up')]);
  const isCut = proxy.cutAfterRequest(naming('batch-0'));
  const outcomes = await queue.runs.enqueue(numbered('batch', 10));
  await isCut;
  assert.deepEqual(
    outcomes,
    Array.from({ length: 10 }, () => 'enqueued'),
  );
  assert.equal((await queue.inspect.stats()).pending, 11);
});

test('a batch whose reply is dropped while the connection stays is resent, too', async () => {
  await using server = await RedisServer.start();
  await using proxy = await FaultProxy.start(server.port);
  await using broker = await connectRedis({ url: proxy.url });
  const queue = broker.queue('default');
  await queue.runs.enqueue([request('warm-up')]);
  proxy.dropNextReply();
  assert.deepEqual(await queue.runs.enqueue([request('a')]), ['enqueued']);
});

test('the queue keeps as many answers of a producer as it has batches under way at most', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  for (let batch = 0; batch < 20; batch += 1) await queue.runs.enqueue([request(`run-${batch}`)]);
  const keys = await server.command('KEYS', 'tidemill:{default}:producer:*');
  const key = /tidemill\S+/.exec(keys)?.[0] ?? '';
  assert.equal(await server.command('HLEN', key), `:${PRODUCER_SLOTS}\r\n`);
  assert.match(await server.command('PTTL', key), /^:\d{5,}/);
});

test('a settle whose reply is lost is not sent again; sent again by its caller it is unknown, and the run ended once', async () => {
  await using server = await RedisServer.start();
  await using proxy = await FaultProxy.start(server.port);
  await using broker = await connectRedis({ url: proxy.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await queue.runs.enqueue([request('a'), request('b')]);
  const held = await claim(queue, 'one', 1);
  const isCut = proxy.cutAfterRequest(naming('a'));
  const settle = settlements(held, { kind: 'succeeded', result: '1' });
  assert.equal(await codeOf(queue.work.cycle({ incarnation: 'one', settle })), 'BROKER_UNAVAILABLE');
  await isCut;
  const again = await queue.work.cycle({
    incarnation: 'one',
    settle: settlements(held, { kind: 'failed', error: FAILURE }),
  });
  assert.deepEqual(again.settled, ['unknown']);
  assert.equal((await queue.runs.get('a'))?.state, 'succeeded');
});

test('runs of a claim whose reply was lost are found by comparing with what Redis says is held', async () => {
  await using server = await RedisServer.start();
  await using proxy = await FaultProxy.start(server.port);
  await using broker = await connectRedis({ url: proxy.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  // The server must know the script, or it would be that answer which is lost.
  assert.equal((await claim(queue, 'one')).length, 0);
  await queue.runs.enqueue(numbered('run', 5));
  const isCut = proxy.cutAfterRequest(naming('one'));
  assert.equal(await codeOf(claim(queue, 'one')), 'BROKER_UNAVAILABLE');
  await isCut;
  const { runs } = await queue.work.held('one');
  assert.equal(runs.length, 5);
  const settle = runs.map(({ id, token }) => ({ id, token, outcome: { kind: 'released' as const } }));
  await queue.work.cycle({ incarnation: 'one', settle });
  const claimed = await claim(queue, 'one');
  assert.deepEqual(new Set(claimed.map(({ record }) => record.attempt)), new Set([1]));
  assert.equal(claimed.length, 5);
});

test('a half-open connection is given up and replaced', async () => {
  await using server = await RedisServer.start();
  await using proxy = await FaultProxy.start(server.port);
  await using broker = await connectRedis({ url: proxy.url, callTimeoutMs: 500 });
  proxy.mode = 'half-open';
  assert.equal(await codeOf(broker.now()), 'BROKER_UNAVAILABLE');
  proxy.mode = 'pass';
  await until('a new connection answers', async () => (await codeOf(broker.now())) === 'none');
});

test('a handshake whose replies are lost is given up too: calls are answered within 5 s of the heal', async () => {
  await using server = await RedisServer.start();
  await using proxy = await FaultProxy.start(server.port);
  await using broker = await connectRedis({ url: proxy.url, callTimeoutMs: 500 });
  proxy.mode = 'half-open';
  const before = proxy.requests;
  assert.equal(await codeOf(broker.now()), 'BROKER_UNAVAILABLE');
  await until('the call was followed by a handshake', () => proxy.requests >= before + 2);
  proxy.mode = 'pass';
  const healedAtMs = performance.now();
  await until('a new connection answers', async () => (await codeOf(broker.now())) === 'none');
  assert.ok(performance.now() - healedAtMs < 5_000);
});

const FAILURE = { reason: 'Error', name: 'Error', message: 'it broke' } as const;
