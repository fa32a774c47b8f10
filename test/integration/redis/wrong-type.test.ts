/** Scripts check everything before they write: a wrong-typed value planted at any key changes nothing. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import type { Queue } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { claim, numbered, register, request, settlements } from './work.ts';

const FAILURE = { reason: 'Error', name: 'Error', message: 'it broke' } as const;

type Transitions = readonly (readonly [name: string, transition: () => Promise<unknown>])[];

/** Fills a queue so that every kind of key of the data model has something; returns transitions that touch them. */
async function populate(queue: Queue): Promise<Transitions> {
  await register(queue, 'dead', { leaseMs: 400 });
  await queue.runs.enqueue(numbered('suspect', 3));
  await claim(queue, 'dead', 3);
  const isEnded = async (): Promise<boolean> => (await queue.work.recover()).ended.includes('dead');
  await until('a consumer is dead', isEnded);

  await register(queue, 'other', { tasks: ['other'], leaseMs: 60_000 });
  await claim(queue, 'other');
  await queue.runs.enqueue([request('woken', { task: 'other' })]);
  await queue.inspect.setTaskPaused('paused', true);

  for (const incarnation of ['one', 'two'])
    await register(queue, incarnation, { maxConcurrency: 30, leaseMs: 60_000 });
  await queue.schedules.adopt([SCHEDULE]);
  await queue.schedules.fire([{ ...FIRE, entries: [{ kind: 'trigger', request: 'first' }] }]);
  for (const asked of ['by-hand', 'by-mail'])
    await queue.schedules.request('uid', { request: asked, params: '{}' });
  await queue.runs.enqueue([request('uid@run-now.1'), request('uid@run-now.2')]);
  await queue.runs.enqueue(numbered('run', 60));
  await queue.runs.enqueue(numbered('later', 3, { delayMs: 3_600_000, expiresInMs: 1_000 }));
  await queue.runs.enqueue(numbered('soon', 3, { delayMs: 1 }));
  await queue.runs.cancel(['run-59'], 'its entry is put back as a ghost');
  const first = await claim(queue, 'two', 20);
  await queue.work.cycle({ incarnation: 'two', settle: settlements(first.slice(2, 12)) });
  await queue.work.cycle({
    incarnation: 'two',
    settle: settlements(first.slice(12, 16), { kind: 'failed', error: FAILURE }),
  });
  const held = await claim(queue, 'one', 10);
  await queue.runs.cancel([held[0]?.record.id ?? ''], 'stop');
  await register(queue, 'idle', { tasks: ['nothing'], leaseMs: 60_000 });
  await claim(queue, 'idle');
  await queue.runs.redrive([first[12]?.record.id ?? '']);
  const settle = [
    ...settlements(held.slice(0, 2)),
    ...settlements(held.slice(2, 4), { kind: 'failed', error: FAILURE }),
    ...settlements(held.slice(4, 6), { kind: 'retry', delayMs: 5, error: FAILURE }),
    ...settlements(held.slice(6, 8), { kind: 'released' }),
    ...settlements(held.slice(8, 9), { kind: 'cancelled', reason: 'why' }),
    ...settlements(held.slice(9), { kind: 'rejected', error: FAILURE }),
  ];
  const slot = { kind: 'trigger' as const, request: 'by-hand' };
  return [
    [
      'enqueue',
      () =>
        queue.runs.enqueue([
          request('new'),
          request('uid@run-now.3'),
          request('new-later', { delayMs: 1, expiresInMs: 9 }),
        ]),
    ],
    ['cancel', () => queue.runs.cancel(['run-58', 'later-0', held[1]?.record.id ?? ''], 'why')],
    ['redrive', () => queue.runs.redrive([first[13]?.record.id ?? ''])],
    ['settle', () => queue.work.cycle({ incarnation: 'one', settle })],
    ['claim', () => queue.work.cycle({ incarnation: 'one', settle: [], claim: { io: 5, cpu: 1 } })],
    ['register', () => register(queue, 'three', { tasks: ['job', 'new'], leaseMs: 60_000 })],
    ['renew', () => queue.work.renew('one')],
    ['promote', () => queue.work.promote()],
    ['recover', () => queue.work.recover()],
    ['leave', () => queue.work.leave('one')],
    ['adopt', () => queue.schedules.adopt([{ ...SCHEDULE, generation: 2 }])],
    ['fire', () => queue.schedules.fire([{ ...FIRE, concurrencyPolicy: 'Replace', entries: [slot] }])],
    ['request', () => queue.schedules.request('uid', { request: 'more', params: '{}' })],
    ['withdraw', () => queue.schedules.withdraw(['uid'])],
    ['pause', () => queue.inspect.setTaskPaused('job', true)],
    ['resume', () => queue.inspect.setTaskPaused('paused', false)],
    ['purge', () => queue.inspect.purge('why', 100)],
  ];
}

const SCHEDULE = {
  ...{
    uid: 'uid',
    generation: 1,
    install: 'install',
    namespace: 'ns',
    name: 'name',
    suspended: false,
    spec: '{}',
  },
};
const FIRE = {
  ...{ uid: 'uid', generation: 1, concurrencyPolicy: 'Allow' as const },
  run: { task: 'job', priority: 'medium' as const, params: '{}', options: { source: 'schedule' as const } },
};
/** Kinds of keys that must be there for the test to mean something. */
const KINDS = [
  ...[
    'active',
    'asked',
    'asked-params',
    'builds',
    'consumers',
    'dead',
    'decisions',
    'delayed',
    'done',
    'eras',
    'expiring',
    'ghosts',
    'held',
    'idle',
  ],
  ...[
    'inflight',
    'install',
    'lane',
    'lanes',
    'leases',
    'live',
    'manifest',
    'manifests',
    'meta',
    'outcomes',
    'paused',
  ],
  ...['producer', 'ready', 'redriven', 'runs', 'schedule', 'seen', 'suspects', 'tasks', 'wake'],
];

async function digestOf(redis: Redis): Promise<string> {
  const keys = (await redis.keys('tidemill:{*')).toSorted();
  const hash = createHash('sha256');
  for (const key of keys) hash.update(key).update(await contentOf(redis, key));
  return hash.digest('hex');
}

/** A look at a hash or a set may reorder its dump (the table is rehashed step by step), so what is in it counts. */
async function contentOf(redis: Redis, key: string): Promise<string | Buffer> {
  const kind = await redis.type(key);
  if (kind === 'hash') return JSON.stringify(Object.entries(await redis.hgetall(key)).sort());
  if (kind === 'set') return JSON.stringify((await redis.smembers(key)).sort());
  return redis.dumpBuffer(key);
}

type Snapshot = ReadonlyMap<string, Buffer>;

async function takeSnapshot(redis: Redis): Promise<Snapshot> {
  const snapshot = new Map<string, Buffer>();
  for (const key of (await redis.keys('tidemill:{*')).toSorted())
    snapshot.set(key, await redis.dumpBuffer(key));
  return snapshot;
}

async function restore(redis: Redis, snapshot: Snapshot): Promise<void> {
  await redis.flushall();
  for (const [key, value] of snapshot) await redis.restore(key, 0, value);
}

/** What is wrong with how the transition takes a wrong-typed value at the key: nothing, if it fails whole or does not need it. */
async function tryWith(
  redis: Redis,
  key: string,
  [name, transition]: Transitions[number],
): Promise<readonly string[]> {
  const isText = (await redis.type(key)) === 'string';
  await redis.del(key);
  await (isText ? redis.sadd(key, 'x') : redis.set(key, 'x'));
  const before = await digestOf(redis);
  try {
    await transition();
    return [];
  } catch (error) {
    const violations: string[] = [];
    if (!(error instanceof TidemillError) || error.code !== 'BROKER_REFUSED')
      violations.push(`${name} with ${key}: ${String(error)}`);
    if ((await digestOf(redis)) !== before)
      violations.push(`${name} with ${key}: it failed and changed something: ${String(error)}`);
    return violations;
  }
}

test('a wrong-typed value at any key of the queue makes a transition fail whole or leaves it untouched', async () => {
  await using server = await RedisServer.start();
  const redis = new Redis(server.port, '127.0.0.1');
  try {
    await using broker = await connectRedis({ url: server.url });
    const queue = broker.queue('default');
    const transitions = await populate(queue);
    // As it stays behind deep inside a long lane, for the next claim to step over.
    await redis.lpush('tidemill:{default}:lane:m:job', 'run-59');
    await redis.hset('tidemill:{default}:ghosts', 'm:job', '1');
    const snapshot = await takeSnapshot(redis);
    const kinds = new Set([...snapshot.keys()].map((key) => key.split(':')[2]));
    assert.deepEqual(
      KINDS.filter((kind) => !kinds.has(kind)),
      [],
    );
    const violations: string[] = [];
    for (const key of snapshot.keys()) {
      for (const transition of transitions) {
        await restore(redis, snapshot);
        violations.push(...(await tryWith(redis, key, transition)));
      }
    }
    assert.deepEqual(violations, []);
  } finally {
    redis.disconnect();
  }
});
