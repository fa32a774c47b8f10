/** Runs one scheduler and one consumer over many schedules, and notes when the runs of each slot begin. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from './redis.ts';
import { until } from '../../test/support/until.ts';
import { progress, rounded } from './report.ts';
import { percentile } from './statistics.ts';
import { tidemill } from './tidemill.ts';

export const SECOND_MS = 1_000;
/** From the first run seen to the first slot that counts: schedules are adopted one after the other. */
const SETTLING_MS = 2_000;
const START_DEADLINE_MS = 60_000;
const TASKS = join(import.meta.dirname, '../tidemill/tick.ts');
const folder = mkdtempSync(join(tmpdir(), 'tidemill-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

export interface Start {
  readonly schedule: string;
  readonly slotMs: number;
  readonly atMs: number;
}

export interface Watched {
  readonly name: string;
  /** How many schedules there are. */
  readonly count: number;
  readonly everyMs: number;
  /** How many slots of each are watched, in a row. */
  readonly slots: number;
  readonly aof: boolean;
  /** Their slots are spread evenly over `everyMs`; otherwise all are due at the same instants. */
  readonly spread?: boolean;
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

/** A file of manifests may have 2 MiB. */
const DOCUMENTS_PER_FILE = 5_000;

/** One object for each schedule, as an operator would keep them; returns the folder of their files. */
function writeManifests({ name, count, everyMs, spread = false }: Watched): string {
  const manifests = join(folder, name);
  mkdirSync(manifests);
  const document = (index: number): string => {
    const offset = spread ? `  offset: ${Math.floor((index * everyMs) / count)}ms\n` : '';
    return `apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata:\n  name: ${name}-${index}\nspec:\n  task: tick\n  every: ${everyMs / SECOND_MS}s\n${offset}  concurrencyPolicy: Allow\n`;
  };
  for (let first = 0; first < count; first += DOCUMENTS_PER_FILE) {
    const documents = Array.from({ length: Math.min(DOCUMENTS_PER_FILE, count - first) }, (_, index) =>
      document(first + index),
    );
    writeFileSync(join(manifests, `${first}.yaml`), documents.join('---\n'));
  }
  return manifests;
}

const wallMs = (): number => performance.timeOrigin + performance.now();

/** The starts of the watched slots, of schedules that are all in force before the first of them. */
export async function watchTicks(watched: Watched): Promise<readonly Start[]> {
  const { name, count, everyMs, slots, aof } = watched;
  progress(`${count} schedules, every ${everyMs / SECOND_MS} s`);
  await using redis = await startRedis({ aof });
  const file = join(folder, `${name}.starts`);
  writeFileSync(file, '');
  await using consumer = tidemill('consumer', {
    ...{ redis: redis.url, args: ['--tasks', TASKS], env: { BENCH_STARTS: file } },
  });
  await using scheduler = tidemill('scheduler', { redis: redis.url, args: [writeManifests(watched)] });
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

export interface Lateness {
  readonly schedules: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly missed: number;
  readonly doubled: number;
}

/** From the slot, which is what the schedule says, to the first line of the task. */
export function latenessOf(starts: readonly Start[], { count, slots }: Watched): Lateness {
  const lateness = starts.map(({ slotMs, atMs }) => atMs - slotMs);
  const distinct = new Set(starts.map(({ schedule, slotMs }) => `${schedule}@${slotMs}`)).size;
  return {
    schedules: count,
    p50Ms: rounded(percentile(lateness, 0.5)),
    p99Ms: rounded(percentile(lateness, 0.99)),
    maxMs: rounded(lateness.reduce((most, ms) => Math.max(most, ms), 0)),
    missed: count * slots - distinct,
    doubled: starts.length - distinct,
  };
}
