/** Lanes of waiting runs: nothing stays in them of runs that wait there no longer, but what stands deep inside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Queue } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { adopt, firing, slot, templateOf, UID } from '../../contract/schedule-steps.ts';
import { claim, numbered, register, request } from './work.ts';

const LANE = 'tidemill:{default}:lane:m:job';
const lengthOf = async (server: RedisServer): Promise<number> =>
  Number((await server.command('LLEN', LANE)).slice(1));
const idsOf = (first: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `run-${first + index}`);

async function oldestAge(queue: Queue): Promise<number> {
  return (await queue.inspect.stats()).oldestPendingAgeMs;
}

test('of runs that are cancelled, or expire, where nobody claims, nothing stays in their lane', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await queue.runs.enqueue([request('stays')]);
  for (let round = 0; round < 5; round += 1) {
    await queue.runs.enqueue(idsOf(round * 100, 100).map((id) => request(id)));
    await queue.runs.cancel(idsOf(round * 100, 100), 'not needed');
  }
  assert.equal(await lengthOf(server), 1);
  await queue.runs.enqueue(idsOf(900, 50).map((id) => request(id, { expiresInMs: 1 })));
  await until('all have expired', async () => {
    await queue.work.promote();
    return (await queue.inspect.stats()).pending === 1;
  });
  assert.equal(await lengthOf(server), 1);
  await register(queue, 'one');
  assert.deepEqual(
    (await claim(queue, 'one')).map(({ record }) => record.id),
    ['stays'],
  );
});

test('a schedule that replaces its run again and again, for a task that nobody knows, keeps one entry', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  const { notBeforeMs: fromMs } = await adopt(queue);
  await until('the slots are due', () => Date.now() > fromMs + 40);
  for (let index = 0; index < 40; index += 1) {
    const entries = [slot(fromMs + index)];
    const [reply] = await queue.schedules.fire([
      firing(entries, { concurrencyPolicy: 'Replace', run: templateOf(UID) }),
    ]);
    assert.equal(reply?.outcome, 'ok');
  }
  assert.equal((await queue.inspect.stats()).pending, 1);
  assert.equal(await lengthOf(server), 1);
});

test('deep inside a long lane an entry stays behind, is stepped over, and hides the age of no run', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await queue.runs.enqueue(numbered('run', 2_600));
  const all = numbered('run', 2_600).map(({ id }) => id);
  const deep = all.slice(1_200, 1_400);
  assert.deepEqual(new Set(await queue.runs.cancel(deep, 'not needed')), new Set(['cancelled']));
  assert.equal(await lengthOf(server), 2_600);
  await register(queue, 'one');
  const first = [...(await claim(queue, 'one', 600)), ...(await claim(queue, 'one', 600))];
  assert.deepEqual(
    first.map(({ record }) => record.id),
    all.slice(0, 1_200),
  );
  await until('the rest has waited', async () => (await oldestAge(queue)) > 0);
  const rest = [...(await claim(queue, 'one', 700)), ...(await claim(queue, 'one', 700))];
  assert.deepEqual(
    rest.map(({ record }) => record.id),
    all.slice(1_400),
  );
  assert.equal(await lengthOf(server), 0);
});
