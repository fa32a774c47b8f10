/** What a task does in a child process reaches its consumer: results, failures, log, output, enqueued runs. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { TestPool } from '../../support/cpu-pool.ts';

let pool: TestPool;
before(async () => {
  pool = await TestPool.start();
});
after(() => pool[Symbol.asyncDispose]());

test('a returned value comes back as JSON text', async () => {
  const result = await pool.run('adds', { a: 20, b: 22 });
  assert.ok(result.kind === 'succeeded');
  assert.match(result.result ?? '', /^\{"sum":42,"pid":\d+\}$/);
});

test('a warm child runs one task after the other in the same process', async () => {
  const first = await pool.resultOf('adds', { a: 1, b: 2 });
  const second = await pool.resultOf('adds', { a: 1, b: 2 });
  assert.deepEqual(second, first);
});

test('a thrown error comes back with its name, message and stack, and leaves the child in use', async () => {
  const { pid } = (await pool.resultOf('adds', { a: 1, b: 1 })) as { pid: number };
  const result = await pool.run('throws');
  assert.ok(result.kind === 'failed');
  assert.equal(result.error.reason, 'Error');
  assert.equal(result.error.name, 'RangeError');
  assert.equal(result.error.message, 'too far');
  assert.match(result.error.stack ?? '', /zoo\.ts/);
  assert.equal(result.retry, 'policy');
  assert.equal(((await pool.resultOf('adds', { a: 1, b: 1 })) as { pid: number }).pid, pid);
});

test('NonRetryableError comes back as not to be retried', async () => {
  const result = await pool.run('throws-non-retryable');
  assert.ok(result.kind === 'failed');
  assert.equal(result.retry, 'never');
});

test('abort() comes back as cancelled', async () => {
  assert.deepEqual(await pool.run('aborts'), { kind: 'cancelled', reason: 'not today' });
});

test('params that do not fit are rejected by the child, not failed', async () => {
  const result = await pool.run('adds', { a: 'one', b: 2 });
  assert.ok(result.kind === 'rejected');
  assert.equal(result.error.reason, 'InvalidParams');
});

test('a result that is not JSON fails the run and names the path', async () => {
  for (const [task, path] of [
    ['returns-cycle', /deep\.self/],
    ['returns-function', /callback/],
  ] as const) {
    const result = await pool.run(task);
    assert.ok(result.kind === 'failed', task);
    assert.equal(result.error.reason, 'InvalidResult');
    assert.match(result.error.message, path);
  }
});

test('a result of 50 MB fails the run by its size, and the pool goes on', async () => {
  const result = await pool.run('returns-much', { megabytes: 50 });
  assert.ok(result.kind === 'failed');
  assert.equal(result.error.reason, 'ResultTooLarge');
  assert.equal((await pool.run('adds', { a: 1, b: 1 })).kind, 'succeeded');
});

test('enqueue in a child goes through the parent and resolves at its answer', async () => {
  const run = pool.begin('enqueues', { count: 3 }, async ({ params }) =>
    params.includes('"a":1') ? 'duplicate' : 'enqueued',
  );
  const result = await run.result;
  assert.deepEqual(result, { kind: 'succeeded', result: '["enqueued","duplicate","enqueued"]' });
  assert.deepEqual(
    run.enqueued.map(({ task, params }) => [task, params]),
    [0, 1, 2].map((a) => ['adds', `{"a":${a},"b":1}`]),
  );
  assert.equal(new Set(run.enqueued.map(({ id }) => id)).size, 3);
});

test('an enqueue that the queue refuses is thrown in the child with the code of the refusal', async () => {
  const run = pool.begin('enqueues', { count: 1 }, async () => {
    throw new TidemillError('QUEUE_FULL', 'queue default is full');
  });
  const result = await run.result;
  assert.ok(result.kind === 'failed');
  assert.equal(result.error.name, 'TidemillError');
  assert.equal(result.error.message, 'queue default is full');
});

test('a body that enqueues thousands of runs at once has at most 64 of them on their way', async () => {
  let open = 0;
  let most = 0;
  const run = pool.begin('enqueues', { count: 2_000 }, async () => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setImmediate(resolve));
    open -= 1;
    return 'enqueued';
  });
  assert.equal((await run.result).kind, 'succeeded');
  assert.equal(run.enqueued.length, 2_000);
  assert.ok(most <= 64, `${most} at the same time`);
});

test('log records of a child arrive as they were written, made plain', async () => {
  const run = pool.begin('logs', { count: 2 });
  assert.equal((await run.result).kind, 'succeeded');
  assert.deepEqual(
    run.log.entries.map(({ level, message, fields }) => [
      level,
      message,
      fields['index'],
      fields['callback'],
    ]),
    [
      ['info', 'step', 0, '[function]'],
      ['info', 'step', 1, '[function]'],
    ],
  );
});

test('a log in a loop is cut off and counted, and the run still succeeds', async () => {
  const run = pool.begin('logs', { count: 100_000 });
  assert.equal((await run.result).kind, 'succeeded');
  const kept = run.log.entries.filter(({ message }) => message === 'step').length;
  assert.ok(kept > 0 && kept <= 10_000, `${kept} records kept`);
  assert.deepEqual(run.log.find('task log truncated')?.fields, { droppedRecords: 100_000 - kept });
});

test('params, environment and options of a child hold nothing that it was not given', async () => {
  await using clean = await TestPool.start({ env: { ONLY: 'this' } });
  const { argv, env } = (await clean.resultOf('looks-around')) as {
    argv: string[];
    env: Record<string, string>;
  };
  assert.deepEqual(
    Object.keys(env).filter((name) => !name.startsWith('NODE_CHANNEL_')),
    ['ONLY'],
  );
  assert.deepEqual(argv.slice(2), [String(process.pid)]);
});

test('a child loads no Redis client, no metrics, no logger and no Kubernetes client', async () => {
  const preload = new URL('../../fixtures/tasks/record-modules.ts', import.meta.url).href;
  await using recorded = await TestPool.start({ execArgv: ['--import', preload] });
  const loaded = (await recorded.resultOf('lists-modules')) as string[];
  assert.ok(
    loaded.some((url) => url.endsWith('/child-runner.ts')),
    'the recording works for our own modules',
  );
  assert.ok(
    loaded.some((url) => url.includes('/node_modules/zod/')),
    'the recording works for packages',
  );
  const packages = new Set(
    loaded
      .map((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1])
      .filter((name) => name !== undefined),
  );
  assert.deepEqual(
    [...packages].filter((name) => !['zod', 'croner'].includes(name)),
    [],
  );
  assert.deepEqual(
    loaded.filter((url) => /\/src\/(broker|controller|kube|http|cli)\//.test(url)),
    [],
  );
});
