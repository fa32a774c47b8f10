/**
 * How long it takes from an enqueue to the first line of a CPU-bound task in a warm child process, against BullMQ's
 * sandboxed processor with a reused child, and against a fork for each job.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from './lib/redis.ts';
import type { Job } from './lib/job.ts';
import { MeasuredProcess } from './lib/measured-process.ts';
import { readOptions, ROUNDS } from './lib/options.ts';
import { ensurePeers } from './lib/peers.ts';
import { ping } from './lib/ping.ts';
import { printJson, printTable, progress, rounded } from './lib/report.ts';
import { startsIn } from './lib/start-file.ts';
import { median, percentile } from './lib/statistics.ts';
import { tidemill } from './lib/tidemill.ts';

const { json, aof, size } = readOptions(
  'cpu',
  'Enqueues one CPU-bound run at a time and waits until its body begins in a child process.',
  {
    runs: { help: 'runs in each round, in warm children', default: 150 },
    forks: { help: 'cold forks in each round', default: 15 },
    rounds: ROUNDS,
  },
);
ensurePeers();
const { connect } = await import('tidemill/client');
const { cpu } = await import('./tidemill/cpu.ts');
const { bullQueue } = await import('./peers/bullmq.ts');

const WARM_RUNS = 20;
const here = (path: string): string => join(import.meta.dirname, path);
const folder = mkdtempSync(join(tmpdir(), 'tidemill-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const starts = (name: string): string => {
  const path = join(folder, name);
  writeFileSync(path, '');
  return path;
};
const files = { warm: starts('warm'), bullmq: starts('bullmq'), coldFork: starts('cold') };

await using redis = await startRedis({ aof });
await using client = await connect(redis.url);
await using bull = await bullQueue(redis.url);
await using _ours = tidemill('consumer', {
  redis: redis.url,
  args: ['--tasks', here('tidemill/cpu.ts'), '--cpu-concurrency', '1'],
  env: { BENCH_STARTS: files.warm },
});
await using _bulls = new MeasuredProcess('bullmq', [here('peers/bullmq-sandbox-worker.ts')], {
  BENCH_REDIS: redis.url,
  BENCH_STARTS: files.bullmq,
});

async function coldFork(job: Job): Promise<void> {
  const child = fork(here('tidemill/cold-fork.ts'), {
    env: { ...process.env, BENCH_STARTS: files.coldFork },
  });
  child.send(job);
  await once(child, 'exit');
}

const contenders = {
  warm: {
    runs: size('runs'),
    enqueue: (params: Job) => client.enqueue(cpu, params),
    next: startsIn(files.warm),
  },
  bullmq: {
    runs: size('runs'),
    enqueue: (data: Job) => bull.queue.add('cpu', data),
    next: startsIn(files.bullmq),
  },
  coldFork: { runs: size('forks'), enqueue: coldFork, next: startsIn(files.coldFork) },
};
const names = ['warm', 'bullmq', 'coldFork'] as const;
for (const name of ['warm', 'bullmq'] as const)
  await ping(WARM_RUNS, contenders[name].enqueue, contenders[name].next);
const p50s: Record<(typeof names)[number], number[]> = { warm: [], bullmq: [], coldFork: [] };
for (let round = 1; round <= size('rounds'); round += 1) {
  for (const name of names) {
    const { runs, enqueue, next } = contenders[name];
    p50s[name].push(percentile(await ping(runs, enqueue, next), 0.5));
    progress(`round ${round} ${name.padEnd(8)}  p50 ${p50s[name].at(-1)?.toFixed(2)} ms`);
  }
}

const p50Ms = {
  warm: rounded(median(p50s.warm), 3),
  bullmq: rounded(median(p50s.bullmq), 3),
  coldFork: rounded(median(p50s.coldFork), 2),
};
printTable(
  ['enqueue → first line of a CPU-bound task', 'p50 ms', 'ours is'],
  [
    ['tidemill, warm child', p50Ms.warm, ''],
    ['BullMQ, sandboxed, reused child', p50Ms.bullmq, `${(p50Ms.warm / p50Ms.bullmq).toFixed(2)} ×`],
    ['cold fork, without a queue', p50Ms.coldFork, `${(p50Ms.warm / p50Ms.coldFork).toFixed(3)} ×`],
  ],
);
printJson(json, { name: 'cpu', p50Ms });
