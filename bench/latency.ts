/**
 * How long it takes on an idle queue from an enqueue to the first line of the task: with one idle consumer, against BullMQ
 * and bee-queue, and with many idle consumers, where a wake-up should cost one claim and not one for each of them.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { startRedis } from './lib/redis.ts';
import type { Job } from './lib/job.ts';
import { MeasuredProcess } from './lib/measured-process.ts';
import { readOptions, ROUNDS } from './lib/options.ts';
import { ensurePeers } from './lib/peers.ts';
import { nextStartOf, ping } from './lib/ping.ts';
import { printJson, printTable, progress, rounded } from './lib/report.ts';
import { median, percentile } from './lib/statistics.ts';
import { tidemill } from './lib/tidemill.ts';

const { json, aof, size } = readOptions('latency', 'Enqueues one run at a time and waits until it begins.', {
  runs: { help: 'runs in each round, for each queue', default: 200 },
  'idle-runs': { help: 'runs with many idle consumers', default: 100 },
  rounds: ROUNDS,
});
ensurePeers();
const { connect } = await import('tidemill/client');
const { starts } = await import('./tidemill/starts.ts');
const { beeQueue } = await import('./peers/bee-queue.ts');
const { bullQueue } = await import('./peers/bullmq.ts');

const WARM_RUNS = 50;
const IDLE_CONSUMERS = [10, 50] as const;
const here = (path: string): string => join(import.meta.dirname, path);

await using redis = await startRedis({ aof });
const env = { BENCH_REDIS: redis.url };
await using client = await connect(redis.url);
await using bull = await bullQueue(redis.url);
const bee = beeQueue(redis.url);

/** All three idle at the same time; they take turns. */
async function oneIdleConsumer() {
  await using ours = tidemill('consumer', {
    redis: redis.url,
    args: ['--tasks', here('tidemill/starts.ts')],
  });
  await using bulls = new MeasuredProcess('bullmq', [here('peers/bullmq-worker.ts'), 'starts'], env);
  await using bees = new MeasuredProcess('beeQueue', [here('peers/bee-queue-worker.ts'), 'starts'], env);
  const contenders = {
    tidemill: { enqueue: (params: Job) => client.enqueue(starts, params), next: nextStartOf(ours) },
    bullmq: { enqueue: (data: Job) => bull.queue.add('starts', data), next: nextStartOf(bulls) },
    beeQueue: { enqueue: (data: Job) => bee.createJob(data).save(), next: nextStartOf(bees) },
  };
  const names = ['tidemill', 'bullmq', 'beeQueue'] as const;
  const p50s: Record<(typeof names)[number], number[]> = { tidemill: [], bullmq: [], beeQueue: [] };
  const p99s: typeof p50s = { tidemill: [], bullmq: [], beeQueue: [] };
  for (const name of names) await ping(WARM_RUNS, contenders[name].enqueue, contenders[name].next);
  for (let round = 1; round <= size('rounds'); round += 1) {
    for (const name of names) {
      const latencies = await ping(size('runs'), contenders[name].enqueue, contenders[name].next);
      p50s[name].push(percentile(latencies, 0.5));
      p99s[name].push(percentile(latencies, 0.99));
      progress(`round ${round} ${name.padEnd(8)}  p50 ${p50s[name].at(-1)?.toFixed(3)} ms`);
    }
  }
  const medians = ({ tidemill: ours, bullmq, beeQueue: bee }: typeof p50s) => ({
    tidemill: rounded(median(ours), 3),
    bullmq: rounded(median(bullmq), 3),
    beeQueue: rounded(median(bee), 3),
  });
  return { p50Ms: medians(p50s), p99Ms: medians(p99s) };
}

const Ready = z.object({ consumers: z.number() });
const Claims = z.object({ claims: z.number() });

async function manyIdleConsumers(count: number) {
  await redis.flushAll();
  progress(`starting ${count} idle consumers`);
  await using consumers = new MeasuredProcess(
    `${count} consumers`,
    [here('tidemill/idle-consumers.ts'), String(count)],
    env,
  );
  await consumers.next(Ready);
  const latencies = await ping(
    size('idle-runs'),
    (params) => client.enqueue(starts, params),
    nextStartOf(consumers),
  );
  const stopped = consumers.stop();
  const { claims } = await consumers.next(Claims);
  await stopped;
  return {
    p50Ms: rounded(percentile(latencies, 0.5), 3),
    claimsPerRun: rounded(claims / size('idle-runs')),
  };
}

const { p50Ms, p99Ms } = await oneIdleConsumer();
const idleConsumers: Record<string, Awaited<ReturnType<typeof manyIdleConsumers>>> = {};
for (const count of IDLE_CONSUMERS) idleConsumers[count] = await manyIdleConsumers(count);
await bee.close();

printTable(
  ['enqueue → first line, one idle consumer', 'p50 ms', 'p99 ms', 'p50 of ours is'],
  [
    ['tidemill', p50Ms.tidemill, p99Ms.tidemill, ''],
    ['BullMQ', p50Ms.bullmq, p99Ms.bullmq, `${(p50Ms.tidemill / p50Ms.bullmq).toFixed(2)} ×`],
    ['bee-queue', p50Ms.beeQueue, p99Ms.beeQueue, `${(p50Ms.tidemill / p50Ms.beeQueue).toFixed(2)} ×`],
  ],
);
printTable(
  ['idle consumers of tidemill', 'p50 ms', 'claims a run'],
  Object.entries(idleConsumers).map(([count, at]) => [count, at.p50Ms, at.claimsPerRun]),
);
printJson(json, { name: 'latency', p50Ms, p99Ms, idleConsumers });
