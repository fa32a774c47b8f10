/** Entries that something else wrote into Redis: each is dead-lettered or stepped over, and the run behind it runs at once. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { DEFAULT_QUEUE_SETTINGS } from '../../src/broker/broker.ts';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import type { RedisBroker } from '../../src/broker/redis/redis-broker.ts';
import { Consumer } from '../../src/consumer/consumer.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { openApp } from '../../src/task/app.ts';
import { buildManifest } from '../../src/task/build-manifest.ts';
import { defineTask } from '../../src/task/define-task.ts';
import { TaskRegistry } from '../../src/task/registry.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { RedisServer } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { assertUnpolluted } from './case.ts';

const BASE = 'tidemill:{default}:';
const HEAD = 'p;0;0;0;1764000000000;;;;;';
const MANY_DIGITS = '9'.repeat(400);

interface Parts {
  readonly head?: string;
  readonly outcome?: string;
  readonly identity?: string;
  readonly options?: string;
  readonly params?: string;
}
function entry({ head = HEAD, outcome = '', identity = 'm:job;;', ...rest }: Parts = {}): string {
  const { options = '{"source":"api"}', params = '{"n":1}' } = rest;
  return [head, outcome, identity, options, params].join('\n');
}
const bytes = (...parts: readonly (string | readonly number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(typeof part === 'string' ? part : [...part])));

type Entry = string | Buffer | undefined;

/** Text of the record, and how its run ends: state, and the reason of a failure. */
const RECORDS: Readonly<Record<string, readonly [text: Entry, end: string]>> = {
  'an id without a record': [undefined, 'unknown'],
  'an empty text': ['', 'failed MalformedRecord'],
  'a word': ['hello', 'failed MalformedRecord'],
  JSON: ['{"id":"x"}', 'failed MalformedRecord'],
  'a head alone': [HEAD, 'failed MalformedRecord'],
  'a head and a newline': [`${HEAD}\n`, 'failed MalformedRecord'],
  'a record cut before its identity': [`${HEAD}\n\n`, 'failed MalformedRecord'],
  'a record cut before its options': [`${HEAD}\n\nm:job;;`, 'failed MalformedRecord'],
  'a record cut before its params': [`${HEAD}\n\nm:job;;\n{"source":"api"}`, 'failed InvalidParams'],
  'a newer format': [entry({ head: `2;${HEAD}` }), 'failed MalformedRecord'],
  'a field too many': [entry({ head: `${HEAD};x` }), 'failed MalformedRecord'],
  'fields too few': [entry({ head: 'p;0;0;0' }), 'failed MalformedRecord'],
  'an unknown state': [entry({ head: HEAD.replace('p', 'z') }), 'failed MalformedRecord'],
  'a negative attempt': [entry({ head: 'p;-1;0;0;1;;;;;' }), 'failed MalformedRecord'],
  'half an attempt': [entry({ head: 'p;0.5;0;0;1;;;;;' }), 'failed MalformedRecord'],
  'an attempt of 400 digits': [entry({ head: `p;${MANY_DIGITS};0;0;1;;;;;` }), 'failed MalformedRecord'],
  'deaths of 400 digits': [entry({ head: `p;0;${MANY_DIGITS};0;1;;;;;` }), 'failed MalformedRecord'],
  'a time of 400 digits': [entry({ head: `p;0;0;0;${MANY_DIGITS};;;;;` }), 'failed MalformedRecord'],
  'an expiry of 400 digits': [entry({ head: `p;0;0;0;1;;${MANY_DIGITS};;;` }), 'failed MalformedRecord'],
  'an expiry long ago': [entry({ head: 'p;0;0;0;1;;1;;;' }), 'expired'],
  'a suspect in an ordinary lane': [entry({ head: 'p;0;0;1;1;;;;;' }), 'succeeded'],
  'a run that is held by nobody': [entry({ head: 'r;1;0;0;1;;;1;;nobody' }), 'running'],
  'a run that has ended': [entry({ head: 's;1;0;0;1;;;1;1;', outcome: '1' }), 'succeeded'],
  'an outcome of bytes': [
    bytes(HEAD, '\n', [0xff, 0, 1], '\nm:job;;\n{"source":"api"}\n{"n":1}'),
    'succeeded',
  ],
  'no identity': [entry({ identity: '' }), 'failed MalformedRecord'],
  'an identity without lane': [entry({ identity: 'job;;' }), 'failed MalformedRecord'],
  'an identity of suspects': [entry({ identity: 's:job;;' }), 'failed MalformedRecord'],
  'another task, known to nobody': [entry({ identity: 'm:other;;' }), 'pending'],
  'a task named __proto__': [entry({ identity: 'm:__proto__;;' }), 'pending'],
  'a task with a path': [entry({ identity: 'm:../../etc/passwd;;' }), 'pending'],
  'another priority': [entry({ identity: 'h:job;;' }), 'succeeded'],
  'a schedule that is not of its id': [entry({ identity: 'm:job;uid;1' }), 'succeeded'],
  'options that are no JSON': [entry({ options: 'nope' }), 'failed MalformedRecord'],
  'options cut short': [entry({ options: '{"source":"api"' }), 'failed MalformedRecord'],
  'options of null': [entry({ options: 'null' }), 'failed MalformedRecord'],
  'options of a list': [entry({ options: '[]' }), 'failed MalformedRecord'],
  'options too deep': [entry({ options: '['.repeat(100_000) }), 'failed MalformedRecord'],
  'an unknown source': [entry({ options: '{"source":"evil"}' }), 'failed MalformedRecord'],
  'poisoned options': [entry({ options: '{"source":"api","__proto__":{"polluted":1}}' }), 'succeeded'],
  'a timeout of 0': [entry({ options: '{"source":"api","timeoutMs":0}' }), 'failed MalformedRecord'],
  'a negative timeout': [entry({ options: '{"source":"api","timeoutMs":-1}' }), 'failed MalformedRecord'],
  'a timeout of text': [entry({ options: '{"source":"api","timeoutMs":"5"}' }), 'failed MalformedRecord'],
  'an infinite timeout': [entry({ options: '{"source":"api","timeoutMs":1e999}' }), 'failed MalformedRecord'],
  'a timeout of ages': [entry({ options: '{"source":"api","timeoutMs":1e308}' }), 'succeeded'],
  'the namespace of someone else': [
    entry({
      options:
        '{"source":"schedule","schedule":{"uid":"u","namespace":"kube-system","name":"x","slotMs":1e300}}',
    }),
    'succeeded',
  ],
  'no params': [entry({ params: '' }), 'failed InvalidParams'],
  'params that are no JSON': [entry({ params: 'nope' }), 'failed InvalidParams'],
  'params cut short': [entry({ params: '{"n":' }), 'failed InvalidParams'],
  'params of null': [entry({ params: 'null' }), 'failed InvalidParams'],
  'params of a list': [entry({ params: '[]' }), 'failed InvalidParams'],
  'params of another type': [entry({ params: '{"n":"1"}' }), 'failed InvalidParams'],
  'params that lack one': [entry({ params: '{}' }), 'failed InvalidParams'],
  'params with one too many': [entry({ params: '{"n":1,"x":2}' }), 'failed InvalidParams'],
  'poisoned params': [entry({ params: '{"n":1,"__proto__":{"polluted":1}}' }), 'failed InvalidParams'],
  'params with a constructor': [entry({ params: '{"n":1,"constructor":1}' }), 'failed InvalidParams'],
  'params too deep': [
    entry({ params: `{"n":${'['.repeat(10_000)}${']'.repeat(10_000)}}` }),
    'failed InvalidParams',
  ],
  'params of bytes': [bytes(entry({ params: '' }), [0xff, 0xfe, 0, 0xc3, 0x28]), 'failed InvalidParams'],
  'params with NUL': [entry({ params: '{"n":"\0"}' }), 'failed InvalidParams'],
  'params with NaN': [entry({ params: '{"n":NaN}' }), 'failed InvalidParams'],
  'params with infinity': [entry({ params: '{"n":1e999}' }), 'failed InvalidParams'],
  'params above 256 KiB': [entry({ params: `{"n":1,"x":"${'x'.repeat(300_000)}"}` }), 'failed InvalidParams'],
  'params of 10 MB': [entry({ params: 'x'.repeat(10_000_000) }), 'failed MalformedRecord'],
  'junk of 10 MB': ['x'.repeat(10_000_000), 'failed MalformedRecord'],
};

/** Ids of a sound record. */
const IDS: Readonly<Record<string, readonly [id: string | Buffer, end: string]>> = {
  'no character': ['', 'failed MalformedRecord'],
  'a space': ['a b', 'failed MalformedRecord'],
  'a newline': ['a\nb', 'failed MalformedRecord'],
  'the name of the lease': [' lease', 'failed MalformedRecord'],
  'the name of the suspect': [' suspect', 'failed MalformedRecord'],
  'the name of the stops': [' stop', 'failed MalformedRecord'],
  'the name of what is called off': [' off', 'failed MalformedRecord'],
  'letters that are not ASCII': ['é', 'failed MalformedRecord'],
  // Its name comes back from Redis as another one.
  bytes: [Buffer.from([0xff, 0xfe, 1, 0]), 'unknown'],
  __proto__: ['__proto__', 'succeeded'],
  'a slot that its schedule never had': ['uid@2026-01-01T00:00:00.000Z', 'succeeded'],
  'another queue': ['other:0123456789abcdef', 'succeeded'],
};

const job = defineTask({
  name: 'job',
  maxConcurrency: 1,
  params: z.object({ n: z.number() }),
  run: () => undefined,
});

let server: RedisServer;
let redis: Redis;
let broker: RedisBroker;
const stop = new AbortController();
let ended: Promise<unknown>;
let probes = 0;

before(async () => {
  server = await RedisServer.start();
  redis = new Redis(server.port, '127.0.0.1');
  broker = await connectRedis({ url: server.url });
  const registry = new TaskRegistry([job]);
  const consumer = new Consumer({
    ...{ broker, queues: ['default'], registry, clock: systemClock, log: silentLog, drainMs: 500 },
    app: await openApp(undefined, { log: silentLog }),
    manifest: buildManifest(registry, 1),
    settings: DEFAULT_QUEUE_SETTINGS,
    identity: { host: 'test', pid: process.pid, version: '0' },
  });
  ended = consumer.run(stop.signal);
  await until('the consumer is registered', async () => (await redis.zcard(`${BASE}leases`)) === 1);
});
after(async () => {
  stop.abort();
  await ended;
  await broker[Symbol.asyncDispose]();
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

async function stateOf(id: string): Promise<string> {
  const run = await broker.queue('default').runs.get(id);
  return run === undefined ? 'unknown' : [run.state, run.error?.reason].filter(Boolean).join(' ');
}

/** Puts the entry into a lane of a task of which one run is executed at a time, and a good run behind it. */
async function assertHarmless(id: string | Buffer, text: Entry, end: string): Promise<void> {
  if (text !== undefined) await redis.hset(`${BASE}runs`, id, text);
  await redis.rpush(`${BASE}lane:m:job`, id);
  probes += 1;
  const probe = `probe-${probes}`;
  await broker
    .queue('default')
    .runs.enqueue([
      { id: probe, task: 'job', priority: 'medium', params: '{"n":1}', options: { source: 'api' } },
    ]);
  await until('the run behind it has ended', async () => (await stateOf(probe)) === 'succeeded', {
    deadlineMs: 3_000,
  });
  await until('the entry has ended', async () => (await stateOf(id.toString())) === end, {
    deadlineMs: 3_000,
    describe: () => `as ${end}`,
  });
  assert.deepEqual(await redis.hmget(`${BASE}meta`, 'running'), ['0']);
  assert.deepEqual(await redis.hmget(`${BASE}active`, 'job'), ['0']);
  const held = await redis.keys(`${BASE}held:*`);
  assert.equal(held.length, 1, 'the consumer keeps its incarnation');
  const fields = await redis.hkeys(held[0] ?? '');
  // The number of the last claim that was called off stays.
  assert.deepEqual(
    fields.filter((field) => field !== ' off'),
    [' lease'],
  );
  assertUnpolluted();
}

describe('a record in a lane that is', () => {
  for (const [what, [text, end]] of Object.entries(RECORDS)) {
    test(`${what} ends as ${end}`, () => assertHarmless(`entry-${what.replaceAll(/\W/g, '-')}`, text, end));
  }
});

describe('an id of', () => {
  for (const [what, [id, end]] of Object.entries(IDS)) {
    test(`${what} ends as ${end}`, () => assertHarmless(id, entry(), end));
  }
});

/** Commands that spoil what the scripts keep books with. */
const BOOKS: Readonly<Record<string, readonly string[]>> = {
  'a count of pending runs that is no number': ['HSET', 'meta', 'pending', 'nan'],
  'a count of pending runs without end': ['HSET', 'meta', 'pending', '1e999'],
  'a count of bytes without end': ['HSET', 'meta', 'bytesFailed', '-inf'],
  'an age that is no number': ['HSET', 'meta', 'retainSucceededMs', 'nan'],
  'a pause that is a word': ['HSET', 'meta', 'paused', 'yes'],
  'a count of held runs that is no number': ['HSET', 'active', 'job', 'nan'],
  'a virtual time that is no number': ['HSET', 'lanes', 'm:job', 'nan'],
  'ghosts that are no number': ['HSET', 'ghosts', 'm:job', 'nan'],
  'lanes that are none among the ready ones': [
    'ZADD',
    'ready:io',
    '-1',
    'zzz',
    '-2',
    '',
    '-3',
    'm:',
    '-4',
    'x:job',
  ],
  'an empty lane that is ready before all time': ['ZADD', 'ready:io', '-inf', 'l:job'],
  'lanes that are none among the suspects': ['ZADD', 'suspects:io', '-1', 'zzz', '-2', 's:job'],
  'delayed runs of no time': ['ZADD', 'delayed', '-inf', 'no-1', 'inf', 'no-2', '1', ' lease'],
  'expiries of no time': ['ZADD', 'expiring', '-inf', 'no-1', 'inf', 'no-2'],
  'a recovery with a cursor of 400 digits': ['HSET', 'dying', '1', `d;${MANY_DIGITS};nobody`, '2', 'junk'],
  'leases of nobody': ['ZADD', 'leases', '1', 'nobody', 'inf', 'never'],
  'manifests that are none': ['HSET', 'manifests', 'h1', 'junk', 'h2', '{"__proto__":{"polluted":1}}'],
  'ended runs that are none': ['LPUSH', 'done', 'nobody', ''],
};
describe('books that are spoilt by', () => {
  for (const [what, [command = '', key = '', ...values]] of Object.entries(BOOKS)) {
    test(`${what} hold nothing up`, async () => {
      const queue = broker.queue('default');
      await redis.call(command, BASE + key, ...values);
      for (const priority of ['high', 'medium', 'low'] as const) {
        probes += 1;
        const id = `probe-${probes}`;
        const outcome = await queue.runs.enqueue([
          { id, task: 'job', priority, params: '{"n":1}', options: { source: 'api' } },
        ]);
        assert.deepEqual(outcome, ['enqueued']);
        await until('the run has ended', async () => (await stateOf(id)) === 'succeeded', {
          deadlineMs: 5_000,
        });
      }
      await queue.work.recover();
      await queue.work.promote();
      await queue.inspect.stats();
      await queue.inspect.manifests();
      await redis.hdel(`${BASE}dying`, '1', '2');
      assertUnpolluted();
    });
  }
});

test('an id that stands twice in its lane runs once', async () => {
  await redis.rpush(`${BASE}lane:m:job`, 'twice');
  await assertHarmless('twice', entry(), 'succeeded');
  assert.equal((await broker.queue('default').runs.get('twice'))?.attempt, 1);
});

test('a delayed entry that cannot be read is dead-lettered when it is due', async () => {
  await redis.hset(`${BASE}runs`, 'late', 'junk');
  await redis.zadd(`${BASE}delayed`, 1, 'late');
  await broker.queue('default').work.promote();
  assert.equal(await stateOf('late'), 'failed MalformedRecord');
  assert.equal(await redis.zscore(`${BASE}delayed`, 'late'), null);
});

test('people can look at all of it', async () => {
  const { inspect } = broker.queue('default');
  const { runs } = await inspect.runs({ limit: 1_000 });
  assert.ok(runs.length > 50);
  assert.ok((await inspect.tasks()).some(({ task }) => task === '__proto__'));
  assert.ok((await inspect.stats()).pending >= 0);
  assertUnpolluted();
});
