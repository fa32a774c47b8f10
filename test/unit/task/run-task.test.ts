/** `runTask`: what a unit test of a user sees. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { defineApp } from '../../../src/task/app.ts';
import { defineContract, defineTask } from '../../../src/task/define-task.ts';
import { runTask } from '../../../src/testing.ts';

const child = defineContract({ name: 'child', params: z.object({ n: z.number() }) });
const app = defineApp({ deps: () => ({ base: 10 }) });
const sum = app.defineTask({
  name: 'sum',
  params: z.object({ n: z.string().transform(Number) }),
  async run({ params, deps, log, enqueue, run }) {
    log.info('adding', { attempt: run.attempt });
    await enqueue(child, { n: params.n }, { delay: '5s' });
    return { at: new Date(params.n + deps.base) };
  },
});

describe('runTask', () => {
  test('gives the result itself, the children and the log lines', async () => {
    const { result, enqueued, logs, outcome, error } = await runTask(sum, {
      params: { n: '5' },
      deps: { base: 1 },
      run: { attempt: 2, queue: 'web' },
    });
    assert.deepEqual(result, { at: new Date(6) });
    assert.deepEqual(logs, [{ level: 'info', message: 'adding', fields: { attempt: 2 } }]);
    assert.equal(enqueued.length, 1);
    assert.deepEqual(enqueued[0], {
      id: enqueued[0]?.id,
      queue: 'web',
      task: 'child',
      params: { n: 5 },
      priority: 'medium',
      delayMs: 5_000,
      options: { source: 'task', parentId: 'test-run', rootId: 'test-run' },
    });
    assert.deepEqual(outcome, { kind: 'succeeded', result: '{"at":"1970-01-01T00:00:00.006Z"}' });
    assert.equal(error, undefined);
  });

  test('refuses params that enqueue would refuse', async () => {
    const wrong = JSON.parse('{"n":5}') as { n: string };
    await assert.rejects(runTask(sum, { params: wrong, deps: { base: 1 } }), { code: 'PARAMS_INVALID' });
  });

  test('reports a failure with what was thrown, and what the queue would be told', async () => {
    const boom = new RangeError('boom');
    const failing = defineTask({
      name: 'failing',
      retry: { attempts: 2, backoff: '4s' },
      run: () => {
        throw boom;
      },
    });
    const first = await runTask(failing);
    assert.equal(first.result, undefined);
    assert.equal(first.thrown, boom);
    assert.equal(first.error?.name, 'RangeError');
    assert.deepEqual(first.outcome, { kind: 'retry', delayMs: 4_000, error: first.error });
    assert.equal((await runTask(failing, { run: { attempt: 2 } })).outcome.kind, 'failed');
  });

  test('reports an abort, a result that cannot be stored, and a scheduled identity', async () => {
    assert.deepEqual((await runTask(defineTask({ name: 'a', run: ({ abort }) => abort('no') }))).outcome, {
      kind: 'cancelled',
      reason: 'no',
    });
    const unstorable = await runTask(defineTask({ name: 'a', run: () => ({ n: 1n }) }));
    assert.equal(unstorable.error?.reason, 'InvalidResult');
    assert.equal(unstorable.result, undefined);
    const slot = new Date('2030-01-01T00:00:00Z');
    const seen = await runTask(defineTask({ name: 'a', run: ({ run }) => [run.slot, run.schedule?.name] }), {
      run: { slot },
    });
    assert.deepEqual(seen.result, [slot, 'a']);
  });

  test('passes an abort signal on', async () => {
    const { outcome } = await runTask(defineTask({ name: 'a', run: ({ signal }) => signal.aborted }), {
      signal: AbortSignal.abort(),
    });
    assert.deepEqual(outcome, { kind: 'succeeded', result: 'true' });
  });

  test('answers duplicate to a child that was enqueued before', async () => {
    const twice = defineTask({
      name: 'twice',
      run: async ({ enqueue }) => [
        (await enqueue(child, { n: 1 }, { id: 'one' })).outcome,
        (await enqueue(child, { n: 2 }, { id: 'one' })).outcome,
      ],
    });
    const { result, enqueued } = await runTask(twice);
    assert.deepEqual(result, ['enqueued', 'duplicate']);
    assert.deepEqual(
      enqueued.map(({ params }) => params),
      [{ n: 1 }],
    );
  });
});
