/**
 * How long processes take to start: `tidemill consumer` with ten tasks until the first line of a run that waited for it,
 * and `tidemill --help`; beside a Node that does nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { RedisServer } from '../test/support/redis-server.ts';
import { job } from './lib/job.ts';
import { sharedNowMs } from './lib/measured-process.ts';
import { readOptions, type NumberFlag } from './lib/options.ts';
import { linkTidemill } from './lib/peers.ts';
import { nextStartOf } from './lib/ping.ts';
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

await using redis = await RedisServer.start({ aof });
await using client = await connect(redis.url);

/** Its children are under way meanwhile, and are not waited for. */
async function consumerReadyMs(): Promise<number> {
  await client.enqueue('first', job(0));
  const sinceMs = sharedNowMs();
  await using consumer = tidemill('consumer', { redis: redis.url, args: ['--tasks', tasks] });
  const { atMs } = await nextStartOf(consumer)();
  await consumer.stop();
  return atMs - sinceMs;
}

async function exitMs(args: readonly string[]): Promise<number> {
  const sinceMs = sharedNowMs();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await once(child, 'exit');
  return sharedNowMs() - sinceMs;
}

const samples = { consumer: [] as number[], help: [] as number[], node: [] as number[] };
for (let round = 1; round <= size('rounds'); round += 1) {
  samples.node.push(await exitMs(['-e', '0']));
  samples.help.push(await exitMs([BINARY, '--help']));
  samples.consumer.push(await consumerReadyMs());
}
const result = {
  name: 'start',
  consumerReadyMs: rounded(median(samples.consumer), 0),
  helpMs: rounded(median(samples.help), 0),
  nodeMs: rounded(median(samples.node), 0),
};
printTable(
  ['start', 'ms', 'of node -e 0'],
  [
    [
      'tidemill consumer, ten tasks, first line of a waiting run',
      result.consumerReadyMs,
      ratio(result.consumerReadyMs),
    ],
    ['tidemill --help', result.helpMs, ratio(result.helpMs)],
    ['node -e 0', result.nodeMs, ''],
  ],
);
printJson(json, result);

function ratio(ms: number): string {
  return `${(ms / result.nodeMs).toFixed(1)} ×`;
}
