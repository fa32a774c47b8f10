/**
 * How long processes take to start: `tidemill consumer` with ten tasks until the first line of a run that waited for it,
 * and `tidemill --help`; beside a Node that does nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { startRedis } from './lib/redis.ts';
import { job } from './lib/job.ts';
import { sharedNowMs } from './lib/measured-process.ts';
import { readOptions, type NumberFlag } from './lib/options.ts';
import { linkTidemill } from './lib/peers.ts';
import { plainModules } from './lib/plain-modules.ts';
import { printJson, printTable, rounded } from './lib/report.ts';
import { median } from './lib/statistics.ts';
import { tidemill } from './lib/tidemill.ts';

const rounds: NumberFlag = { help: 'how often each is started; the median counts', default: 10 };
const { json, aof, size } = readOptions('start', 'Starts processes, and measures until they are of use.', {
  rounds,
});
linkTidemill();
const { connect } = await import('tidemill/client');

const BINARY = join(import.meta.dirname, '../bin/tidemill.js');
const tasks = plainModules('tidemill/ten-tasks.ts', 'lib/start-report.ts', 'lib/measured-process.ts');

await using redis = await startRedis({ aof });
await using client = await connect(redis.url);

const Start = z.object({ atMs: z.number(), cpuMs: z.number() });

interface Sample {
  readonly ms: number;
  /** Of all threads of the process, not of its children. A busy machine changes it less than the time. */
  readonly cpuMs: number;
}

/** Its children are not waited for. */
async function consumerReady(): Promise<Sample> {
  await client.enqueue('first', job(0));
  const sinceMs = sharedNowMs();
  await using consumer = tidemill('consumer', { redis: redis.url, args: ['--tasks', tasks] });
  const { atMs, cpuMs } = await consumer.next(Start);
  await consumer.stop();
  return { ms: atMs - sinceMs, cpuMs };
}

/** Preloaded; its cost is that of `node -e 0`, too. */
const TELL_CPU = `data:text/javascript,${encodeURIComponent(
  "process.on('exit', () => { const { user, system } = process.cpuUsage(); process.stderr.write(`CPU ${(user + system) / 1e3}\\n`); });",
)}`;

async function untilExit(args: readonly string[]): Promise<Sample> {
  const sinceMs = sharedNowMs();
  const child = spawn(process.execPath, ['--import', TELL_CPU, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said = text(child.stderr);
  await once(child, 'exit');
  const ms = sharedNowMs() - sinceMs;
  const cpuMs = /^CPU ([\d.]+)$/m.exec(await said)?.[1];
  if (cpuMs === undefined) throw new Error(`${args.join(' ')} did not tell its CPU time: ${await said}`);
  return { ms, cpuMs: Number(cpuMs) };
}

const samples = { consumer: [] as Sample[], help: [] as Sample[], node: [] as Sample[] };
for (let round = 1; round <= size('rounds'); round += 1) {
  samples.node.push(await untilExit(['-e', '0']));
  samples.help.push(await untilExit([BINARY, '--help']));
  samples.consumer.push(await consumerReady());
}
const wholeMedian = (of: readonly Sample[], pick: (sample: Sample) => number): number =>
  rounded(median(of.map(pick)), 0);
const msOf = (of: readonly Sample[]): number => wholeMedian(of, ({ ms }) => ms);
const cpuMsOf = (of: readonly Sample[]): number => wholeMedian(of, ({ cpuMs }) => cpuMs);
const result = {
  name: 'start',
  consumerReadyMs: msOf(samples.consumer),
  helpMs: msOf(samples.help),
  nodeMs: msOf(samples.node),
  cpuMs: {
    consumer: cpuMsOf(samples.consumer),
    help: cpuMsOf(samples.help),
    node: cpuMsOf(samples.node),
  },
};
printTable(
  ['start', 'ms', 'of node -e 0', 'CPU ms'],
  [
    [
      'tidemill consumer, ten tasks, first line of a waiting run',
      result.consumerReadyMs,
      ratio(result.consumerReadyMs),
      result.cpuMs.consumer,
    ],
    ['tidemill --help', result.helpMs, ratio(result.helpMs), result.cpuMs.help],
    ['node -e 0', result.nodeMs, '', result.cpuMs.node],
  ],
);
printJson(json, result);

function ratio(ms: number): string {
  return `${(ms / result.nodeMs).toFixed(1)} ×`;
}
