/** What an autoscaler is told comes from Redis: the same from each replica, seldom read, and with no trace of names that were made up. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Broker } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { MeasuredBroker } from '../../../src/cli/measured-broker.ts';
import { scaleReader } from '../../../src/cli/scale-reader.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { claim, register, request } from './work.ts';

const LOOK_AHEAD_MS = 30_000;

/** A replica of the controller, and what it asked Redis. */
function replica(inner: Broker) {
  const calls: string[] = [];
  const queues: string[] = [];
  const ignore = (): void => undefined;
  const measured = new MeasuredBroker(inner, new VirtualClock(), {
    ...{ answered: (call) => calls.push(call), reconnected: ignore },
    ...{ enqueued: ignore, enqueueRefused: ignore, refused: ignore },
  });
  const queue = measured.queue.bind(measured);
  measured.queue = (name) => {
    queues.push(name);
    return queue(name);
  };
  const clock = new VirtualClock();
  return { calls, queues, clock, read: scaleReader(measured, clock) };
}

describe('what an autoscaler is told', () => {
  test('is the same from each replica: what waits, runs, and is due soon', async () => {
    await using server = await RedisServer.start();
    await using first = await connectRedis({ url: server.url });
    await using second = await connectRedis({ url: server.url });
    const queue = first.queue('reports');
    await register(queue, 'consumer');
    const delayed = [request('soon', { delayMs: 20_000 }), request('later', { delayMs: 40_000 })];
    await queue.runs.enqueue([request('a'), request('b'), request('c'), ...delayed]);
    assert.equal((await claim(queue, 'consumer', 1)).length, 1);
    for (const broker of [first, second]) {
      const { oldestAgeMs, ...counts } = await replica(broker).read('reports', LOOK_AHEAD_MS);
      assert.deepEqual(counts, { queue: 'reports', waiting: 2, running: 1, delayedSoon: 1 });
      assert.ok(oldestAgeMs >= 0 && oldestAgeMs < 60_000);
      const far = await replica(broker).read('reports', 60_000);
      assert.equal(far.delayedSoon, 2);
    }
  });

  test('is nothing for a queue that was never used, and asking leaves nothing behind', async () => {
    await using server = await RedisServer.start();
    await using broker = await connectRedis({ url: server.url });
    const { read, queues, calls } = replica(broker);
    for (let index = 0; index < 1_000; index += 1) {
      const reading = await read(`made-up-${index}`, LOOK_AHEAD_MS);
      assert.deepEqual(reading, {
        ...{ queue: `made-up-${index}`, waiting: 0, running: 0, delayedSoon: 0, oldestAgeMs: 0 },
      });
    }
    assert.deepEqual(queues, [], 'the broker keeps what it makes for a queue, so it never heard of these');
    assert.deepEqual(calls, ['queueNames'], 'once a second');
    assert.match(await server.command('DBSIZE'), /^:0/);
  });

  test('is read once a second, however many ask at once, and a new queue is found', async () => {
    await using server = await RedisServer.start();
    await using broker = await connectRedis({ url: server.url });
    const { read, calls, clock } = replica(broker);
    assert.equal((await read('reports', LOOK_AHEAD_MS)).waiting, 0);
    await broker.queue('reports').runs.enqueue([request('a')]);
    await clock.advanceBy(1_001);
    const readings = await Promise.all(Array.from({ length: 50 }, () => read('reports', LOOK_AHEAD_MS)));
    assert.deepEqual(new Set(readings.map(({ waiting }) => waiting)), new Set([1]));
    await broker.queue('reports').runs.enqueue([request('b')]);
    assert.equal((await read('reports', LOOK_AHEAD_MS)).waiting, 1, 'still the reading of this second');
    await clock.advanceBy(1_001);
    assert.equal((await read('reports', LOOK_AHEAD_MS)).waiting, 2);
    assert.deepEqual(
      calls.filter((call) => call === 'stats'),
      ['stats', 'stats'],
    );
  });

  test('is a refusal at once while Redis is away, and right again when it is back', async () => {
    await using server = await RedisServer.start({ aof: true });
    await using broker = await connectRedis({ url: server.url });
    await broker.queue('reports').runs.enqueue([request('a')]);
    const { read, clock } = replica(broker);
    assert.equal((await read('reports', LOOK_AHEAD_MS)).waiting, 1);
    await server.kill();
    await until('the loss is known', () => !broker.connected);
    await clock.advanceBy(1_001);
    await assert.rejects(read('reports', LOOK_AHEAD_MS), { code: 'BROKER_UNAVAILABLE' });
    await assert.rejects(read('Bad Name', LOOK_AHEAD_MS), { code: 'QUEUE_NAME_INVALID' });
    await server.restart();
    await until('it is back', () => broker.connected);
    assert.equal((await read('reports', LOOK_AHEAD_MS)).waiting, 1);
  });
});
