/** Redis killed and restarted under load: with its append-only file, what was acknowledged is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { Fleet } from './fleet.ts';

test('a Redis with AOF killed with kill -9 under load and restarted loses no run, and no run is settled twice', async (t) => {
  await using fleet = await Fleet.start({ aof: true });
  const slots = 20;
  const consumers = await Promise.all([1, 2].map(() => fleet.consumer('--concurrency', `${slots}`)));
  const ids: string[] = [];
  const rounds = 4;
  for (let round = 0; round < rounds; round += 1) {
    ids.push(...(await fleet.enqueue('work', 800, { ms: 20 }, ids.length)));
    const target = fleet.executions() + 200;
    await until('enough of them began', () => fleet.executions() >= target);
    await fleet.redis.kill();
    await fleet.redis.restart();
    await until('the producer is connected again', () =>
      fleet.stats().then(
        () => true,
        () => false,
      ),
    );
  }
  const account = await fleet.account(ids, 120_000);
  t.diagnostic(`Redis killed ${rounds} times, ${JSON.stringify(account)}`);
  assert.equal(account.lost, 0);
  assert.equal(account.settledTwice, 0);
  assert.ok(
    consumers.every((consumer) => consumer.running),
    'a Redis that restarts ends no consumer',
  );
});
