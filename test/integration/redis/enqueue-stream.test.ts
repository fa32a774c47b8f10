/** Many enqueue calls at once: they share scripts, and neither a lost reply nor a refusal reaches the wrong caller. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import type { ProducerPort } from '../../../src/broker/broker.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { claim, codeOf, register, request } from './work.ts';

/** Calls in turns of their own, so that they do not all share the first batch. */
async function oneByOne(port: ProducerPort, ids: readonly string[]): Promise<readonly Promise<string>[]> {
  const calls: Promise<string>[] = [];
  for (const id of ids) {
    calls.push(port.enqueue([request(id)]).then(([outcome]) => outcome ?? 'none'));
    await nextTurn();
  }
  return calls;
}

const idsOf = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `run-${index}`);

test('64 calls in flight whose replies are lost are all enqueued, once, in their order, and none is a duplicate', async () => {
  await using server = await RedisServer.start();
  await using proxy = await FaultProxy.start(server.port);
  await using broker = await connectRedis({ url: proxy.url });
  await using direct = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  const seen = direct.queue('default');
  await queue.runs.enqueue([request('warm-up')]);
  await register(seen, 'one');
  await claim(seen, 'one');
  proxy.mode = 'half-open';
  const ids = idsOf(64);
  const calls = await oneByOne(queue.runs, ids);
  await until('some batches have arrived', async () => (await seen.inspect.stats()).pending > 1);
  proxy.mode = 'pass';
  proxy.cut();
  assert.deepEqual(
    await Promise.all(calls),
    ids.map(() => 'enqueued'),
  );
  assert.deepEqual(
    (await claim(seen, 'one')).map(({ record }) => record.id),
    ids,
  );
  assert.equal((await seen.inspect.stats()).pending, 0);
});

test('connections cut again and again under a stream of calls: each call is answered once and rightly', async () => {
  await using server = await RedisServer.start();
  await using proxy = await FaultProxy.start(server.port);
  await using broker = await connectRedis({ url: proxy.url });
  const queue = broker.queue('default');
  let made = 0;
  let isOver = false;
  const outcomes: string[] = [];
  const producer = async (): Promise<void> => {
    while (!isOver) {
      made += 1;
      outcomes.push((await queue.runs.enqueue([request(`run-${made}`)]))[0] ?? 'none');
    }
  };
  const producers = Promise.all(Array.from({ length: 40 }, producer));
  for (let cuts = 0; cuts < 3; cuts += 1) {
    // So much further that what was cut off before has its answer: no batch loses both of its tries.
    const enough = outcomes.length + 500;
    await until('the stream has got so far', () => outcomes.length >= enough);
    await proxy.cutAfterRequest(/run-/);
  }
  isOver = true;
  await producers;
  assert.deepEqual(new Set(outcomes), new Set(['enqueued']));
  assert.equal(outcomes.length, made);
  assert.equal((await queue.inspect.stats()).pending, made);
});

test('runs of one lane wait in the order of their calls, whatever their timing', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one');
  const ids = idsOf(60);
  await Promise.all(
    ids.map((id, index) => {
      const timing = [{}, { expiresInMs: 60_000 }, { runAtMs: 1 }][index % 3];
      return queue.runs.enqueue([request(id, timing)]);
    }),
  );
  assert.deepEqual(
    (await claim(queue, 'one')).map(({ record }) => record.id),
    ids,
  );
});

test('of calls with the same id that share a batch the first is enqueued', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const { runs } = broker.queue('default');
  const calls = [
    runs.enqueue([request('same', { params: '1' })]),
    runs.enqueue([request('other'), request('same', { params: '2', delayMs: 60_000 })]),
    runs.enqueue([request('same', { params: '3', expiresInMs: 60_000 })]),
  ];
  assert.deepEqual(await Promise.all(calls), [['enqueued'], ['enqueued', 'duplicate'], ['duplicate']]);
  assert.equal((await runs.get('same'))?.params, '1');
});

test('a full Redis refuses every call of a batch, and nothing of it was enqueued', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const { runs } = broker.queue('default');
  await runs.enqueue([request('first')]);
  await server.command('CONFIG', 'SET', 'maxmemory', '1');
  const ids = idsOf(50);
  const codes = await Promise.all(ids.map((id) => codeOf(runs.enqueue([request(id)]))));
  assert.deepEqual(
    codes,
    ids.map(() => 'BROKER_REFUSED'),
  );
  await server.command('CONFIG', 'SET', 'maxmemory', '0');
  assert.deepEqual(
    await Promise.all(ids.map((id) => runs.get(id))),
    ids.map(() => undefined),
  );
  assert.deepEqual(await runs.enqueue([request(ids[0] ?? '')]), ['enqueued']);
});

test('a call that cannot be made is refused alone: its neighbours are enqueued', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const { runs } = broker.queue('default');
  const codes = await Promise.all([
    codeOf(runs.enqueue([request('a')])),
    codeOf(runs.enqueue([request('white space')])),
    codeOf(runs.enqueue([request('b', { task: 'Not A Name' })])),
    codeOf(runs.enqueue([request('c', { delayMs: Number.NaN })])),
    codeOf(runs.enqueue([request('d', { runAtMs: Infinity })])),
    codeOf(runs.enqueue([request('e')])),
  ]);
  assert.deepEqual(codes, [
    ...['none', 'RUN_ID_INVALID', 'TASK_INVALID'],
    ...['ENQUEUE_INVALID', 'ENQUEUE_INVALID', 'none'],
  ]);
  assert.equal((await broker.queue('default').inspect.stats()).pending, 2);
});

test('closing while calls are under way and others wait rejects them all as closed', async () => {
  await using server = await RedisServer.start();
  const broker = await connectRedis({ url: server.url });
  const { runs } = broker.queue('default');
  await runs.enqueue([request('first')]);
  server.freeze();
  const codes = (await oneByOne(runs, idsOf(40))).map(codeOf);
  await broker[Symbol.asyncDispose]();
  assert.deepEqual(new Set(await Promise.all(codes)), new Set(['BROKER_CLOSED']));
  assert.equal(await codeOf(runs.enqueue([request('late')])), 'BROKER_CLOSED');
});

test('while Redis is frozen every call ends within 5 s as unavailable, those that never had a slot included', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const { runs } = broker.queue('default');
  await runs.enqueue([request('first')]);
  server.freeze();
  const startMs = performance.now();
  const codes = (await oneByOne(runs, idsOf(2_000))).map(codeOf);
  assert.deepEqual(new Set(await Promise.all(codes)), new Set(['BROKER_UNAVAILABLE']));
  assert.ok(performance.now() - startMs < 5_500);
  server.thaw();
  await until(
    'calls are answered again',
    async () => (await codeOf(runs.enqueue([request('last')]))) === 'none',
  );
});

test('a batch that comes after a later one of its slot is refused, and does not take the place of the later answer', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await queue.runs.enqueue([request('a')]);
  const keys = await server.command('KEYS', 'tidemill:{default}:producer:*');
  const key = /tidemill\S+/.exec(keys)?.[0] ?? '';
  // As if this producer had gone on to batch 99 in each slot.
  for (let slot = 0; slot < 16; slot += 1) await server.command('HSET', key, String(slot), '99 e');
  assert.equal(await codeOf(queue.runs.enqueue([request('b')])), 'INTERNAL');
  assert.equal(await queue.runs.get('b'), undefined);
});
