import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TaskCatalog } from '../../../src/controller/task-catalog.ts';
import type { TaskDescription } from '../../../src/task/manifest.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

type Published = { readonly live: boolean; readonly tasks: readonly TaskDescription[] };

const NUMBER = {
  type: 'object',
  properties: { n: { type: 'number' } },
  required: ['n'],
  additionalProperties: false,
};
const TEXT = {
  type: 'object',
  properties: { n: { type: 'string' } },
  required: ['n'],
  additionalProperties: false,
};

function task(name: string, paramsSchema?: Record<string, unknown>): TaskDescription {
  return {
    ...{ name, tags: [], executor: 'io', priority: 'high', timeoutMs: 60_000, attempts: 1 },
    schemaHash: JSON.stringify(paramsSchema ?? null),
    ...(paramsSchema !== undefined && { paramsSchema }),
  };
}

function catalogOf(published: { now: readonly Published[] }): TaskCatalog {
  const manifests = async () =>
    published.now.map(({ live, tasks }) => {
      const manifest = { hash: JSON.stringify(tasks), builtAtMs: 0, tasks: [...tasks] };
      return { manifest, live, lastSeenMs: 0 };
    });
  return new TaskCatalog({ manifests }, silentLog);
}

async function reasonFor(params: unknown, ...published: readonly Published[]): Promise<string> {
  const catalog = catalogOf({ now: published });
  await catalog.refresh();
  return catalog.check('job', JSON.stringify(params)).reason;
}

describe('what consumers say they can run', () => {
  test('params that fit are scheduled, others are invalid, with the path of what is wrong', async () => {
    assert.equal(await reasonFor({ n: 1 }, { live: true, tasks: [task('job', NUMBER)] }), 'Scheduled');
    assert.equal(await reasonFor({ n: 'x' }, { live: true, tasks: [task('job', NUMBER)] }), 'InvalidParams');
    assert.equal(
      await reasonFor({ n: 1, extra: 1 }, { live: true, tasks: [task('job', NUMBER)] }),
      'InvalidParams',
    );
  });

  test('while two versions are live, params that fit either are good', async () => {
    const both = [
      { live: true, tasks: [task('job', NUMBER)] },
      { live: true, tasks: [task('job', TEXT)] },
    ];
    assert.equal(await reasonFor({ n: 1 }, ...both), 'Scheduled');
    assert.equal(await reasonFor({ n: 'x' }, ...both), 'Scheduled');
    assert.equal(await reasonFor({ n: true }, ...both), 'InvalidParams');
  });

  test('a version that is gone counts only while none is live', async () => {
    const old = { live: false, tasks: [task('job', TEXT)] };
    assert.equal(await reasonFor({ n: 'x' }, old), 'NoConsumer');
    assert.equal(
      await reasonFor({ n: 'x' }, { live: true, tasks: [task('job', NUMBER)] }, old),
      'InvalidParams',
    );
  });

  test('a task is unknown only where some consumer was seen', async () => {
    assert.equal(await reasonFor({}), 'NoConsumer');
    assert.equal(await reasonFor({}, { live: true, tasks: [task('other')] }), 'UnknownTask');
  });

  test('a task without params takes an empty object and nothing else', async () => {
    assert.equal(await reasonFor({}, { live: true, tasks: [task('job')] }), 'Scheduled');
    assert.equal(await reasonFor({ n: 1 }, { live: true, tasks: [task('job')] }), 'InvalidParams');
  });

  test('a schema that cannot be evaluated stops no schedule: the consumer checks again', async () => {
    const odd = { type: 'object', properties: { n: { $ref: '#/nowhere' } } };
    assert.equal(await reasonFor({ n: 1 }, { live: true, tasks: [task('job', odd)] }), 'Scheduled');
  });

  test('a refresh tells whether anything changed', async () => {
    const published: { now: readonly Published[] } = { now: [{ live: true, tasks: [task('job', NUMBER)] }] };
    const catalog = catalogOf(published);
    assert.equal(await catalog.refresh(), true);
    assert.equal(await catalog.refresh(), false);
    published.now = [{ live: false, tasks: [task('job', NUMBER)] }];
    assert.equal(await catalog.refresh(), true);
    assert.equal(catalog.priorityOf('job'), 'high');
    assert.equal(catalog.liveSchemas('job'), 0);
  });
});
