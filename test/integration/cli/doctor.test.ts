/** `tidemill doctor --run-noop`, and the built-in task: against a real Redis, with a real consumer and with ones that stand still. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEFAULT_QUEUE_SETTINGS, type Queue } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import type { RedisBroker } from '../../../src/broker/redis/redis-broker.ts';
import { buildManifest, describeTask } from '../../../src/task/build-manifest.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import { newIncarnation } from '../../../src/task/ids.ts';
import type { TaskManifest } from '../../../src/task/manifest.ts';
import { TaskRegistry } from '../../../src/task/registry.ts';
import { type CommandResult, tidemill } from '../../support/fake-io.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';

const TASKS = join(import.meta.dirname, '../../fixtures/cli/tasks.ts');
const LEASE_MS = 60_000;

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly message: string;
}

let redis: RedisServer;
let broker: RedisBroker;
let consumer: TidemillProcess;

const run = (...args: readonly string[]): Promise<CommandResult> =>
  tidemill(args, { environment: { TIDEMILL_REDIS_URL: redis.url } });

async function noops(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly noops: readonly Finding[] }> {
  const { code, json } = await run('doctor', '--run-noop', ...args, '--json');
  const { findings } = json() as { findings: readonly Finding[] };
  return { code, noops: findings.filter(({ check }) => check === 'noop') };
}

/** One that is registered and does nothing by itself. */
async function idleConsumer(
  queue: Queue,
  manifest: TaskManifest = buildManifest(new TaskRegistry(), 1),
  leaseMs = LEASE_MS,
): Promise<string> {
  const incarnation = newIncarnation();
  await queue.work.register({
    ...{ incarnation, leaseMs, manifest, settings: DEFAULT_QUEUE_SETTINGS },
    consumer: { host: 'idle', pid: 7, version: '0.0.1' },
  });
  return incarnation;
}

before(async () => {
  redis = await RedisServer.start();
  broker = await connectRedis({ url: redis.url });
  consumer = new TidemillProcess(['consumer', '--tasks', TASKS, '--queue', 'default,slow', '--drain', '1s'], {
    TIDEMILL_REDIS_URL: redis.url,
    TIDEMILL_HTTP_PORT: '0',
  });
  await until('the consumer is registered in both queues', async () => {
    const all = await Promise.all(['default', 'slow'].map((name) => broker.queue(name).inspect.consumers()));
    return all.every((found) => found.length === 1);
  });
});

after(async () => {
  await consumer[Symbol.asyncDispose]();
  await broker[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

describe('doctor --run-noop', () => {
  test('goes the whole way through each queue, and tells how long it took and where it ran', async () => {
    const { code, noops: found } = await noops('--queue', 'default,slow');
    assert.equal(code, 0, JSON.stringify(found));
    assert.deepEqual(
      found.map(({ result }) => result),
      ['ok', 'ok'],
    );
    assert.match(
      found[1]?.message ?? '',
      new RegExp(
        `^queue slow: tidemill.noop was enqueued, ran and gave its result in \\S+ \\(waited \\S+, ran \\S+ on \\S+, process ${consumer.pid}\\)$`,
      ),
    );
    const { runs } = await broker.queue('slow').inspect.runs({ task: 'tidemill.noop', limit: 5 });
    assert.deepEqual(
      runs.map(({ state, result }) => [state, result]),
      [['succeeded', '"done"']],
    );
  });

  test('names a queue without a consumer as skipped, says what to do, and leaves no queue behind', async () => {
    const { code, noops: found } = await noops('--queue', 'default,reports');
    assert.equal(code, 0);
    assert.deepEqual(
      found.map(({ result }) => result),
      ['ok', 'skipped'],
    );
    assert.match(found[1]?.message ?? '', /^queue reports: no consumer is registered: .*tidemill-worker/);
    assert.ok(!(await broker.queueNames()).includes('reports'));
  });

  test('skips a paused queue, and one whose consumers are too old to know the task', async () => {
    const paused = broker.queue('paused');
    await idleConsumer(paused);
    await paused.inspect.setQueuePaused(true);
    const old = { hash: 'old', builtAtMs: 1, tasks: [describeTask(defineTask({ name: 'a', run: () => 1 }))] };
    await idleConsumer(broker.queue('old'), old);
    const { code, noops: found } = await noops('--queue', 'paused,old');
    assert.equal(code, 0);
    assert.deepEqual(found, [
      {
        check: 'noop',
        result: 'skipped',
        message: 'queue paused: the queue is paused: tidemill queues resume paused',
      },
      {
        check: 'noop',
        result: 'skipped',
        message: 'queue old: its consumers (0.0.1) do not know tidemill.noop: upgrade them to this version',
      },
    ]);
  });

  test('fails when nobody claims the run in time, and takes it back', async () => {
    const queue = broker.queue('unclaimed');
    await idleConsumer(queue);
    const { code, noops: found } = await noops('--queue', 'unclaimed', '--timeout', '300ms');
    assert.equal(code, 1);
    assert.match(
      found[0]?.message ?? '',
      /^queue unclaimed: the run was enqueued, but 1 registered consumer did not claim it within 300ms: /,
    );
    await until('nothing waits there', async () => (await queue.inspect.stats()).pending === 0);
  });

  test('fails when a consumer claims the run and gives no result, and names the consumer', async () => {
    const queue = broker.queue('unanswered');
    const incarnation = await idleConsumer(queue);
    const asked = noops('--queue', 'unanswered', '--timeout', '3s');
    await until('the run is claimed', async () => {
      const { claimed } = await queue.work.cycle({ incarnation, settle: [], claim: { io: 1, cpu: 0 } });
      return claimed.length === 1;
    });
    const { code, noops: found } = await asked;
    assert.equal(code, 1);
    assert.match(
      found[0]?.message ?? '',
      /^queue unanswered: the run was claimed on idle, process 7, but gave no result within 3\S*s: look at the log of that consumer$/,
    );
  });

  test('fails at once when all registered consumers have died', async () => {
    const queue = broker.queue('dead');
    await idleConsumer(queue, undefined, 1_000);
    await until('its lease is over', async () => {
      const [found] = await queue.inspect.consumers();
      return found !== undefined && found.leaseExpiresAtMs < (await broker.now());
    });
    const { code, noops: found } = await noops('--queue', 'dead');
    assert.equal(code, 1);
    assert.match(
      found[0]?.message ?? '',
      /no consumer is alive: the leases of all 1 registered ones are over/,
    );
  });

  test('without Redis is a failure when it was asked for, and else is named as skipped', async () => {
    const asked = await tidemill(['doctor', '--run-noop', '--json']);
    assert.equal(asked.code, 1);
    const finding = (result: string, message: string): Finding => ({ check: 'noop', result, message });
    const noopOf = ({ json }: CommandResult): Finding | undefined =>
      (json() as { findings: readonly Finding[] }).findings.find(({ check }) => check === 'noop');
    assert.deepEqual(noopOf(asked), finding('failed', 'it needs --redis'));
    assert.deepEqual(noopOf(await tidemill(['doctor', '--json'])), finding('skipped', 'no --run-noop given'));
    const away = await tidemill(['doctor', '--run-noop', '--redis', 'redis://127.0.0.1:1', '--json']);
    assert.deepEqual(noopOf(away), finding('skipped', 'Redis cannot be used'));
  });
});

describe('the built-in task', () => {
  test('is listed only when asked for', async () => {
    assert.doesNotMatch((await run('tasks', 'ls', '--queue', 'default')).stdout, /tidemill\.noop/);
    assert.match(
      (await run('tasks', 'ls', '--queue', 'default', '--built-in')).stdout,
      /^default +tidemill\.noop +io .* active /m,
    );
  });

  test('runs like any other, takes no params, and is no suggestion for a mistyped name', async () => {
    assert.equal((await run('run', 'tidemill.noop', '--wait')).stdout, '"done"\n');
    assert.match((await run('run', 'tidemill.noop', '-p', 'a=1')).stderr, /this task takes no params/);
    const { stderr } = await run('run', 'nothing-like-it');
    assert.match(stderr, /known are/);
    assert.doesNotMatch(stderr, /tidemill\.noop/);
    assert.equal((await run('run', 'tidemill.noop', '--here', '--tasks', TASKS)).stdout, '"done"\n');
  });
});
