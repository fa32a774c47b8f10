/** Redis frozen, killed, restarted: nothing hangs, nothing is lost, and no consumer is judged for Redis's absence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { claim, codeOf, durationMs, numbered, register, request, settlements } from './work.ts';

const LONGEST_CALL_MS = 5_000;

test('every call to a frozen Redis ends within 5 s as unavailable, and works again after the thaw', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await queue.runs.enqueue([request('a')]);
  server.freeze();
  const calls = [
    () => queue.runs.enqueue([request('b')]),
    () => queue.runs.cancel(['a'], 'why'),
    () => queue.runs.redrive(['a']),
    () => queue.runs.get('a'),
    () => register(queue, 'two'),
    () => queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 1, cpu: 0 } }),
    () => queue.work.renew('one'),
    () => queue.work.held('one'),
    () => queue.work.recover(),
    () => queue.work.promote(),
    () => queue.work.leave('two'),
    () => queue.schedules.adopted('install'),
    () => queue.inspect.stats(),
    () => broker.now(),
    () => broker.queueNames(),
    () => broker.memory(),
    () => broker.holdLock('leader', 'me', 1_000),
  ];
  const ends = await Promise.all(
    calls.map(async (call) => {
      const pending = call();
      const [code, tookMs] = await Promise.all([codeOf(pending), durationMs(pending)]);
      return { call: call.toString(), code, isInTime: tookMs <= LONGEST_CALL_MS + 500 };
    }),
  );
  assert.deepEqual(
    ends.filter(({ code, isInTime }) => code !== 'BROKER_UNAVAILABLE' || !isInTime),
    [],
  );
  assert.equal(broker.connected, false);
  server.thaw();
  await until('calls are answered again', async () => (await codeOf(broker.now())) === 'none');
  assert.equal(broker.connected, true);
  assert.equal((await queue.runs.get('a'))?.id, 'a');
});

test('a connection that nobody uses notices a frozen Redis within 15 s, and that it answers again', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  assert.equal(broker.connected, true);
  server.freeze();
  await until('the broker says that it is not connected', () => !broker.connected, { deadlineMs: 15_000 });
  server.thaw();
  await until('the broker is connected again', () => broker.connected, { deadlineMs: 15_000 });
});

test('a call in flight when Redis is killed is rejected at once, not left pending', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  server.freeze();
  const pending = codeOf(broker.now());
  const startMs = performance.now();
  await server.kill();
  assert.equal(await pending, 'BROKER_UNAVAILABLE');
  assert.ok(performance.now() - startMs < 2_000);
});

test('waiting for work ends in time although Redis is frozen or gone, and at once when it is called off', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const { wakeCursor } = await queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 1, cpu: 0 } });
  server.freeze();
  const never = new AbortController();
  assert.ok((await durationMs(queue.work.waitForWork(wakeCursor, 300, never.signal))) < 2_000);
  const calledOff = queue.work.waitForWork(wakeCursor, 5_000, never.signal);
  never.abort();
  assert.ok((await durationMs(calledOff)) < 1_000);
  await server.kill();
  assert.ok(
    (await durationMs(queue.work.waitForWork(wakeCursor, 300, new AbortController().signal))) < 2_000,
  );
});

test('Redis killed and restarted with its journal has every acknowledged run, held runs and leases included', async () => {
  await using server = await RedisServer.start({ aof: true });
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await queue.runs.enqueue(numbered('run', 200));
  const held = await claim(queue, 'one', 50);
  await server.kill();
  await server.restart();
  const reply = await until('the consumer goes on', async () => {
    try {
      return await queue.work.cycle({
        incarnation: 'one',
        settle: settlements(held),
        claim: { io: 200, cpu: 0 },
      });
    } catch {
      return undefined;
    }
  });
  assert.deepEqual(new Set(reply.settled), new Set(['settled']));
  assert.equal(reply.claimed.length, 150);
});

test('Redis away longer than the lease: the first recovery pass judges nobody', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  const leaseMs = 1_000;
  await register(queue, 'one', { leaseMs });
  await queue.runs.enqueue([request('a')]);
  const held = await claim(queue, 'one');
  await queue.work.recover();
  server.freeze();
  const frozenAtMs = performance.now();
  await until('two leases have passed', () => performance.now() - frozenAtMs > 2 * leaseMs);
  server.thaw();
  const pass = await until('a recovery pass is answered', () => queue.work.recover().catch(() => undefined));
  assert.deepEqual({ amnesty: pass.amnesty, ended: pass.ended }, { amnesty: true, ended: [] });
  const reply = await queue.work.cycle({ incarnation: 'one', settle: settlements(held) });
  assert.deepEqual(reply.settled, ['settled']);
});

test('waiting for the end of a run survives a restart of Redis', async () => {
  await using server = await RedisServer.start({ aof: true });
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await queue.runs.enqueue([request('a')]);
  const ended = queue.runs.waitForEnd('a', { timeoutMs: 30_000 });
  const held = await claim(queue, 'one');
  await server.kill();
  await server.restart();
  await until('the run is settled', async () => {
    const settle = settlements(held, { kind: 'succeeded', result: '42' });
    const reply = await queue.work.cycle({ incarnation: 'one', settle }).catch(() => undefined);
    return reply?.settled[0] === 'settled';
  });
  const record = await ended;
  assert.ok(record !== undefined && record !== 'not-found');
  assert.equal(record.result, '42');
});

test('while Redis is unreachable, waiting calls are bounded and end in time', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url, callTimeoutMs: 500 });
  await server.kill();
  const calls = Array.from({ length: 12_000 }, () => codeOf(broker.now()));
  assert.deepEqual(new Set(await Promise.all(calls)), new Set(['BROKER_UNAVAILABLE']));
});

test('a closed broker says so', async () => {
  await using server = await RedisServer.start();
  const broker = await connectRedis({ url: server.url });
  await broker[Symbol.asyncDispose]();
  assert.equal(await codeOf(broker.now()), 'BROKER_CLOSED');
});

test('a Redis that is not there is told as that when connecting, and nothing is said to have perhaps happened', async () => {
  await assert.rejects(
    connectRedis({ url: 'redis://127.0.0.1:1', callTimeoutMs: 500 }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'BROKER_UNAVAILABLE');
      assert.equal(
        error.message,
        'cannot reach Redis at redis://127.0.0.1:1/0: connect ECONNREFUSED 127.0.0.1:1',
      );
      return true;
    },
  );
});
