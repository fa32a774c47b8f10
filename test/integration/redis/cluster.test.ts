/** The same calls on a Redis Cluster: all keys of a queue are in one slot, and no script touches another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { DEFAULT_PREFIX, queueKeys } from '../../../src/broker/redis/keys.ts';
import { ClusterGroup } from '../../support/redis-cluster.ts';
import { claim, codeOf, numbered, register, request, settlements } from './work.ts';

test('a queue works on a cluster: enqueue, claim, settle, wake, wait for the end, locks and names', async () => {
  await using server = await RedisServer.start({ cluster: true });
  await until('the cluster is up', async () =>
    (await server.command('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  );
  await using broker = await connectRedis({ url: server.url, cluster: true });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const idle = await queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 10, cpu: 0 } });
  await queue.runs.enqueue(numbered('run', 10, { delayMs: 0 }));
  await queue.work.waitForWork(idle.wakeCursor, 5_000, new AbortController().signal);
  const ended = queue.runs.waitForEnd('run-0', { timeoutMs: 10_000 });
  const held = await claim(queue, 'one');
  assert.equal(held.length, 10);
  await queue.work.cycle({ incarnation: 'one', settle: settlements(held) });
  const record = await ended;
  assert.ok(record !== undefined && record !== 'not-found');
  assert.equal(record.state, 'succeeded');
  await broker.queue('other').runs.enqueue([request('a')]);
  assert.deepEqual(await broker.queueNames(), ['default', 'other']);
  assert.equal(await broker.holdLock('leader', 'me', 10_000), true);
  assert.equal(await broker.holdLock('leader', 'you', 10_000), false);
  await queue.work.recover();
  await queue.work.promote();
  await queue.work.leave('one');
});

test('while the slot of a queue is on its way, no transition runs over a part of it: it waits for the whole, or is refused', async () => {
  await using group = await ClusterGroup.start();
  await using broker = await connectRedis({ url: group.first.url, cluster: true });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await queue.runs.enqueue(numbered('before', 3));
  const slot = await group.slotOf(queueKeys(DEFAULT_PREFIX, 'default').meta);
  const refused: string[] = [];
  const moved = await group.move(slot, async (keys) => {
    // The first keys have gone and the last have not; to ask after each would take too long, as each is tried for seconds.
    if (keys > 2) return;
    assert.equal(await codeOf(queue.runs.enqueue([request(`during-${keys}`)])), 'BROKER_UNAVAILABLE');
    refused.push(`during-${keys}`);
  });
  assert.ok(moved > 3, `${moved} keys`);
  // Nothing of what was refused is there, and all that was there came with the slot.
  assert.deepEqual(await queue.runs.enqueue(refused.map((id) => request(id))), ['enqueued', 'enqueued']);
  assert.equal((await queue.inspect.stats()).pending, 5);
  assert.equal((await claim(queue, 'one')).length, 5);
});
