/** `tidemill schedules trigger` against a real Redis, a real scheduler and a real consumer. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CommandResult, tidemill } from '../../support/fake-io.ts';
import { RedisServer } from '../../support/redis-server.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';

const TASKS = join(import.meta.dirname, '../../fixtures/cli/tasks.ts');

const object = (name: string, spec: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({
    apiVersion: 'tidemill.dev/v1alpha1',
    kind: 'ScheduledTask',
    metadata: { name, namespace: 'team-a' },
    spec: { schedule: '0 0 1 1 *', ...spec },
  });
const MANIFESTS = [
  object('greet', { task: 'greet', params: { name: 'yaml' } }),
  object('broken', { task: 'broken', suspend: true }),
  object('wait', { task: 'wait', concurrencyPolicy: 'Forbid' }),
  object('closed', { task: 'add', params: { a: 1, b: 2 } }),
].join('\n---\n');
const QUEUES = `queues: [{ name: default, namespaces: [team-a], tasks: [greet, broken, wait] }]`;

let folder: string;
let redis: RedisServer;
let consumer: TidemillProcess;
let scheduler: TidemillProcess;

const run = (...args: readonly string[]): Promise<CommandResult> =>
  tidemill(args, { environment: { TIDEMILL_REDIS_URL: redis.url } });
const trigger = (...args: readonly string[]): Promise<CommandResult> => run('schedules', 'trigger', ...args);
const environment = (): Record<string, string> => ({
  TIDEMILL_REDIS_URL: redis.url,
  TIDEMILL_HTTP_PORT: '0',
  TIDEMILL_QUEUES_FILE: join(folder, 'queues.yaml'),
});
const startScheduler = async (): Promise<TidemillProcess> => {
  const started = new TidemillProcess(['scheduler', join(folder, 'schedules.yaml')], environment());
  await started.line(/"msg":"scheduler started"/);
  return started;
};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-trigger-'));
  await writeFile(join(folder, 'schedules.yaml'), MANIFESTS);
  await writeFile(join(folder, 'queues.yaml'), QUEUES);
  redis = await RedisServer.start();
  const { TIDEMILL_QUEUES_FILE: _schedulerOnly, ...forConsumer } = environment();
  consumer = new TidemillProcess(['consumer', '--tasks', TASKS, '--drain', '1s'], forConsumer);
  scheduler = await startScheduler();
  await until('the consumer has told what it can run', async () =>
    (await run('tasks', 'ls')).stdout.includes('greet'),
  );
  await until('the schedules are in force', async () =>
    (await run('schedules', 'ls')).stdout.includes('team-a/wait'),
  );
});

after(async () => {
  await consumer[Symbol.asyncDispose]();
  await scheduler[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe('schedules trigger', () => {
  test('runs a schedule now, with the params of its object, and prints the result', async () => {
    const { code, stdout, stderr } = await trigger('greet', '--wait');
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '{"greeting":"hello yaml"}\n');
    assert.match(stderr, /@run-now\.[0-9a-f]{24} fired, waiting for its end/);
  });

  test('takes params in place of those of the object, and answers as JSON', async () => {
    const { code, json } = await trigger(
      ...['team-a/greet', '--params', '{"name":"x"}', '-p', 'name=me', '--id', 'first', '--json'],
    );
    assert.equal(code, 0);
    const { run: id, ...answer } = json() as { readonly run: string };
    assert.match(id, /@run-now\.first$/);
    assert.deepEqual(answer, {
      ...{ schedule: 'team-a/greet', request: 'first', decision: 'fired', reason: 'Triggered' },
    });
    const shown = (await run('runs', 'get', id, '--json')).json() as { readonly params: unknown };
    assert.deepEqual(shown.params, { name: 'me' });
  });

  test('the same id twice makes one run, and tells of it again', async () => {
    const first = await trigger('greet', '--id', 'twice');
    const second = await trigger('greet', '--id', 'twice');
    assert.equal(second.code, 0);
    assert.equal(second.stdout, first.stdout);
    const { stdout } = await run('runs', 'ls', '--json');
    assert.equal(stdout.split('run-now.twice').length - 1, 1);
  });

  test('a suspended schedule runs, and a run that fails ends with 1', async () => {
    const { code, stderr } = await trigger('broken', '--wait');
    assert.equal(code, 1);
    assert.match(stderr, /broken failed in .*: Error: always broken/);
  });

  test('what the overlap policy skips ends with 1 and says why', async () => {
    assert.equal((await trigger('wait')).code, 0);
    const { code, stdout } = await trigger('wait', '--id', 'second');
    assert.equal(code, 1);
    assert.match(
      stdout,
      /team-a\/wait: request second skipped: an earlier run .* concurrencyPolicy is Forbid \(Overlap\)/,
    );
    assert.equal((await trigger('wait', '--id', 'second', '--json')).code, 1);
  });

  test('what the queue does not take, and params that do not fit, are refused', async () => {
    const closed = await trigger('closed');
    assert.equal(closed.code, 1);
    assert.match(closed.stdout, /skipped: .* not of this task \(QueueNotAllowed\)/);
    await scheduler.line(/takes no schedules of task \\"add\\".*run asked for by hand/);
    // The scheduler looks every 10 s at what consumers can run: before it knows the schema, the run would be made.
    const unfit = await until('the params are refused', async () => {
      const answer = await trigger('greet', '-p', 'then="maybe"');
      return answer.code === 1 && answer;
    });
    assert.match(
      unfit.stdout,
      /the params do not fit the schema of the task \(InvalidParams\): params\.then: .*expected boolean/,
    );
    const { problems } = (await trigger('greet', '-p', 'then="maybe"', '--json')).json() as {
      problems: readonly { readonly at: string }[];
    };
    assert.deepEqual(
      problems.map(({ at }) => at),
      ['params.then'],
    );
    await scheduler.line(/params\.then: .*expected boolean.*run asked for by hand/);
  });

  test('a name, an id or params that cannot be are told at once', async () => {
    assert.equal((await trigger('gret')).code, 1);
    assert.match((await trigger('gret')).stderr, /did you mean/);
    const id = await trigger('greet', '--id', 'not good');
    assert.equal(id.code, 2);
    assert.match(id.stderr, /--id "not good" must be 1 to 63 letters/);
    assert.equal((await trigger('greet', '--params', '[1]')).code, 2);
    assert.equal((await trigger('greet', '-p', `name=${'x'.repeat(300_000)}`)).code, 2);
  });

  test('without a scheduler the request waits and the command says so; a successor makes the run', async () => {
    await scheduler[Symbol.asyncDispose]();
    const { code, stderr } = await trigger('greet', '--id', 'waits');
    assert.equal(code, 1);
    assert.match(stderr, /request waits waits in queue default, and no scheduler or controller has read it/);
    assert.match(stderr, /stays for 10m/);
    scheduler = await startScheduler();
    const again = await trigger('greet', '--id', 'waits');
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /@run-now\.waits fired/);
  });
});
