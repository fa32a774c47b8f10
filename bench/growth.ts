/**
 * How throughput goes as work grows: with more at once, more lanes, more waiting; on a Redis that keeps nothing and on one
 * with a journal; beside BullMQ where it can do the same work (it has no lanes: names of jobs share one list).
 */
import { join } from 'node:path';
import { z } from 'zod';
import { RedisServer } from '../test/support/redis-server.ts';
import { startRedis } from './lib/redis.ts';
import { type Axis, type Point, powersOfTen } from './lib/growth.ts';
import { CONCURRENCY } from './lib/job.ts';
import { MeasuredProcess } from './lib/measured-process.ts';
import { readOptions } from './lib/options.ts';
import { ensurePeers } from './lib/peers.ts';
import { generatedModule } from './lib/plain-modules.ts';
import { printJson, printTable, progress, rounded } from './lib/report.ts';
import { median } from './lib/statistics.ts';
import { tidemill } from './lib/tidemill.ts';

const { json, size } = readOptions(
  'growth',
  `Runs no-ops in one consumer process: at concurrency 1 and more, in 1 lane and more, with 1,000 waiting and more.\nWhat does not grow is ${CONCURRENCY} at once, 1 lane, and as many waiting as --jobs says.`,
  {
    jobs: { help: 'runs that wait while concurrency or lanes grow', default: 100_000 },
    'peer-jobs': { help: 'the same for BullMQ, which is slower to fill', default: 30_000 },
    'most-concurrency': { help: 'largest concurrency', default: 1_000 },
    'most-lanes': { help: 'most lanes', default: 1_000 },
    'most-backlog': { help: 'most runs that wait', default: 1_000_000 },
    'most-peer-backlog': { help: 'the same for BullMQ', default: 100_000 },
    'for-ms': { help: 'longest time that a consumer is measured, ms', default: 1_500 },
    rounds: { help: 'how often each is measured; the median counts', default: 1 },
  },
  {
    hasAof: false,
    short: {
      ...{ jobs: 5_000, 'peer-jobs': 5_000, 'most-concurrency': 10, 'most-lanes': 10 },
      ...{ 'most-backlog': 10_000, 'most-peer-backlog': 1_000, 'for-ms': 500 },
    },
  },
);
ensurePeers();

const Measured = z.object({ runs: z.number(), ms: z.number() });
/** A tenth of what waits goes by before the clock starts, and no more than this. */
const MOST_WARM_RUNS = 2_000;
const here = (path: string): string => join(import.meta.dirname, path);

interface Work {
  readonly axis: Axis;
  readonly at: number;
  readonly queue: Point['queue'];
  readonly jobs: number;
}

function works(): readonly Work[] {
  const at = (axis: Axis, most: number, from = 1): readonly Work[] =>
    powersOfTen(from, most).map((step) => ({ axis, at: step, queue: 'tidemill', jobs: size('jobs') }));
  const waiting = (queue: Point['queue'], most: number): readonly Work[] =>
    powersOfTen(1_000, most).map((jobs) => ({ axis: 'backlog', at: jobs, queue, jobs }));
  const concurrency = at('concurrency', size('most-concurrency'));
  return [
    ...concurrency.flatMap((work): readonly Work[] => [
      work,
      { ...work, queue: 'bullmq', jobs: size('peer-jobs') },
    ]),
    ...at('lanes', size('most-lanes')),
    ...waiting('tidemill', size('most-backlog')),
    ...waiting('bullmq', size('most-peer-backlog')),
  ];
}

/** A tasks module with this many tasks. */
function lanesModule(lanes: number): string {
  const tasks = Array.from({ length: lanes }, (_, index) => `export const lane${index} = lane(${index});`);
  const source = JSON.stringify(here('tidemill/lane.ts'));
  return generatedModule(`lanes-${lanes}.js`, [`import { lane } from ${source};`, ...tasks].join('\n'));
}

function consumerOf({ axis, at, queue }: Work, redis: string, env: Env): MeasuredProcess {
  const concurrency = axis === 'concurrency' ? at : CONCURRENCY;
  if (queue === 'bullmq') {
    const path = here('peers/bullmq-worker.ts');
    return new MeasuredProcess('bullmq', [path], { ...env, BENCH_CONCURRENCY: String(concurrency) });
  }
  const tasks = axis === 'lanes' ? lanesModule(at) : here('tidemill/noop.ts');
  return tidemill('consumer', {
    ...{ redis, env },
    args: ['--tasks', tasks, '--concurrency', String(concurrency)],
  });
}

type Env = Readonly<Record<string, string>>;

function producerOf({ axis, queue }: Work, env: Env): MeasuredProcess {
  if (queue === 'bullmq') return new MeasuredProcess('bullmq', [here('peers/bullmq-producer.ts')], env);
  const path = axis === 'lanes' ? 'tidemill/lanes-producer.ts' : 'tidemill/producer.ts';
  return new MeasuredProcess('tidemill', [here(path)], env);
}

/** Fills the queue, and then counts how fast a consumer empties it. */
async function perSecond(work: Work, redis: RedisServer): Promise<number> {
  await redis.flushAll();
  const warm = Math.min(MOST_WARM_RUNS, work.jobs / 10);
  const env = {
    BENCH_REDIS: redis.url,
    BENCH_RUNS: String(work.jobs - warm),
    BENCH_WARM_RUNS: String(warm),
    BENCH_FOR_MS: String(size('for-ms')),
    BENCH_LANES: String(work.at),
  };
  await told(producerOf(work, env));
  const { runs, ms } = await told(consumerOf(work, redis.url, env));
  return (runs / ms) * 1_000;
}

async function told(process: MeasuredProcess): Promise<z.output<typeof Measured>> {
  await using measured = process;
  const told = await measured.next(Measured);
  await measured.stop();
  return told;
}

const points: Point[] = [];
for (const aof of [false, true]) {
  await using redis = await startRedis({ aof });
  for (const work of works()) {
    const rates: number[] = [];
    for (let round = 1; round <= size('rounds'); round += 1) rates.push(await perSecond(work, redis));
    const { axis, at, queue } = work;
    points.push({ axis, at, queue, aof, perSecond: rounded(median(rates), 0) });
    progress(`${axis} ${at} ${queue}${aof ? ' with AOF' : ''}: ${Math.round(median(rates))}/s`);
  }
}

function rateOf({ axis, at }: Pick<Point, 'axis' | 'at'>, queue: Point['queue'], aof: boolean): number | '' {
  const found = points.find(
    (point) => point.axis === axis && point.at === at && point.queue === queue && point.aof === aof,
  );
  return found?.perSecond ?? '';
}

printTable(
  ['no-op runs/s', '', 'tidemill', 'with AOF', 'BullMQ', 'with AOF'],
  points
    .filter(({ queue, aof }) => queue === 'tidemill' && !aof)
    .map((point) => [
      point.axis,
      point.at,
      rateOf(point, 'tidemill', false),
      rateOf(point, 'tidemill', true),
      rateOf(point, 'bullmq', false),
      rateOf(point, 'bullmq', true),
    ]),
);
printJson(json, { name: 'growth', points });
