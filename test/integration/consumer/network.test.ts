import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { type Broker, DEFAULT_QUEUE_SETTINGS } from '../../../src/broker/broker.ts';
import { Consumer } from '../../../src/consumer/consumer.ts';
import { SILENT_OBSERVER } from '../../../src/consumer/observer.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { openApp } from '../../../src/task/app.ts';
import { buildManifest } from '../../../src/task/build-manifest.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import { TaskRegistry } from '../../../src/task/registry.ts';
import type { RunRequest } from '../../../src/task/request.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';

let redis: RedisServer;
before(async () => (redis = await RedisServer.start()));
after(() => redis[Symbol.asyncDispose]());

const LEASE_MS = 2_000;
const bodies = new Map<string, number>();
const short = defineTask({
  name: 'short',
  run: async ({ run }) => {
    bodies.set(run.id, (bodies.get(run.id) ?? 0) + 1);
    await systemClock.sleep(5);
  },
});
const endless = defineTask({
  name: 'endless',
  timeout: '10m',
  run: ({ signal }) =>
    new Promise<void>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    }),
});

async function startConsumer(
  t: TestContext,
  broker: Broker,
  queue: string,
): Promise<{ settled: () => number; lost: () => number; stop: () => Promise<unknown> }> {
  const registry = new TaskRegistry([short, endless]);
  const stop = new AbortController();
  let settled = 0;
  let lost = 0;
  const consumer = new Consumer({
    ...{ broker, queues: [queue], registry, clock: systemClock, log: silentLog },
    app: await openApp(undefined, { log: silentLog }),
    manifest: buildManifest(registry, 1),
    settings: DEFAULT_QUEUE_SETTINGS,
    identity: { host: 'test', pid: process.pid, version: '0' },
    ...{ leaseMs: LEASE_MS, drainMs: 500 },
    observer: {
      ...SILENT_OBSERVER,
      leaseLost: () => (lost += 1),
      settled: ({ answer, count }) => (settled += answer === 'settled' ? count : 0),
    },
  });
  const ended = consumer.run(stop.signal);
  t.after(() => {
    stop.abort();
    return ended;
  });
  return {
    settled: () => settled,
    lost: () => lost,
    stop: () => {
      stop.abort();
      return ended;
    },
  };
}

function requests(task: string, count: number, prefix: string): RunRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ id: `${prefix}-${index}`, task, priority: 'medium', params: '{}', options: { source: 'api' } },
  }));
}

const countsOf = async (broker: Broker, queue: string): Promise<Record<string, number>> => {
  const { pending, delayed, running, retainedSucceeded } = await broker.queue(queue).inspect.stats();
  return { pending, delayed, running, retainedSucceeded };
};

test('connections cut all the time under load: every run ends exactly once, none is lost', async (t) => {
  const count = 3_000;
  await using proxy = await FaultProxy.start(redis.port);
  await using direct = await connectRedis({ url: redis.url });
  await using cut = await connectRedis({ url: proxy.url });
  const consumers = [await startConsumer(t, cut, 'cuts'), await startConsumer(t, cut, 'cuts')];
  await direct.queue('cuts').runs.enqueue(requests('short', count, 'cuts'));
  let cuts = 0;
  const deadlineMs = systemClock.monotonic() + 60_000;
  let counts = await countsOf(direct, 'cuts');
  while (counts['retainedSucceeded'] !== count && systemClock.monotonic() < deadlineMs) {
    await systemClock.sleep(40);
    // Later rounds leave room to finish, or a slow machine would never come to the end.
    if (cuts < 30) {
      proxy.cut();
      cuts += 1;
    }
    counts = await countsOf(direct, 'cuts');
  }
  await until('nothing runs any more', async () => (await countsOf(direct, 'cuts'))['running'] === 0, {
    deadlineMs: 10_000,
  });
  assert.deepEqual(await countsOf(direct, 'cuts'), {
    pending: 0,
    delayed: 0,
    running: 0,
    retainedSucceeded: count,
  });
  const executions = [...bodies]
    .filter(([id]) => id.startsWith('cuts-'))
    .reduce((sum, [, times]) => sum + times, 0);
  t.diagnostic(
    `${count} runs, ${cuts} cuts: lost 0, ended twice 0, executed ${executions} times, leases lost ${consumers.map((consumer) => consumer.lost()).join(' + ')}`,
  );
  for (const consumer of consumers) await consumer.stop();
});

test('settles whose answers get lost for longer than a lease: the runs end exactly once', async (t) => {
  await using proxy = await FaultProxy.start(redis.port);
  await using direct = await connectRedis({ url: redis.url });
  await using cut = await connectRedis({ url: proxy.url, callTimeoutMs: 1_000 });
  const consumer = await startConsumer(t, cut, 'half-open');
  const work = direct.queue('half-open');
  await work.runs.enqueue(requests('short', 200, 'open'));
  await until(
    'first runs have succeeded',
    async () => (await countsOf(direct, 'half-open'))['retainedSucceeded'] !== 0,
    { deadlineMs: 10_000 },
  );
  proxy.mode = 'half-open';
  await systemClock.sleep(2 * LEASE_MS);
  proxy.mode = 'pass';
  const second = await startConsumer(t, direct, 'half-open');
  await until(
    'all runs have succeeded',
    async () => (await countsOf(direct, 'half-open'))['retainedSucceeded'] === 200,
    { deadlineMs: 20_000 },
  );
  await work.runs.enqueue(requests('short', 50, 'after'));
  await until(
    'later runs have succeeded',
    async () => (await countsOf(direct, 'half-open'))['retainedSucceeded'] === 250,
    { deadlineMs: 10_000 },
  );
  await consumer.stop();
  await second.stop();
});

test('told to stop while Redis stands still, a consumer ends within its grace, and its runs come back', async (t) => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url, callTimeoutMs: 1_000 });
  const consumer = await startConsumer(t, broker, 'frozen');
  await broker.queue('frozen').runs.enqueue(requests('endless', 5, 'frozen'));
  await until('five runs are running', async () => (await countsOf(broker, 'frozen'))['running'] === 5, {
    deadlineMs: 10_000,
  });
  server.freeze();
  const startMs = systemClock.monotonic();
  await consumer.stop();
  const tookMs = systemClock.monotonic() - startMs;
  // 0.5 s for the runs, 2 s for their abort, 1 s for the farewell, 1 s for the loops; and a loaded machine.
  assert.ok(tookMs < 8_000, `took ${Math.round(tookMs)} ms`);
  server.thaw();
  await using fresh = await connectRedis({ url: server.url });
  const second = await startConsumer(t, fresh, 'frozen');
  await until(
    'the runs are held again',
    async () => (await fresh.queue('frozen').inspect.consumers()).some(({ held }) => held === 5),
    { deadlineMs: 20_000 },
  );
  await second.stop();
  assert.deepEqual((await countsOf(fresh, 'frozen'))['pending'], 5);
});
