/** Waiting for runs to end: one after another costs what one does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { claim, register, request, settlements } from './work.ts';

async function connectionsReceived(server: RedisServer): Promise<number> {
  const stats = await server.command('INFO', 'stats');
  return Number(/total_connections_received:(\d+)/.exec(stats)?.[1]);
}

test('waits that follow each other share one connection, and none is answered late', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const endOf = async (id: string): Promise<void> => {
    await queue.runs.enqueue([request(id)]);
    const ended = queue.runs.waitForEnd(id, { timeoutMs: 30_000 });
    const runs = await claim(queue, 'one');
    await queue.work.cycle({ incarnation: 'one', settle: settlements(runs) });
    const record = await ended;
    assert.ok(record !== undefined && record !== 'not-found');
    assert.equal(record.state, 'succeeded');
  };
  await endOf('first');
  const before = await connectionsReceived(server);
  const startMs = performance.now();
  for (let count = 0; count < 10; count += 1) await endOf(`run-${count}`);
  assert.ok(performance.now() - startMs < 2_000);
  // The one more is that of the question.
  assert.equal((await connectionsReceived(server)) - before, 1);
});
