/**
 * What a waiting run costs in Redis, whether all of them are run in the end, and how much memory an idle consumer and its
 * idle child process take. The peers hold a tenth as many jobs: a byte count does not need more.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startRedis } from './lib/redis.ts';
import { until } from '../test/support/until.ts';
import { MeasuredProcess } from './lib/measured-process.ts';
import { readOptions } from './lib/options.ts';
import { ensurePeers } from './lib/peers.ts';
import { printJson, printTable, progress, rounded } from './lib/report.ts';
import { tidemill } from './lib/tidemill.ts';

const { json, aof, size } = readOptions(
  'memory',
  'Fills a queue, weighs it, drains it; weighs an idle consumer and its idle child.',
  {
    pending: { help: 'runs that wait at the same time', default: 1_000_000 },
    'peer-pending': { help: 'jobs that wait at the same time in a queue of a peer', default: 100_000 },
    'idle-seconds': { help: 'how long a consumer is idle before it is weighed', default: 5 },
  },
);
ensurePeers();

const DRAIN_DEADLINE_MS = 300_000;
const Measured = z.object({ runs: z.number() });
const here = (path: string): string => join(import.meta.dirname, path);

await using redis = await startRedis({ aof });

async function usedMemory(): Promise<number> {
  const [, bytes] = /used_memory:(\d+)/.exec(await redis.command('INFO', 'memory')) ?? [];
  return Number(bytes);
}

async function bytesOf(producer: string, jobs: number): Promise<number> {
  await redis.flushAll();
  const before = await usedMemory();
  await using filling = new MeasuredProcess(producer, [here(producer)], {
    BENCH_REDIS: redis.url,
    BENCH_WARM_RUNS: '0',
    BENCH_RUNS: String(jobs),
  });
  await filling.next(Measured, DRAIN_DEADLINE_MS);
  await filling.stop();
  return ((await usedMemory()) - before) / jobs;
}

function residentMb(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1_024;
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

async function weighIdle(): Promise<{ readonly consumer: number; readonly child: number }> {
  progress('weighing an idle consumer and its child');
  await using consumer = tidemill('consumer', {
    redis: redis.url,
    args: ['--tasks', here('tidemill/cpu.ts'), '--cpu-concurrency', '1'],
  });
  const child = await until('the child process is there', () => childrenOf(consumer.pid)[0]);
  await sleep(size('idle-seconds') * 1_000);
  return { consumer: residentMb(consumer.pid), child: residentMb(child) };
}

/** @returns how many ran; fails when not all did */
async function drain(pending: number): Promise<number> {
  progress('draining');
  await using consumer = tidemill('consumer', {
    redis: redis.url,
    args: ['--tasks', here('tidemill/noop.ts')],
    env: { BENCH_WARM_RUNS: '1', BENCH_RUNS: String(pending - 1) },
  });
  const { runs } = await consumer.next(Measured, DRAIN_DEADLINE_MS);
  await consumer.stop();
  return runs + 1;
}

const idle = await weighIdle();
const peers = { bullmq: 0, beeQueue: 0 };
progress('filling the queues of the peers');
peers.bullmq = await bytesOf('peers/bullmq-producer.ts', size('peer-pending'));
peers.beeQueue = await bytesOf('peers/bee-queue-producer.ts', size('peer-pending'));
progress(`filling ours with ${size('pending')} runs`);
const bytesPerRun = await bytesOf('tidemill/producer.ts', size('pending'));
const drained = await drain(size('pending'));

printTable(
  ['', 'jobs', 'bytes a job'],
  [
    ['tidemill', size('pending'), Math.round(bytesPerRun)],
    ['BullMQ', size('peer-pending'), Math.round(peers.bullmq)],
    ['bee-queue', size('peer-pending'), Math.round(peers.beeQueue)],
  ],
);
printTable(
  ['resident memory, idle', 'MB'],
  [
    ['tidemill consumer', Math.round(idle.consumer)],
    ['its child process', Math.round(idle.child)],
  ],
);
printJson(json, {
  name: 'memory',
  pending: size('pending'),
  bytesPerRun: rounded(bytesPerRun, 0),
  drained,
  idleConsumerMb: rounded(idle.consumer, 0),
  idleChildMb: rounded(idle.child, 0),
});
