/** The heartbeat's thread: a blocked loop keeps its leases; one that is stuck for good loses them, and its process ends. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { register, request } from './work.ts';

const LEASE_MS = 1_200;
const BLOCKED_LOOP = new URL('./blocked-loop.ts', import.meta.url).pathname;

interface Blocked extends AsyncDisposable {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly errors: Promise<string>;
}

/** Starts the process; resolves when its loop is blocked. */
async function startBlocked(url: string, stallMs: number, blockMs: number): Promise<Blocked> {
  const child = spawn(
    process.execPath,
    [BLOCKED_LOOP, url, String(LEASE_MS), String(stallMs), String(blockMs)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const errors = text(child.stderr);
  const lines: readonly unknown[] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(30_000) });
  assert.match(String(lines[0]), /blocking/);
  const dispose = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  };
  return { child, errors, [Symbol.asyncDispose]: dispose };
}

test('an event loop that is blocked for two leases keeps its run, and settles it', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await queue.runs.enqueue([request('a')]);
  await using blocked = await startBlocked(server.url, 60_000, 2 * LEASE_MS);
  const ended: string[] = [];
  const [output] = await Promise.all([
    once(blocked.child.stdout, 'data', { signal: AbortSignal.timeout(30_000) }),
    until('the process is done', async () => {
      ended.push(...(await queue.work.recover()).ended);
      return blocked.child.exitCode !== null;
    }),
  ]);
  assert.equal(String(output[0]).trim(), 'settled');
  assert.deepEqual(ended, []);
});

test('a loop that is stuck beyond its bound loses its run to another consumer, and its process is killed with a line that says why', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await queue.runs.enqueue([request('a')]);
  await using blocked = await startBlocked(server.url, LEASE_MS, 120_000);
  await register(queue, 'other', { leaseMs: 60_000 });
  const run = await until('another consumer has the run', async () => {
    await queue.work.recover();
    return (await queue.work.cycle({ incarnation: 'other', settle: [], claim: { io: 1, cpu: 0 } }))
      .claimed[0];
  });
  assert.equal(run.suspect, true);
  await until('the process is dead', () => blocked.child.signalCode === 'SIGKILL');
  const lines = (await blocked.errors).trim().split('\n');
  const line: unknown = JSON.parse(lines.find((each) => each.includes('"fatal"')) ?? '{}');
  assert.ok(typeof line === 'object' && line !== null && 'msg' in line);
  assert.match(String(line.msg), /event loop is stuck/);
});

test('settles without an answer for two leases stop the renewals, and an answer starts them again', async () => {
  await using server = await RedisServer.start();
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  const leaseMs = 400;
  await register(queue, 'one', { leaseMs });
  let renewals = 0;
  await using heartbeat = broker.startHeartbeat({
    ...{ incarnation: 'one', queues: ['default'], leaseMs, renewEveryMs: leaseMs / 4, stallMs: 60_000 },
    onCancellations: () => undefined,
    onLeaseGone: () => undefined,
    onRenewal: () => void (renewals += 1),
  });
  await until('renewals come', () => renewals > 8);
  heartbeat.unansweredSince(performance.now());
  let last = renewals;
  let quietSinceMs = performance.now();
  await until('renewals stop', () => {
    if (renewals !== last) [last, quietSinceMs] = [renewals, performance.now()];
    return performance.now() - quietSinceMs > 2 * leaseMs;
  });
  heartbeat.unansweredSince(undefined);
  await until('renewals come again', () => renewals > last + 2);
});

test('the heartbeat tells of a lease that is gone and of cancellations, and survives a restart of Redis', async () => {
  await using server = await RedisServer.start({ aof: true });
  await using broker = await connectRedis({ url: server.url });
  const queue = broker.queue('default');
  await register(queue, 'one', { leaseMs: 60_000 });
  await queue.runs.enqueue([request('a')]);
  await queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 1, cpu: 0 } });
  const seen = { cancelled: new Set<string>(), gone: 0, results: new Set<string>() };
  await using heartbeat = broker.startHeartbeat({
    ...{ incarnation: 'one', queues: ['default'], leaseMs: 60_000, renewEveryMs: 50, stallMs: 60_000 },
    onCancellations: (_queue, cancellations) =>
      cancellations.forEach(({ id, reason }) => seen.cancelled.add(`${id}: ${reason}`)),
    onLeaseGone: () => (seen.gone += 1),
    onRenewal: (result) => seen.results.add(result),
  });
  heartbeat.beat();
  await until('a renewal', () => seen.results.has('ok'));
  await server.kill();
  await until('a renewal fails', () => seen.results.has('error'));
  await server.restart();
  await until('calls work again', () => queue.runs.cancel(['a'], 'enough').catch(() => undefined));
  await until('the cancellation arrives', () => seen.cancelled.has('a: enough'));
  await queue.work.leave('one');
  await until('the lease is reported gone', () => seen.gone > 0);
  assert.ok(seen.results.has('lost'));
});
