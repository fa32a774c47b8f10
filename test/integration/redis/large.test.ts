/** Many at once: more values than Lua can unpack, more held runs than one recovery pass returns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { claim, numbered, register, settlements } from './work.ts';

test('a batch of 20,000 runs is enqueued, claimed, settled and cancelled without reaching Lua’s limits', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const requests = numbered('run', 20_000);
  assert.deepEqual(new Set(await queue.runs.enqueue(requests)), new Set(['enqueued']));
  const held = await claim(queue, 'one', 9_000);
  const more = held.length < 9_000 ? await claim(queue, 'one', 9_000 - held.length) : [];
  const reply = await queue.work.cycle({ incarnation: 'one', settle: settlements([...held, ...more]) });
  assert.deepEqual(new Set(reply.settled), new Set(['settled']));
  const rest = requests.map(({ id }) => id).slice(held.length + more.length);
  assert.deepEqual(new Set(await queue.runs.cancel(rest, 'enough')), new Set(['cancelled']));
  const stats = await queue.inspect.stats();
  assert.deepEqual({ pending: stats.pending, running: stats.running }, { pending: 0, running: 0 });
});

test('the held hash of a consumer is no listpack, which would be scanned for each of a few hundred runs', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  await register(broker.queue('default'), 'one');
  assert.match(await server.command('OBJECT', 'ENCODING', 'tidemill:{default}:held:one'), /hashtable/);
});

test('runs of a dead consumer come back in chunks, each once, and the scan of its held hash never stops half way', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  const leaseMs = 400;
  await register(queue, 'dead', { leaseMs });
  await queue.runs.enqueue(numbered('run', 1_900));
  const held = await claim(queue, 'dead', 1_900);
  assert.equal(held.length, 1_900);
  let returned = 0;
  let passes = 0;
  await until('all runs are back', async () => {
    const pass = await queue.work.recover();
    passes += pass.returned > 0 ? 1 : 0;
    returned += pass.returned;
    return returned >= 1_900 && !pass.more;
  });
  assert.equal(returned, 1_900);
  assert.ok(passes > 1, 'one pass must not do it all');
  const stats = await queue.inspect.stats();
  assert.deepEqual({ pending: stats.pending, running: stats.running }, { pending: 1_900, running: 0 });
  assert.equal(await server.command('KEYS', 'tidemill:{default}:fenced:*'), '*0\r\n');
});

test('numbers above 10^14 are written in full', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await server.command('HSET', 'tidemill:{default}:meta', 'tokens', '1764000000000000');
  await queue.runs.enqueue(numbered('run', 1));
  const [run] = await claim(queue, 'one');
  assert.equal(run?.token, '1764000000000001');
});

test('a record that cannot be read ends as failed; one without readable options is told apart for its consumer', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  await queue.runs.enqueue(numbered('run', 3));
  await server.command('HSET', 'tidemill:{default}:runs', 'run-0', 'garbage');
  await server.command('HSET', 'tidemill:{default}:runs', 'run-1', 'p;0;0;0;1;;;;;\n\nm:job;;\nnot json\n{}');
  const held = await claim(queue, 'one');
  assert.deepEqual(
    held.map(({ record }) => [record.id, record.options.source]),
    [
      ['run-1', 'unknown'],
      ['run-2', 'api'],
    ],
  );
  assert.equal((await queue.runs.get('run-0'))?.error?.reason, 'MalformedRecord');
});
