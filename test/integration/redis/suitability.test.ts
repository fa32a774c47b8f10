/** Connecting: a server that would lose work is refused with a sentence, and no message holds the password. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { freePort, RedisServer } from '../../support/redis-server.ts';
import { codeOf, numbered, register, request } from './work.ts';

const PASSWORD = 'a-very-secret-word';

test('an eviction policy that may delete waiting runs is refused, and named', async () => {
  await using server = await RedisServer.start({ settings: ['--maxmemory-policy', 'allkeys-lru'] });
  await assert.rejects(connectRedis({ url: server.url }), (error: { code: string; message: string }) => {
    assert.equal(error.code, 'BROKER_UNSUITABLE');
    assert.match(error.message, /maxmemory-policy: is allkeys-lru.*noeviction/);
    return true;
  });
});

test('a database that the server does not have is refused, and nothing goes to another one', async () => {
  await using server = await RedisServer.start({ settings: ['--databases', '4'] });
  await using other = await connectRedis({ url: `${server.url}/3` });
  assert.deepEqual(await other.queue('default').runs.enqueue([request('a')]), ['enqueued']);
  await assert.rejects(
    connectRedis({ url: `${server.url}/4`, callTimeoutMs: 500 }),
    (error: { code: string; message: string }) => {
      assert.equal(error.code, 'BROKER_UNAVAILABLE');
      assert.match(error.message, /does not have the database that the URL names.*DB index is out of range/);
      return true;
    },
  );
});

test('a server that comes back with fewer databases gets no call until it has the one of before', async () => {
  const settings = ['--databases', '4'];
  await using server = await RedisServer.start({ settings });
  await using broker = await connectRedis({ url: `${server.url}/3`, callTimeoutMs: 1_000 });
  await server.kill();
  settings[1] = '2';
  await server.restart();
  assert.equal(await codeOf(broker.queue('default').runs.enqueue([request('a')])), 'BROKER_UNAVAILABLE');
  assert.doesNotMatch(await server.command('INFO', 'keyspace'), /db\d/);
});

test('a user without the right to CONFIG is enough, and the eviction policy is checked all the same', async () => {
  const acl = `user worker on >${PASSWORD} ~tidemill:* +@all -config`;
  await using server = await RedisServer.start({ settings: ['--user', ...acl.split(' ').slice(1)] });
  await using broker = await connectRedis({ url: server.url, username: 'worker', password: PASSWORD });
  const queue = broker.queue('default');
  await register(queue, 'one');
  assert.deepEqual(await queue.runs.enqueue([request('a')]), ['enqueued']);
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
  assert.equal(
    await codeOf(connectRedis({ url: server.url, username: 'worker', password: PASSWORD })),
    'BROKER_UNSUITABLE',
  );
});

test('a user who may not read INFO can work, and is told what was not checked', async () => {
  const acl = `user worker on >${PASSWORD} ~tidemill:* +@all -info -config`;
  await using server = await RedisServer.start({ settings: ['--user', ...acl.split(' ').slice(1)] });
  const warnings: string[] = [];
  await using broker = await connectRedis({
    ...{ url: server.url, username: 'worker', password: PASSWORD },
    onWarning: (message) => warnings.push(message),
  });
  assert.deepEqual(await broker.queue('default').runs.enqueue([request('a')]), ['enqueued']);
  assert.match(warnings.join('\n'), /may not read INFO/);
});

test('retention budgets over half of maxmemory are refused at registration', async () => {
  await using server = await RedisServer.start({ maxMemoryBytes: 100 * 1024 * 1024 });
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  assert.equal(await codeOf(register(queue, 'one')), 'BROKER_UNSUITABLE');
  const budget = 20 * 1024 * 1024;
  await register(queue, 'one', { settings: { retainSucceededBytes: budget, retainFailedBytes: budget } });
});

test('retention budgets of all queues of a process together must fit into half of maxmemory', async () => {
  await using server = await RedisServer.start({ maxMemoryBytes: 100 * 1024 * 1024 });
  await using broker = await connectRedis({ url: server.url });
  const settings = { retainSucceededBytes: 10 * 1024 * 1024, retainFailedBytes: 10 * 1024 * 1024 };
  await register(broker.queue('first'), 'one', { settings });
  await register(broker.queue('second'), 'one', { settings });
  await assert.rejects(
    register(broker.queue('third'), 'one', { settings }),
    /retention budgets of 3 queues first, second, third sum to 62914560 bytes/,
  );
  // Registering again counts once, and a queue that was refused does not count.
  await register(broker.queue('second'), 'two', { settings });
  await register(broker.queue('first'), 'one', { settings: { ...settings, retainFailedBytes: 0 } });
  await register(broker.queue('third'), 'one', { settings: { ...settings, retainSucceededBytes: 0 } });
});

test('a server that is not there is unavailable within 5 s, with the reason', async () => {
  const port = await freePort();
  const startMs = performance.now();
  await assert.rejects(
    connectRedis({ url: `redis://:${PASSWORD}@127.0.0.1:${port}` }),
    (error: { code: string; message: string }) => {
      assert.equal(error.code, 'BROKER_UNAVAILABLE');
      assert.match(error.message, /ECONNREFUSED/);
      return true;
    },
  );
  assert.ok(performance.now() - startMs < 5_500);
});

test('no message, cause or description holds the password or a run’s params', async () => {
  await using server = await RedisServer.start();
  const texts: string[] = [];
  const note = async (call: Promise<unknown>): Promise<void> => {
    await call.catch((error: unknown) => {
      for (let each = error; each instanceof Error; each = each.cause)
        texts.push(`${each.stack}`, JSON.stringify(each));
    });
  };
  await note(connectRedis({ url: `redis://user:${PASSWORD}@127.0.0.1:${server.port}` }));
  await note(connectRedis({ url: `redis://user:${PASSWORD}@127.0.0.1:not-a-port` }));
  const broker = await connectRedis({ url: `redis://:ignored@127.0.0.1:${server.port}/0`, prefix: 'mine' });
  texts.push(broker.description);
  await server.command('SET', 'mine:{default}:runs', 'wrong');
  await note(broker.queue('default').runs.enqueue(numbered('run', 2, { params: JSON.stringify(PASSWORD) })));
  await broker[Symbol.asyncDispose]();
  assert.ok(texts.length > 6);
  assert.deepEqual(
    texts.filter((text) => text.includes(PASSWORD) || text.includes('ignored')),
    [],
  );
  assert.match(broker.description, /^redis:\/\/:\*\*\*@127\.0\.0\.1:\d+\/0 prefix mine$/);
});

test('a user who may not read the wake or the outcome stream is told so, once for each, and works on', async () => {
  const acl = `user worker on >${PASSWORD} ~tidemill:* +@all -xread -xrevrange`;
  await using server = await RedisServer.start({ settings: ['--user', ...acl.split(' ').slice(1)] });
  const warnings: string[] = [];
  await using broker = await connectRedis({
    ...{ url: server.url, username: 'worker', password: PASSWORD },
    onWarning: (message) => warnings.push(message),
  });
  warnings.length = 0;
  const queue = broker.queue('default');
  await register(queue, 'one');
  const { wakeCursor } = await queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 1, cpu: 0 } });
  await queue.runs.enqueue([request('a', { delayMs: 60_000 })]);
  await Promise.all([
    queue.work.waitForWork(wakeCursor, 800, new AbortController().signal),
    queue.runs.waitForEnd('a', { timeoutMs: 800 }),
  ]);
  assert.deepEqual(
    warnings.toSorted().map((warning) => warning.split(':', 1)[0]),
    ['read the outcomes of queue default', 'wait for work in queue default'],
  );
  for (const warning of warnings) assert.match(warning, /lacks a right.*NOPERM/);
});
