/**
 * How many runs a second go into a queue in bulk, and how many a consumer gets out of it; against BullMQ and bee-queue on
 * the same Redis, and against what our own scripts allow without any task code.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { startRedis } from './lib/redis.ts';
import { CONCURRENCY } from './lib/job.ts';
import { MeasuredProcess } from './lib/measured-process.ts';
import { readOptions, ROUNDS } from './lib/options.ts';
import { ensurePeers } from './lib/peers.ts';
import { printJson, printTable, progress, rounded } from './lib/report.ts';
import { median } from './lib/statistics.ts';
import { tidemill } from './lib/tidemill.ts';

const { json, aof, size } = readOptions(
  'queue',
  `Enqueues jobs in batches, then runs them as no-ops in one consumer process (concurrency ${CONCURRENCY}).`,
  {
    jobs: { help: 'jobs in each round, for each queue', default: 100_000 },
    warm: { help: 'further jobs before those that are counted', default: 5_000 },
    'for-ms': { help: 'longest time that a consumer is measured, ms', default: 1_500 },
    rounds: ROUNDS,
  },
);
ensurePeers();

const Measured = z.object({ runs: z.number(), ms: z.number() });
const here = (path: string): string => join(import.meta.dirname, path);

interface Contender {
  readonly producer: string;
  readonly consume: (redis: string, env: Readonly<Record<string, string>>) => MeasuredProcess;
}
const script =
  (path: string) =>
  (_redis: string, env: Readonly<Record<string, string>>): MeasuredProcess =>
    new MeasuredProcess(path, [here(path)], env);

const contenders = {
  tidemill: {
    producer: 'tidemill/producer.ts',
    consume: (redis, env) =>
      tidemill('consumer', { redis, env, args: ['--tasks', here('tidemill/noop.ts')] }),
  },
  bullmq: { producer: 'peers/bullmq-producer.ts', consume: script('peers/bullmq-worker.ts') },
  beeQueue: { producer: 'peers/bee-queue-producer.ts', consume: script('peers/bee-queue-worker.ts') },
  ceiling: { producer: 'tidemill/producer.ts', consume: script('tidemill/ceiling.ts') },
} satisfies Readonly<Record<string, Contender>>;
type Name = keyof typeof contenders;
const NAMES = ['tidemill', 'bullmq', 'beeQueue', 'ceiling'] as const satisfies readonly Name[];

await using redis = await startRedis({ aof });
const env = {
  BENCH_REDIS: redis.url,
  BENCH_RUNS: String(size('jobs')),
  BENCH_WARM_RUNS: String(size('warm')),
  BENCH_FOR_MS: String(size('for-ms')),
};

const enqueued: Record<Name, number[]> = { tidemill: [], bullmq: [], beeQueue: [], ceiling: [] };
const processed: Record<Name, number[]> = { tidemill: [], bullmq: [], beeQueue: [], ceiling: [] };
for (let round = 1; round <= size('rounds'); round += 1) {
  for (const name of NAMES) {
    await redis.flushAll();
    enqueued[name].push(await rateOf(new MeasuredProcess(name, [here(contenders[name].producer)], env)));
    processed[name].push(await rateOf(contenders[name].consume(redis.url, env)));
    progress(
      `round ${round} ${name.padEnd(8)}  enqueue ${shown(enqueued[name].at(-1))}  process ${shown(processed[name].at(-1))}`,
    );
  }
}

async function rateOf(process: MeasuredProcess): Promise<number> {
  await using measured = process;
  const { runs, ms } = await measured.next(Measured);
  await measured.stop();
  return (runs / ms) * 1_000;
}

function wholeMedian(rates: readonly number[]): number {
  return rounded(median(rates), 0);
}

function shown(rate: number | undefined): string {
  return `${Math.round(rate ?? NaN)}/s`;
}

const enqueuePerSecond = {
  // The ceiling's queue is filled by the same producer: more samples of the same thing.
  tidemill: wholeMedian([...enqueued.tidemill, ...enqueued.ceiling]),
  bullmq: wholeMedian(enqueued.bullmq),
  beeQueue: wholeMedian(enqueued.beeQueue),
};
const processPerSecond = {
  tidemill: wholeMedian(processed.tidemill),
  bullmq: wholeMedian(processed.bullmq),
  beeQueue: wholeMedian(processed.beeQueue),
  ceiling: wholeMedian(processed.ceiling),
};
const ratios = {
  enqueueVsBullmq: rounded(enqueuePerSecond.tidemill / enqueuePerSecond.bullmq),
  enqueueVsBeeQueue: rounded(enqueuePerSecond.tidemill / enqueuePerSecond.beeQueue),
  processVsBullmq: rounded(processPerSecond.tidemill / processPerSecond.bullmq),
  processVsBeeQueue: rounded(processPerSecond.tidemill / processPerSecond.beeQueue),
  processVsCeiling: rounded(processPerSecond.tidemill / processPerSecond.ceiling),
};
const times = (ratio: number): string => `${ratio.toFixed(1)} ×`;
printTable(
  ['', 'enqueue/s', 'ours is', 'process/s', 'ours is'],
  [
    ['tidemill', enqueuePerSecond.tidemill, '', processPerSecond.tidemill, ''],
    [
      'BullMQ',
      enqueuePerSecond.bullmq,
      times(ratios.enqueueVsBullmq),
      processPerSecond.bullmq,
      times(ratios.processVsBullmq),
    ],
    [
      'bee-queue',
      enqueuePerSecond.beeQueue,
      times(ratios.enqueueVsBeeQueue),
      processPerSecond.beeQueue,
      times(ratios.processVsBeeQueue),
    ],
    ['our scripts alone', '', '', processPerSecond.ceiling, times(ratios.processVsCeiling)],
  ],
);
printJson(json, {
  name: 'queue',
  enqueuePerSecond,
  processPerSecond,
  ratios,
});
