/**
 * How late a schedule's run begins: 1,000 schedules that fire every second, for half a minute; then 10,000 schedules that
 * are due at the same instant. From the slot, which is what the schedule says, to the first line of the task.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../test/support/until.ts';
import { RedisServer } from '../test/support/redis-server.ts';
import { readOptions } from './lib/options.ts';
import { linkTidemill } from './lib/peers.ts';
import { printJson, printTable, progress, rounded } from './lib/report.ts';
import { median, percentile } from './lib/statistics.ts';
import { tidemill } from './lib/tidemill.ts';

const { json, aof, size } = readOptions(
  'ticks',
  'Starts one scheduler and one consumer, and notes when the runs of each slot begin.',
  {
    schedules: { help: 'schedules that fire every second', default: 1_000 },
    seconds: { help: 'how long they are watched', default: 30 },
    burst: { help: 'schedules that are due at the same instant', default: 10_000 },
    'burst-every': { help: 'seconds from burst to burst', default: 4 },
    bursts: { help: 'bursts; the median counts', default: 3 },
  },
);
linkTidemill();

const SECOND_MS = 1_000;
/** From the first run seen to the first slot that counts: schedules are adopted one after the other. */
const SETTLING_MS = 2_000;
const START_DEADLINE_MS = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'tidemill-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

interface Start {
  readonly schedule: string;
  readonly slotMs: number;
  readonly atMs: number;
}

function startsIn(file: string): readonly Start[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [schedule = '', slotMs = '', atMs = ''] = line.split(' ');
      return { schedule, slotMs: Number(slotMs), atMs: Number(atMs) };
    });
}

/** One object for each schedule, as an operator would keep them. */
function writeManifests(name: string, count: number, every: string): string {
  const file = join(folder, `${name}.yaml`);
  const document = (index: number): string =>
    `apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata:\n  name: ${name}-${index}\nspec:\n  task: tick\n  every: ${every}\n  concurrencyPolicy: Allow\n`;
  writeFileSync(file, Array.from({ length: count }, (_, index) => document(index)).join('---\n'));
  return file;
}

const wallMs = (): number => performance.timeOrigin + performance.now();

/** Watches `slots` slots in a row, of schedules that are all in force before the first of them. */
async function watch(name: string, count: number, everyMs: number, slots: number): Promise<readonly Start[]> {
  progress(`${count} schedules, every ${everyMs / SECOND_MS} s`);
  await using redis = await RedisServer.start({ aof });
  const file = join(folder, `${name}.starts`);
  writeFileSync(file, '');
  await using consumer = tidemill('consumer', {
    redis: redis.url,
    args: ['--tasks', join(import.meta.dirname, 'tidemill/tick.ts')],
    env: { BENCH_STARTS: file },
  });
  await using scheduler = tidemill('scheduler', {
    redis: redis.url,
    args: [writeManifests(name, count, `${everyMs / SECOND_MS}s`)],
  });
  const seen = (): number => new Set(startsIn(file).map(({ schedule }) => schedule)).size;
  await until('every schedule has fired once', () => seen() === count, {
    deadlineMs: START_DEADLINE_MS + everyMs,
    describe: () => `(${seen()} of ${count})`,
  });
  const firstMs = Math.ceil((wallMs() + SETTLING_MS) / everyMs) * everyMs;
  const endMs = firstMs + slots * everyMs;
  await sleep(endMs - wallMs());
  await scheduler.stop();
  await consumer.stop();
  return startsIn(file).filter(({ slotMs }) => slotMs >= firstMs && slotMs < endMs);
}

const ticks = await watch('tick', size('schedules'), SECOND_MS, size('seconds'));
const lateness = ticks.map(({ slotMs, atMs }) => atMs - slotMs);
const distinct = new Set(ticks.map(({ schedule, slotMs }) => `${schedule}@${slotMs}`)).size;
const every1s = {
  schedules: size('schedules'),
  p50Ms: rounded(percentile(lateness, 0.5)),
  p99Ms: rounded(percentile(lateness, 0.99)),
  maxMs: rounded(lateness.reduce((most, ms) => Math.max(most, ms), 0)),
  missed: size('schedules') * size('seconds') - distinct,
  doubled: ticks.length - distinct,
};

const bursts = Map.groupBy(
  await watch('burst', size('burst'), size('burst-every') * SECOND_MS, size('bursts')),
  ({ slotMs }) => slotMs,
);
const allStarted = [...bursts.values()].map((starts) => {
  const names = new Set(starts.map(({ schedule }) => schedule)).size;
  if (names !== size('burst')) throw new Error(`of ${size('burst')} schedules of a burst, ${names} ran`);
  return Math.max(...starts.map(({ slotMs, atMs }) => atMs - slotMs));
});
const burst = { schedules: size('burst'), allStartedMs: rounded(median(allStarted), 0) };

printTable(
  ['slot → first line', 'schedules', 'p50 ms', 'p99 ms', 'max ms', 'missed', 'doubled'],
  [
    [
      'every second',
      every1s.schedules,
      every1s.p50Ms,
      every1s.p99Ms,
      every1s.maxMs,
      every1s.missed,
      every1s.doubled,
    ],
    ['all at one instant', burst.schedules, '', '', burst.allStartedMs],
  ],
);
printJson(json, { name: 'ticks', every1s, burst });
