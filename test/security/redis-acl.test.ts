/** The Redis users that `tidemill redis-acl` prints: real processes do all their work under them, and nobody does more. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { connect } from '../../src/client.ts';
import { ACL_ROLES, type AclRole } from '../../src/broker/redis/acl.ts';
import { tidemill } from '../support/fake-io.ts';
import { RedisServer } from '../support/redis-server.ts';
import { TidemillProcess } from '../support/tidemill-process.ts';
import { until } from '../support/until.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures/cli');
const TASKS = join(FIXTURES, 'tasks.ts');
const PASSWORD = 'of-the-test';
const Users = z.array(z.object({ user: z.string(), role: z.enum(ACL_ROLES), rules: z.array(z.string()) }));

let redis: RedisServer;
let admin: Redis;

/** Makes the users as an operator would, and gives each a password. */
async function makeUsers(...flags: readonly string[]): Promise<void> {
  const { code, json } = await tidemill(['redis-acl', '--json', ...flags]);
  assert.equal(code, 0);
  for (const { user, rules } of Users.parse(json()))
    await admin.call('ACL', 'SETUSER', user, ...rules, `>${PASSWORD}`);
}

const urlOf = (user: string): string => `redis://${user}:${PASSWORD}@127.0.0.1:${redis.port}`;
/** Calls under a user, on a connection of its own that is gone afterwards. */
async function callAs(user: string, command: string, ...args: readonly string[]): Promise<unknown> {
  const client = new Redis(urlOf(user), { retryStrategy: null });
  client.on('error', () => undefined);
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}
const REFUSED = /NOPERM|ACL failure|can't (run|access)|permission|not allowed/i;
const environmentOf = (role: AclRole, prefix = 'tidemill'): Readonly<Record<string, string>> => ({
  TIDEMILL_REDIS_URL: urlOf(`${prefix}-${role}`),
  TIDEMILL_PREFIX: prefix,
  TIDEMILL_HTTP_PORT: '0',
});
const operator = (...args: readonly string[]) =>
  tidemill(args, { environment: environmentOf('operator'), cwd: FIXTURES });

/** Calls that were refused for a right that their user lacks. */
async function refusals(): Promise<readonly string[]> {
  const entries = z.array(z.array(z.unknown())).parse(await admin.call('ACL', 'LOG'));
  return entries.map((entry) => JSON.stringify(entry.slice(2, 10)));
}

before(async () => {
  redis = await RedisServer.start();
  admin = new Redis(redis.port, '127.0.0.1');
  await makeUsers();
});
after(async () => {
  admin.disconnect();
  await redis[Symbol.asyncDispose]();
});

test('no line holds a password, so a user that was only made cannot log in', async () => {
  const { stdout } = await tidemill(['redis-acl', '--prefix', 'fresh']);
  const lines = stdout.trim().split('\n');
  assert.equal(lines.length, ACL_ROLES.length);
  for (const line of lines) {
    const words = line.split(' ');
    assert.deepEqual(words.slice(0, 2), ['ACL', 'SETUSER']);
    assert.ok(
      words.every((word) => !/^[>#]|^nopass$|^\+@|^allkeys$/.test(word)),
      line,
    );
    await admin.call('ACL', ...words.slice(1));
  }
  const stranger = new Redis(redis.port, '127.0.0.1', { lazyConnect: true, retryStrategy: null });
  stranger.on('error', () => undefined);
  await stranger.connect();
  await assert.rejects(stranger.call('AUTH', 'fresh-consumer', ''), /WRONGPASS/);
  stranger.disconnect();
});

test(
  'consumer, scheduler, producer and the commands for people do all their work, and Redis refuses none of it',
  { timeout: 120_000 },
  async () => {
    await admin.call('ACL', 'LOG', 'RESET');
    await using consumer = new TidemillProcess(
      ['consumer', '--tasks', TASKS, '--queue', 'default,slow', '--drain', '1s'],
      environmentOf('consumer'),
    );
    await using scheduler = new TidemillProcess(
      ['scheduler', join(FIXTURES, 'schedules'), '--log-level', 'debug'],
      environmentOf('controller'),
    );
    const { http } = z
      .object({ http: z.string() })
      .parse(JSON.parse(await consumer.line(/"msg":"consumer started"/)));
    await scheduler.line(/"msg":"slot fired"/);

    await using producer = await connect(urlOf('tidemill-producer'));
    const ended = await producer.enqueueAndWait('greet', { name: 'acl' }, { timeout: '30s' });
    assert.notEqual(ended, undefined);
    const { id } = await producer.enqueue('greet', { name: 'later' }, { delay: '1h' });
    await producer.cancel(id);

    for (const args of [
      ['run', 'greet', '--params', '{"name":"people"}', '--wait'],
      ['runs', 'ls'],
      ['queues', 'ls'],
      ['queues', 'pause', 'slow'],
      ['queues', 'resume', 'slow'],
      ['tasks', 'ls'],
      ['schedules', 'ls'],
    ]) {
      const { code, stderr } = await operator(...args);
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    }
    const scrape = await fetch(`${http.replace('0.0.0.0', '127.0.0.1')}/metrics`);
    assert.match(await scrape.text(), /^tidemill_collector_up\{[^}]*\} 1$/m);
    consumer.signal('SIGTERM');
    scheduler.signal('SIGTERM');
    await Promise.all([consumer.exited, scheduler.exited]);
    assert.deepEqual(await refusals(), []);
  },
);

describe('a right that is missing', () => {
  test('fails at the call that needs it, and says so', async () => {
    await admin.call('ACL', 'SETUSER', 'tidemill-consumer', '-hset');
    await using consumer = new TidemillProcess(['consumer', '--tasks', TASKS], environmentOf('consumer'));
    await consumer.line(
      /the user of this connection lacks a right; tidemill redis-acl prints those that it needs/,
    );
    await makeUsers();
  });

  test('to INFO leaves the server unchecked, and is told', async () => {
    await admin.call('ACL', 'SETUSER', 'tidemill-consumer', '-info');
    await using consumer = new TidemillProcess(['consumer', '--tasks', TASKS], environmentOf('consumer'));
    await consumer.line(/this user may not read INFO: version and eviction policy of Redis are not checked/);
    await makeUsers();
  });
});

/** Commands, and why nobody of ours may: `{}` stands for the prefix of somebody else. */
const FORBIDDEN: readonly (readonly string[])[] = [
  ['FLUSHALL'],
  ['FLUSHDB'],
  ['KEYS', '*'],
  ['SCAN', '0'],
  ['CONFIG', 'GET', '*'],
  ['CONFIG', 'SET', 'dir', '/'],
  ['DEBUG', 'SLEEP', '0'],
  ['SCRIPT', 'FLUSH'],
  ['FUNCTION', 'LIST'],
  ['ACL', 'LIST'],
  ['ACL', 'SETUSER', 'tidemill-consumer', '+@all'],
  ['MONITOR'],
  ['SHUTDOWN', 'NOSAVE'],
  ['REPLICAOF', '127.0.0.1', '1'],
  ['MODULE', 'LIST'],
  ['CLIENT', 'LIST'],
  ['SAVE'],
  ['PUBLISH', 'a', 'b'],
  ['GET', 'somebody'],
  ['HSET', 'other:{default}:runs', 'a', 'b'],
  ['HSET', 'tidemill-2:{default}:runs', 'a', 'b'],
  ['SADD', 'other:queues', 'a'],
  ['EVAL', "return redis.call('HSET', 'other:{default}:runs', 'a', 'b')", '0'],
  ['EVAL', "return redis.call('HSET', KEYS[1], 'a', 'b')", '1', 'other:{default}:runs'],
  ['EVAL', "return redis.call('FLUSHALL')", '0'],
  ['EVAL', "return redis.call('CONFIG', 'GET', '*')", '0'],
  ['EVAL', "return redis.call('KEYS', '*')", '0'],
];
describe('no user', () => {
  for (const words of FORBIDDEN) {
    test(`may ${words.join(' ')}`, async () => {
      const [command = '', ...args] = words;
      for (const role of ACL_ROLES)
        await assert.rejects(callAs(`tidemill-${role}`, command, ...args), REFUSED);
    });
  }

  test('of one queue may touch another, of the same prefix', async () => {
    await makeUsers('--prefix', 'narrow', '--queue', 'reports');
    const user = 'narrow-consumer';
    assert.equal(await callAs(user, 'HLEN', 'narrow:{reports}:runs'), 0);
    await assert.rejects(callAs(user, 'HLEN', 'narrow:{default}:runs'), REFUSED);
    await assert.rejects(callAs(user, 'HLEN', 'tidemill:{reports}:runs'), REFUSED);
  });

  test('but the controller may hold the lock of the leader', async () => {
    for (const role of ACL_ROLES) {
      const take = "return redis.call('SET', KEYS[1], 'x', 'PX', 1)";
      const held = callAs(`tidemill-${role}`, 'EVAL', take, '1', 'tidemill:lock:x');
      if (role === 'controller') assert.equal(await held, 'OK');
      else await assert.rejects(held, REFUSED);
    }
  });
});

test('a consumer of one prefix under the user of another is refused, and says which right it lacks', async () => {
  await makeUsers('--prefix', 'team-a');
  const environment = { ...environmentOf('consumer', 'team-a'), TIDEMILL_PREFIX: 'tidemill' };
  await using consumer = new TidemillProcess(['consumer', '--tasks', TASKS], environment);
  await consumer.line(/lacks a right/);
  await until('the refusals are noted', async () => (await refusals()).length > 0);
});
