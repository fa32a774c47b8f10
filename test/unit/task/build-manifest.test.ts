/** The manifest: what it says of a task, and that equal builds publish equal manifests. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { buildManifest, describeTask } from '../../../src/task/build-manifest.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import { TaskManifestSchema } from '../../../src/task/manifest.ts';
import { TaskRegistry } from '../../../src/task/registry.ts';
import type { AnyTask } from '../../../src/task/types.ts';

const run = (): void => undefined;
const withParams = (params: z.ZodType): AnyTask => defineTask({ name: 'a', params, run });

describe('describeTask', () => {
  test('says what producers may send: the input of the schema, closed at its top', () => {
    const params = z.object({
      url: z.url(),
      limit: z.coerce.number().default(10),
      at: z.string().transform((text) => new Date(text)),
      nested: z.object({ n: z.number() }),
    });
    const { paramsSchema } = describeTask(withParams(params));
    assert.ok(paramsSchema);
    assert.equal(paramsSchema['additionalProperties'], false);
    assert.deepEqual(paramsSchema['required'], ['url', 'at', 'nested']);
    const properties = z
      .record(z.string(), z.record(z.string(), z.unknown()))
      .parse(paramsSchema['properties']);
    assert.equal(properties['at']?.['type'], 'string');
    assert.equal(properties['nested']?.['additionalProperties'], undefined);
  });

  test('leaves schemas open that take any key', () => {
    const open = describeTask(withParams(z.looseObject({ n: z.number() }))).paramsSchema;
    assert.notEqual(open?.['additionalProperties'], false);
    const typed = describeTask(withParams(z.record(z.string(), z.number()))).paramsSchema;
    assert.deepEqual(typed?.['additionalProperties'], { type: 'number' });
  });

  test('can be read back and checks params as the task does', () => {
    const { paramsSchema } = describeTask(withParams(z.object({ n: z.int().min(1) })));
    const schema = z.fromJSONSchema(paramsSchema ?? {});
    assert.ok(schema.safeParse({ n: 1 }).success);
    for (const bad of [{}, { n: 0 }, { n: 1, m: 1 }, { n: '1' }]) assert.ok(!schema.safeParse(bad).success);
  });

  test('carries limits, and leaves out what is not set', () => {
    const task = defineTask({
      name: 'b',
      description: 'd',
      tags: ['t'],
      cpuBound: true,
      maxConcurrency: 2,
      priority: 'high',
      timeout: '5s',
      retry: { attempts: 3 },
      run,
    });
    const { schemaHash, ...described } = describeTask(task);
    assert.deepEqual(described, {
      name: 'b',
      description: 'd',
      tags: ['t'],
      executor: 'cpu',
      priority: 'high',
      timeoutMs: 5_000,
      attempts: 3,
      maxConcurrency: 2,
    });
    assert.match(schemaHash, /^[0-9a-f]{16}$/);
    assert.deepEqual(Object.keys(describeTask(defineTask({ name: 'c', run }))).sort(), [
      'attempts',
      'executor',
      'name',
      'priority',
      'schemaHash',
      'tags',
      'timeoutMs',
    ]);
  });

  test('describes what JSON Schema cannot say as anything', () => {
    const described = describeTask(
      withParams(z.object({ at: z.date().optional(), big: z.bigint().optional() })),
    );
    assert.deepEqual(described.paramsSchema?.['properties'], { at: {}, big: {} });
  });

  test('names the task whose schema cannot be described', () => {
    const hostile = z.lazy((): z.ZodType => {
      throw new Error('not yet defined');
    });
    assert.throws(() => describeTask(withParams(z.object({ x: hostile }))), {
      code: 'TASK_INVALID',
      message: /params of task "a" cannot be described as JSON Schema: not yet defined/,
    });
  });
});

describe('hashes', () => {
  const hashOf = (params: z.ZodType): string => describeTask(withParams(params)).schemaHash;

  test('are equal for equal schemas in whatever order, and differ for others', () => {
    const one = hashOf(z.object({ a: z.string(), b: z.object({ c: z.number(), d: z.number() }) }));
    assert.equal(hashOf(z.object({ a: z.string(), b: z.object({ c: z.number(), d: z.number() }) })), one);
    const changed = [
      z.object({ a: z.string() }),
      z.object({ a: z.string().optional(), b: z.object({ c: z.number(), d: z.number() }) }),
      z.object({ a: z.string(), b: z.object({ c: z.number(), d: z.int() }) }),
      z.looseObject({ a: z.string(), b: z.object({ c: z.number(), d: z.number() }) }),
    ].map(hashOf);
    assert.equal(new Set([one, ...changed]).size, 5);
  });

  test('of the manifest do not depend on the order of the exports nor on the build time', () => {
    const a = defineTask({ name: 'a', run });
    const b = defineTask({ name: 'b', params: z.object({ n: z.number() }), run });
    const one = buildManifest(new TaskRegistry([a, b]), 1);
    const two = buildManifest(new TaskRegistry([b, a]), 2);
    assert.equal(one.hash, two.hash);
    assert.deepEqual(one.tasks, two.tasks);
    assert.equal(two.builtAtMs, 2);
    const slower = defineTask({ name: 'a', timeout: '2m', run });
    assert.notEqual(buildManifest(new TaskRegistry([slower, b]), 1).hash, one.hash);
  });

  test('survive the way through JSON', () => {
    const manifest = buildManifest(new TaskRegistry([withParams(z.object({ n: z.number().default(3) }))]), 5);
    assert.deepEqual(TaskManifestSchema.parse(JSON.parse(JSON.stringify(manifest))), manifest);
  });
});
