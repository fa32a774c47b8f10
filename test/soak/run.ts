/**
 * `npm run soak -- --minutes M [--seed S] [--rate R] [--gap SECONDS] [--json] [--record]`: a fleet under mixed load while processes, Redis
 * and the network fail at random; then the books. Exit 1 when a promise was broken.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { printJson, progress } from '../../bench/lib/report.ts';
import { writePage } from '../faults/page.ts';
import { RandomSource } from '../support/random.ts';
import { until } from '../support/until.ts';
import { Books } from './books.ts';
import { strikeFaults } from './faults.ts';
import { QUEUE, SoakFleet } from './fleet.ts';
import { isAway, Load, pause } from './load.ts';
import { keepSoak } from './record.ts';
import { printReport, type SoakResult } from './report.ts';
import { type Findings, violations } from './verdict.ts';

const HELP = `npm run soak -- --minutes M [flags]

Runs consumers and schedulers on a Redis of their own under mixed load, and lets processes, Redis and the network fail at
random. At the end every run, slot and request by hand must be accounted for. Exit 1 when a promise was broken.

  --minutes M    how long faults strike (default 2); start and account come on top
  --seed S       what is drawn: the kinds of runs, the faults and their lengths (default: a new one, which is printed)
  --rate R       runs enqueued a second (default 40)
  --gap SECONDS  mean pause between two faults, of processes and of Redis each (default 8)
  --json         the last line is the result as one JSON object
  --record       keeps the figures for docs/reference/faults.md, and writes that page
  --help         this text`;

const SAMPLE_EVERY_MS = 5_000;
const TELL_EVERY_MS = 60_000;
const LEAVE_DEADLINE_MS = 10_000;

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly rate: number;
  readonly gapMs: number;
  readonly json: boolean;
  readonly record: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '2' },
      seed: { type: 'string', default: String(1 + Math.floor(Math.random() * 2 ** 31)) },
      rate: { type: 'string', default: '40' },
      gap: { type: 'string', default: '8' },
      json: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    process.exit(0);
  }
  const number = (flag: 'minutes' | 'seed' | 'rate' | 'gap'): number => {
    const value = Number(values[flag]);
    if (Number.isFinite(value) && value > 0) return value;
    process.stderr.write(`--${flag} must be a number above 0, not ${JSON.stringify(values[flag])}\n`);
    process.exit(64);
  };
  return {
    ...{ minutes: number('minutes'), seed: number('seed'), rate: number('rate') },
    ...{ gapMs: number('gap') * 1_000, json: values.json, record: values.record },
  };
}

async function startMembers(fleet: SoakFleet): Promise<void> {
  await fleet.add('consumer', { steady: true });
  await fleet.add('consumer', { proxied: true });
  await fleet.add('consumer');
  await fleet.add('scheduler', { steady: true, proxied: true });
  await fleet.add('scheduler');
  await fleet.ready();
}

/** Samples processes and books decisions while the faults strike. */
async function keepBooks(fleet: SoakFleet, books: Books, load: Load, signal: AbortSignal): Promise<void> {
  const startMs = performance.now();
  let toldMs = startMs;
  while (!signal.aborted) {
    await pause(SAMPLE_EVERY_MS, signal);
    const nowMs = performance.now();
    fleet.sample(nowMs);
    // Redis may be away just now; what was decided is still there at the next look.
    await books.advance().catch((error: unknown) => {
      if (!isAway(error)) throw error;
    });
    if (nowMs - toldMs < TELL_EVERY_MS) continue;
    toldMs = nowMs;
    const { slots, undecided, doubled } = books.slots;
    progress(
      `${((nowMs - startMs) / 60_000).toFixed(0)} min: ${load.ids.length} runs, ${slots} slots (undecided ${undecided}, doubled ${doubled}), surprises ${fleet.surprises.length}`,
    );
  }
}

/** Faults are over: schedulers go first, so that no more becomes due; then consumers work off what is left. */
async function settle(fleet: SoakFleet, books: Books, load: Load): Promise<Findings> {
  const { schedules } = fleet.broker.queue(QUEUE);
  const nowMs = await fleet.broker.now();
  await until(
    'every slot and request up to the end of the faults is decided',
    async () => {
      await books.advance();
      const states = await schedules.states(fleet.uids);
      const through = states.every((state) => (state?.watermarkMs ?? 0) >= nowMs);
      return through && books.triggers(load.requests).undecided === 0;
    },
    {
      deadlineMs: 90_000,
      describe: () => JSON.stringify({ ...books.slots, ...books.triggers(load.requests) }),
    },
  );
  await fleet.stop('scheduler');
  await books.advance();
  const runs = await books.runs(load);
  const trends = fleet.trends();
  await fleet.stop('consumer');
  let left = fleet.processes();
  const deadlineMs = performance.now() + LEAVE_DEADLINE_MS;
  while (left.length > 0 && performance.now() < deadlineMs) {
    await sleep(100);
    left = fleet.processes();
  }
  return {
    ...{ runs, slots: books.slots, triggers: books.triggers(load.requests), trends },
    ...{ surprises: fleet.surprises, leakedProcesses: left.length, startsGivenUp: fleet.startsGivenUp },
  };
}

async function soak({ minutes, seed, rate, gapMs }: Options): Promise<SoakResult> {
  await using fleet = await SoakFleet.start();
  await using overNetwork = await connectRedis({ url: fleet.proxy.url });
  await startMembers(fleet);
  const load = new Load([fleet.broker, overNetwork], new RandomSource(seed), rate);
  const books = new Books(fleet);
  const signal = AbortSignal.timeout(minutes * 60_000);
  const [, faults] = await Promise.all([
    load.run(fleet.byHandUid, signal),
    strikeFaults(fleet, [new RandomSource(seed + 1), new RandomSource(seed + 2)], gapMs, signal),
    keepBooks(fleet, books, load, signal),
  ]);
  progress('the faults are over: what is left is worked off');
  const findings = await settle(fleet, books, load);
  return { ...findings, minutes, seed, faults, load: load.counts, violations: violations(findings) };
}

const options = readOptions();
progress(`soak of ${options.minutes} minutes, seed ${options.seed}`);
const result = await soak(options);
printReport(result);
if (options.record) {
  keepSoak(result);
  await writePage();
}
printJson(options.json, result);
process.exitCode = result.violations.length === 0 ? 0 : 1;
