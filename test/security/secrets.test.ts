/** A password that stands in a setting stands nowhere else: a marker is searched for in all that real processes show. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { connect } from '../../src/client.ts';
import { tidemill } from '../support/fake-io.ts';
import { RedisServer } from '../support/redis-server.ts';
import { TidemillProcess } from '../support/tidemill-process.ts';

const MARKER = 'marker-7f3a91';
const TASKS = join(import.meta.dirname, '../fixtures/tasks/secretive.ts');
const SCHEDULES = `
apiVersion: tidemill.dev/v1alpha1
kind: ScheduledTask
metadata: { name: each-second, namespace: test }
spec: { every: 1s, task: throws, queue: default }
`;

let redis: RedisServer;
let admin: Redis;
let folder: string;

before(async () => {
  redis = await RedisServer.start();
  await redis.command('CONFIG', 'SET', 'requirepass', MARKER);
  admin = new Redis(redis.port, '127.0.0.1', { password: MARKER });
  folder = await mkdtemp(join(tmpdir(), 'tidemill-secrets-'));
  await writeFile(join(folder, 'password'), `${MARKER}\n`);
  await writeFile(join(folder, 'schedules.yaml'), SCHEDULES);
});
after(async () => {
  admin.disconnect();
  await redis[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const urlWithPassword = (): string => `redis://:${MARKER}@127.0.0.1:${redis.port}`;

/** The ways in which an operator may hand over the password. */
const WAYS: Readonly<Record<string, () => Readonly<Record<string, string>>>> = {
  'in the URL': () => ({ TIDEMILL_REDIS_URL: urlWithPassword() }),
  'in a variable': () => ({ TIDEMILL_REDIS_URL: redis.url, TIDEMILL_REDIS_PASSWORD: MARKER }),
  'in a file': () => ({
    TIDEMILL_REDIS_URL: redis.url,
    TIDEMILL_REDIS_PASSWORD_FILE: join(folder, 'password'),
  }),
};

function childrenOf(pid: number): readonly number[] {
  const own = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(Number);
  return [...own, ...own.flatMap(childrenOf)];
}

const procText = (pid: number, file: 'cmdline' | 'environ'): string =>
  readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ');

/** Everything that is stored, as text. */
async function stored(): Promise<string> {
  const texts: string[] = [];
  for (const key of await admin.keys('*')) texts.push(key, JSON.stringify(await contentOf(key)));
  return texts.join('\n');
}

async function contentOf(key: string): Promise<unknown> {
  switch (await admin.type(key)) {
    case 'hash':
      return await admin.hgetall(key);
    case 'list':
      return await admin.lrange(key, 0, -1);
    case 'set':
      return await admin.smembers(key);
    case 'zset':
      return await admin.zrange(key, '0', '-1');
    case 'stream':
      return await admin.xrange(key, '-', '+');
    default:
      return await admin.get(key);
  }
}

async function served(process: TidemillProcess, path: string): Promise<string> {
  const line = await process.line(/"http":"http/);
  const { http } = z.object({ http: z.string() }).parse(JSON.parse(line));
  return await (await fetch(new URL(path, http))).text();
}

for (const [way, environment] of Object.entries(WAYS)) {
  describe(`a password that is given ${way}`, () => {
    let worker: TidemillProcess;
    let scheduler: TidemillProcess;

    before(async () => {
      await admin.flushall();
      const local = ['--http-host', '127.0.0.1', '--http-port', '0'];
      worker = new TidemillProcess(
        ['consumer', '--tasks', TASKS, '--cpu-concurrency', '2', ...local],
        environment(),
      );
      scheduler = new TidemillProcess(['scheduler', join(folder, 'schedules.yaml'), ...local], environment());
      await using client = await connect(urlWithPassword());
      const ended = await Promise.all(
        ['looks-around', 'dies', 'throws'].map(async (task) => {
          const { id } = await client.enqueue(task, {});
          return (await client.wait(id, { timeout: '60s' })).state;
        }),
      );
      assert.deepEqual(ended, ['succeeded', 'failed', 'failed']);
      await scheduler.line(/"http":"http/);
    });
    after(async () => {
      await worker[Symbol.asyncDispose]();
      await scheduler[Symbol.asyncDispose]();
    });

    test('stands in no command line, and in the environment of no child', () => {
      const children = childrenOf(worker.pid);
      assert.ok(children.length > 0, 'the consumer has children');
      for (const pid of [worker.pid, scheduler.pid, ...children])
        assert.ok(!procText(pid, 'cmdline').includes(MARKER), procText(pid, 'cmdline'));
      for (const pid of children)
        assert.ok(!procText(pid, 'environ').includes(MARKER), `environment of ${pid}`);
    });

    test('stands in nothing that is stored, a task that tells all it sees included', async () => {
      const text = await stored();
      assert.ok(text.includes('execArgv'), 'what the task saw is there');
      assert.ok(text.includes('thrown on purpose'), 'what was thrown is there');
      assert.ok(!text.includes(MARKER));
    });

    test('stands in no log line, metric or probe', async () => {
      for (const process of [worker, scheduler]) {
        const texts = await Promise.all(
          ['/metrics', '/readyz', '/healthz'].map((path) => served(process, path)),
        );
        assert.match(texts.join('\n'), /tidemill_/);
        for (const text of [...texts, ...process.lines]) assert.ok(!text.includes(MARKER), text);
      }
    });

    test('stands in nothing that a command for people prints', async () => {
      for (const args of [['doctor'], ['runs', 'ls'], ['queues', 'ls'], ['tasks', 'ls', '--tasks', TASKS]]) {
        const { stdout, stderr } = await tidemill([...args, '--json'], { environment: environment() });
        assert.ok(stdout.length + stderr.length > 0);
        assert.ok(!`${stdout}${stderr}`.includes(MARKER), `${args.join(' ')} tells the password`);
      }
    });
  });
}

test('a wrong password is refused without being repeated', async () => {
  const environment = { TIDEMILL_REDIS_URL: redis.url, TIDEMILL_REDIS_PASSWORD: 'wrong-marker-55' };
  const { code, stdout, stderr } = await tidemill(['queues', 'ls'], { environment });
  assert.notEqual(code, 0);
  assert.match(stderr, /password/i);
  assert.ok(!`${stdout}${stderr}`.includes('wrong-marker-55'));
});
