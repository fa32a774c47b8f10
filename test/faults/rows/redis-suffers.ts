/** Rows 8, 17, 19 and 21: Redis stands still, is full, cannot write its journal, or locks us out. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { Client } from '../../../src/client/client.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { sampleOf } from '../../soak/trend.ts';
import { defineRow } from '../row.ts';
import { Stream } from '../stream.ts';
import { httpOf, World } from '../world.ts';

const flags = ['--concurrency', '20'];
const MIB = 1024 * 1024;

const isReady = async (url: string): Promise<boolean> => (await fetch(`${url}/readyz`)).status === 200;

async function isUnready(url: string, why: RegExp): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`);
  return answer.status === 503 && why.test(await answer.text());
}

export const frozenRedis = defineRow({
  row: 8,
  fault: 'Redis stands still',
  injection: 'SIGSTOP of Redis for 20 s under load, SIGCONT',
  promise: 'each call ends within 5 s, the consumer is not ready but alive, and goes on when Redis does',
  waits: true,
  short: { frozenMs: 20_000 },
  long: { frozenMs: 60_000 },
  async run({ frozenMs }, { build }) {
    await using world = await World.start(build);
    const consumer = await world.consumer({ flags });
    const http = await httpOf(consumer);
    const stream = new Stream(world.client, 'work', { ms: 20 });
    await until('the load runs', () => world.executions() >= 300);
    const before = sampleOf(consumer.pid, 0);
    world.redis.freeze();
    const frozenAt = performance.now();
    await until('the consumer says that it is not ready', async () => !(await isReady(http)));
    const unreadyMs = Math.round(performance.now() - frozenAt);
    await until('it has stood still for long enough', () => performance.now() - frozenAt >= frozenMs, {
      deadlineMs: frozenMs + 5_000,
    });
    const after = sampleOf(consumer.pid, 0);
    world.redis.thaw();
    const thawedAt = performance.now();
    const begun = world.executions();
    await until('runs begin again', () => world.executions() > begun);
    const resumedMs = Math.round(performance.now() - thawedAt);
    await until('the consumer is ready again', () => isReady(http));
    const ids = await stream.stop();
    const account = await world.account(ids);
    assert.ok(before !== undefined && after !== undefined, 'the consumer has died');
    return {
      ...account,
      ...{ unreadyMs, resumedMs, failedCalls: stream.failed, slowestFailureMs: stream.slowestFailureMs },
      grownMiB: Math.round(after.rssMiB - before.rssMiB),
    };
  },
  accept: {
    'calls fail': ({ failedCalls }) => failedCalls > 0,
    'each within 5 s': ({ slowestFailureMs }) => slowestFailureMs <= 5_000,
    'the consumer is not ready within 10 s': ({ unreadyMs }) => unreadyMs <= 10_000,
    'it grows by less than 20 MiB': ({ grownMiB }) => grownMiB < 20,
    'runs begin again within 3 s of the thaw': ({ resumedMs }) => resumedMs <= 3_000,
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
  },
});

/** Takes what memory is left, in pieces that get smaller. @returns names of the keys */
async function fill(redis: RedisServer): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const bytes of [MIB, 100_000, 10_000, 1_000, 200]) {
    while (true) {
      const key = `filler-${keys.length}`;
      const answer = await redis.command('SETRANGE', key, String(bytes), 'x');
      if (answer.startsWith('-OOM')) break;
      assert.match(answer, /^:/);
      keys.push(key);
    }
  }
  return keys;
}

export const fullRedis = defineRow({
  row: 17,
  fault: 'Redis is out of memory',
  injection: 'maxmemory, filled to the last byte while runs wait; then the filler is deleted',
  promise:
    'enqueues are refused with a reason, what waits is claimed and settled, and all goes on when there is room',
  waits: true,
  short: { runs: 2_000 },
  long: { runs: 20_000 },
  async run({ runs }, { build }) {
    await using world = await World.start(build, { maxMemoryBytes: 64 * MIB });
    const retained = ['--retain-succeeded-bytes', '16MiB', '--retain-failed-bytes', '8MiB'];
    const waiting = await world.enqueue('work', runs, { ms: 5 });
    const fillers = await fill(world.redis);
    let refusals = 0;
    let named = 0;
    const refused = async (): Promise<boolean> => {
      const error = await world.client
        .enqueue('work', { ms: 5 }, { id: `refused-${refusals}` })
        .then(() => undefined)
        .catch((failure: unknown) => failure);
      if (error === undefined) return false;
      refusals += 1;
      if (error instanceof Error && /memory/i.test(error.message)) named += 1;
      return true;
    };
    assert.ok(await refused(), 'a full Redis took a run');
    await world.consumer({ flags: [...flags, ...retained] });
    await world.drained(120_000);
    const settledWhileFull = world.executions();
    await world.redis.command('DEL', ...fillers);
    const later = await world.enqueue('work', 100, { ms: 5 }, runs);
    const account = await world.account([...waiting, ...later]);
    return { ...account, refusals, named, settledWhileFull };
  },
  accept: {
    'enqueues were refused, and each says why': ({ refusals, named }) => refusals > 0 && refusals === named,
    'all that waited was claimed and settled while it was full': ({ settledWhileFull }, { runs }) =>
      settledWhileFull === runs,
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'no body begins twice': ({ extraExecutions }) => extraExecutions === 0,
  },
});

/** A disk of 24 MiB of memory. */
class SmallDisk implements Disposable {
  readonly path: string;

  constructor() {
    assert.equal(process.getuid?.(), 0, 'row 19 mounts a small disk: run it as root');
    this.path = mkdtempSync(join(tmpdir(), 'tidemill-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', this.path]);
  }

  /** To the last block, whoever else writes meanwhile. */
  fill(): void {
    const block = Buffer.alloc(4_096);
    const file = openSync(join(this.path, 'filler'), 'w');
    try {
      while (true) writeSync(file, block);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(join(this.path, 'filler'));
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [this.path]);
    rmSync(this.path, { recursive: true });
  }
}

export const fullDisk = defineRow({
  row: 19,
  fault: 'the disk of the journal is full',
  injection: 'a Redis with a journal on a tmpfs of 24 MiB, filled under load; then the filler is deleted',
  promise:
    'producers are told MISCONF, the consumer is not ready and says why, no run is lost, and all goes on within 5 s of there being room',
  waits: true,
  short: { rounds: 1 },
  long: { rounds: 10 },
  async run({ rounds }, { build }) {
    using disk = new SmallDisk();
    const directory = join(disk.path, 'redis');
    mkdirSync(directory);
    const redis = await RedisServer.start({
      aof: true,
      directory,
      settings: ['--auto-aof-rewrite-percentage', '0'],
    });
    await using world = await World.on(redis, build);
    const consumer = await world.consumer({ flags });
    const repeats = ['BROKER_UNAVAILABLE', 'BROKER_REFUSED'] as const;
    const stream = new Stream(world.client, 'work', { ms: 20 }, { repeats });
    const http = await httpOf(consumer);
    let [told, slowestUnreadyMs, slowestResumeMs, slowestReadyMs] = [0, 0, 0, 0];
    for (let round = 0; round < rounds; round += 1) {
      const target = world.executions() + 200;
      await until('the load runs', () => world.executions() >= target);
      disk.fill();
      const filledAt = performance.now();
      const failed = stream.failed;
      await until('the producer is told', () => stream.failed > failed + 5, { deadlineMs: 60_000 });
      if (/MISCONF/.test(`${stream.lastError?.message} ${String(stream.lastError?.cause)}`)) told += 1;
      await until('the consumer says that it is not ready, and why', () => isUnready(http, /MISCONF/));
      slowestUnreadyMs = Math.max(slowestUnreadyMs, Math.round(performance.now() - filledAt));
      disk.free();
      const freedAt = performance.now();
      const begun = world.executions();
      await until('runs begin again', () => world.executions() > begun + 40);
      slowestResumeMs = Math.max(slowestResumeMs, Math.round(performance.now() - freedAt));
      await until('the consumer is ready again', () => isReady(http));
      slowestReadyMs = Math.max(slowestReadyMs, Math.round(performance.now() - freedAt));
    }
    const ids = await stream.stop();
    const account = await world.account(ids);
    return {
      ...{ ...account, rounds, told, slowestUnreadyMs, slowestResumeMs, slowestReadyMs },
      consumerAlive: consumer.running ? 1 : 0,
    };
  },
  accept: {
    'each time the producer was told MISCONF': ({ told, rounds }) => told === rounds,
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'the consumer is not ready within 15 s, and says MISCONF': ({ slowestUnreadyMs }) =>
      slowestUnreadyMs <= 15_000,
    'it is ready again within 10 s of there being room': ({ slowestReadyMs }) => slowestReadyMs <= 10_000,
    'runs begin again within 5 s': ({ slowestResumeMs }) => slowestResumeMs <= 5_000,
    'the consumer lives': ({ consumerAlive }) => consumerAlive === 1,
  },
});

export const changedPassword = defineRow({
  row: 21,
  fault: 'the password of Redis is changed under a running consumer',
  injection: 'ACL SETUSER with another password and CLIENT KILL, under load; later the old password again',
  promise:
    'the error names the password within 5 s, and all goes on without a restart when it is right again',
  waits: true,
  short: { lockedOutMs: 6_000 },
  long: { lockedOutMs: 60_000 },
  async run({ lockedOutMs }, { build }) {
    await using world = await World.start(build);
    const password = (word: string): Promise<string> =>
      world.redis.command('ACL', 'SETUSER', 'app', 'on', 'resetpass', `>${word}`, '~*', '&*', '+@all');
    await password('old');
    const url = `redis://app:old@127.0.0.1:${world.redis.port}`;
    await using broker = await connectRedis({ url });
    const consumer = await world.consumer({ url, flags });
    const repeats = ['BROKER_UNAVAILABLE', 'BROKER_REFUSED'] as const;
    const stream = new Stream(new Client(broker), 'work', { ms: 20 }, { repeats });
    await until('the load runs', () => world.executions() >= 200);
    await password('new');
    await world.redis.command('CLIENT', 'KILL', 'USER', 'app');
    const changedAt = performance.now();
    await until('the producer is told', () => stream.failed > 0);
    const toldMs = Math.round(performance.now() - changedAt);
    await until('the consumer names it', () =>
      consumer.lines.some((line) => /WRONGPASS|password/i.test(line)),
    );
    const consumerToldMs = Math.round(performance.now() - changedAt);
    await until('it was locked out for long enough', () => performance.now() - changedAt > lockedOutMs, {
      deadlineMs: lockedOutMs + 5_000,
    });
    const named = /WRONGPASS|password/i.test(
      `${stream.lastError?.message} ${String(stream.lastError?.cause)}`,
    );
    await password('old');
    const healedAt = performance.now();
    const begun = world.executions();
    await until('runs begin again', () => world.executions() > begun + 40);
    const resumedMs = Math.round(performance.now() - healedAt);
    const ids = await stream.stop();
    const account = await world.account(ids);
    return {
      ...account,
      toldMs,
      consumerToldMs,
      named: named ? 1 : 0,
      resumedMs,
      restarts: consumer.running ? 0 : 1,
    };
  },
  accept: {
    'the producer is told within 5 s, and by the right reason': ({ toldMs, named }) =>
      toldMs <= 5_000 && named === 1,
    // Its heartbeat thread and its calls find out after their time-out of 4 s; a loaded machine adds to it.
    'the consumer names it within 8 s': ({ consumerToldMs }) => consumerToldMs <= 8_000,
    'runs begin again within 10 s of the right password': ({ resumedMs }) => resumedMs <= 10_000,
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'no process was restarted': ({ restarts }) => restarts === 0,
  },
});
