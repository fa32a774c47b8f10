/** What people are told of runs that do not begin: why they wait, and of slots that nobody decides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { adopt, firing, slot, UID } from '../../contract/schedule-steps.ts';
import { tidemill } from '../../support/fake-io.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';

test('a slot that was skipped for an earlier run names it, and why it does not end', async () => {
  await using redis = await RedisServer.start();
  await using broker = await connectRedis({ url: redis.url });
  const queue = broker.queue('reports');
  const { notBeforeMs } = await adopt(queue);
  const first = Math.ceil(notBeforeMs / 1_000) * 1_000;
  await until('two slots are due', () => Date.now() > first + 1_000);
  await queue.schedules.fire([firing([slot(first), slot(first + 1_000)], { concurrencyPolicy: 'Forbid' })]);
  const at = new Date(first + 1_000).toISOString();
  const answer = await tidemill(['schedules', 'why', 'team/nightly', '--install', 'tests', '--at', at], {
    environment: { TIDEMILL_REDIS_URL: redis.url },
  });
  assert.equal(answer.code, 1, answer.stderr);
  assert.match(answer.stdout, /^team\/nightly: skipped$/m);
  const earlier = `${UID}@${new Date(first).toISOString()}`;
  assert.ok(
    answer.stdout.includes(`It was skipped for an earlier run. Its run ${earlier} is pending.`),
    answer.stdout,
  );
  assert.match(answer.stdout, /^Queue reports has 1 run, and no consumer is registered\.$/m);
});

test('a slot that nobody has decided for more than a minute is shown by ls and by the doctor', async () => {
  await using redis = await RedisServer.start();
  await using broker = await connectRedis({ url: redis.url });
  await adopt(broker.queue('reports'));
  const key = `tidemill:{reports}:schedule:${UID}`;
  await redis.command('HSET', key, 'notBeforeMs', String(Date.now() - 90_000));
  const run = (...args: readonly string[]) =>
    tidemill([...args, '--install', 'tests'], { environment: { TIDEMILL_REDIS_URL: redis.url } });
  assert.match((await run('schedules', 'ls')).stdout, /overdue: 1m(29|30)s ago/);
  const doctor = await run('doctor');
  assert.equal(doctor.code, 0);
  assert.match(
    doctor.stdout,
    /^warning +schedules +install tests: 1 of 1 schedule overdue, team\/nightly since 1m/m,
  );
});
