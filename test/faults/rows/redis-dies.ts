/** Rows 5, 6 and 20: Redis is killed, loses the end of its journal, or forgets its scripts. */
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildCopy } from '../../support/build-copy.ts';
import { until } from '../../support/until.ts';
import { defineRow } from '../row.ts';
import { EACH_SLOT } from '../schedules.ts';
import { Stream } from '../stream.ts';
import { type Account, inChunks, World } from '../world.ts';

const flags = ['--concurrency', '20'];
const RESUMED_WITHIN_MS = 5_000;

interface Killed extends Account {
  readonly slowestResumeMs: number;
}

async function killRounds(build: BuildCopy, rounds: number, fsync: 'always' | 'everysec'): Promise<Killed> {
  await using world = await World.start(build, { aof: true, settings: ['--appendfsync', fsync] });
  await Promise.all([1, 2].map(() => world.consumer({ flags })));
  const stream = new Stream(world.client, 'work', { ms: 20 });
  let slowestResumeMs = 0;
  for (let round = 0; round < rounds; round += 1) {
    const target = world.executions() + 300;
    await until('enough of them began', () => world.executions() >= target, { deadlineMs: 60_000 });
    await world.redis.kill();
    await world.redis.restart();
    const upAt = performance.now();
    const begun = world.executions();
    await until('runs begin again', () => world.executions() > begun);
    slowestResumeMs = Math.max(slowestResumeMs, Math.round(performance.now() - upAt));
  }
  const ids = await stream.stop();
  return { ...(await world.account(ids)), slowestResumeMs };
}

export const killedRedis = defineRow({
  row: 5,
  fault: 'Redis is killed and started again',
  injection:
    'kill -9 of a Redis with a journal under load, once with appendfsync always and once with everysec',
  promise:
    'with appendfsync always no acknowledged run is lost; with everysec Redis may lose what it acknowledged while a sync was under way, which is counted',
  waits: true,
  short: { rounds: 2 },
  long: { rounds: 20 },
  async run({ rounds }, { build }) {
    const always = await killRounds(build, rounds, 'always');
    const everysec = await killRounds(build, rounds, 'everysec');
    return {
      runs: always.runs,
      lost: always.lost,
      settledTwice: always.settledTwice,
      slowestResumeMs: Math.max(always.slowestResumeMs, everysec.slowestResumeMs),
      everysecRuns: everysec.runs,
      everysecLost: everysec.lost,
      everysecSettledTwice: everysec.settledTwice,
    };
  },
  accept: {
    'no acknowledged run is lost where each write is synced': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice, everysecSettledTwice }) =>
      settledTwice === 0 && everysecSettledTwice === 0,
    'with everysec at most 1 in 100 is lost': ({ everysecRuns, everysecLost }) =>
      everysecLost * 100 <= everysecRuns,
    'runs begin again within 5 s of its return': ({ slowestResumeMs }) =>
      slowestResumeMs <= RESUMED_WITHIN_MS,
  },
});

export const powerLoss = defineRow({
  row: 6,
  fault: 'power is lost: the last second of the journal is gone',
  injection: 'kill -9 of Redis, its journal cut to what it was a second before, in the middle of a command',
  promise: 'slots of the lost second are decided again; runs enqueued by hand in it are lost, and counted',
  waits: true,
  short: { rounds: 1 },
  long: { rounds: 10 },
  async run({ rounds }, { build }) {
    await using world = await World.start(build, { aof: true });
    await world.consumer({ flags });
    const every = '200ms';
    const folder = world.schedules('power', [['fast', `task: tick, every: ${every}, ${EACH_SLOT}`]]);
    const uid = world.uid('fast');
    await world.scheduler(folder);
    const fromMs = (await world.broker.now()) + 2_000;
    await world.decided([uid], fromMs);
    const stream = new Stream(world.client, 'work', { ms: 20 });
    let [exposed, cutBytes] = [0, 0];
    for (let round = 0; round < rounds; round += 1) {
      await world.decided([uid], (await world.broker.now()) + 2_000);
      const file = await journalOf(world);
      const [bytes, acknowledged] = [statSync(file).size, stream.acknowledged];
      await sleep(1_000);
      await world.redis.kill();
      exposed += stream.acknowledged - acknowledged;
      cutBytes += statSync(file).size - bytes;
      truncateSync(file, bytes - 3);
      await world.redis.restart();
      await world.decided([uid], (await world.broker.now()) + 2_000);
    }
    const ids = await stream.stop();
    const untilMs = await world.broker.now();
    await world.decided([uid], untilMs);
    const slots = await world.slots([[uid, every]], { fromMs, untilMs });
    const lost = await lostOf(world, ids);
    return { ...slots, runs: ids.length, lost, exposed, cutBytes };
  },
  accept: {
    'something was cut': ({ cutBytes }) => cutBytes > 0,
    'each slot has its decision': ({ undecided, slots }) => undecided === 0 && slots > 0,
    'no slot has two': ({ doubled }) => doubled === 0,
    // One command more, since the cut goes through the middle of the last one before.
    'lost are runs of the cut second at most': ({ lost, exposed }) => lost <= exposed + 20,
  },
});

async function journalOf(world: World): Promise<string> {
  const answer = await world.redis.command('CONFIG', 'GET', 'dir');
  const folder = join(answer.split('\r\n').at(-2) ?? '', 'appendonlydir');
  const name = readdirSync(folder).find((file) => file.endsWith('.incr.aof'));
  if (name === undefined) throw new Error(`no journal in ${folder}`);
  return join(folder, name);
}

async function lostOf(world: World, ids: readonly string[]): Promise<number> {
  const { runs } = world.broker.queue('default');
  await until('runs that are known have ended', async () => {
    const { pending, running } = await world.stats();
    return pending < 5 && running < 5;
  });
  const records = await inChunks(ids, (id) => runs.get(id));
  return records.filter((record) => record === undefined).length;
}

export const forgottenScripts = defineRow({
  row: 20,
  fault: 'Redis forgets its scripts',
  injection: 'SCRIPT FLUSH again and again under load',
  promise: 'nobody notices: no call fails, no run is lost',
  waits: true,
  short: { flushes: 40 },
  long: { flushes: 1_000 },
  async run({ flushes }, { build }) {
    await using world = await World.start(build);
    const consumer = await world.consumer({ flags });
    const stream = new Stream(world.client, 'work', { ms: 5 });
    for (let flush = 0; flush < flushes; flush += 1) {
      await world.redis.command('SCRIPT', 'FLUSH');
      const target = stream.acknowledged + 20;
      await until('more is acknowledged', () => stream.acknowledged >= target);
    }
    const ids = await stream.stop();
    const account = await world.account(ids);
    const told = consumer.lines.filter((line) => /NOSCRIPT|"code":"INTERNAL"/.test(line)).length;
    const unanswered = consumer.lines.filter((line) => line.includes('queue call failed')).length;
    return { ...account, failedCalls: stream.failed, told, unanswered, longestGapMs: stream.longestGapMs };
  },
  accept: {
    'no call of a producer fails': ({ failedCalls }) => failedCalls === 0,
    'no process tells of a missing script': ({ told }) => told === 0,
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'no body begins twice': ({ extraExecutions }) => extraExecutions === 0,
  },
});
