import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkParams, paramsFrom } from '../../../src/cli/run-params.ts';
import type { TaskDescription } from '../../../src/task/manifest.ts';

const schema = {
  type: 'object',
  properties: { id: { type: 'string' }, count: { type: 'number' }, deep: { type: 'object' } },
  required: ['id'],
  additionalProperties: false,
};
const version = (paramsSchema?: Record<string, unknown>): TaskDescription => ({
  name: 't',
  tags: [],
  executor: 'io',
  priority: 'medium',
  timeoutMs: 1,
  attempts: 1,
  schemaHash: 'h',
  ...(paramsSchema !== undefined && { paramsSchema }),
});

describe('params of the command line', () => {
  test('a text stays a text where the schema says so, and the rest is read as JSON', () => {
    assert.deepEqual(paramsFrom(undefined, ['id=7', 'count=7', 'deep={"a":[1]}'], schema), {
      id: '7',
      count: 7,
      deep: { a: [1] },
    });
  });

  test('without a schema what reads as JSON is JSON, and anything else is a text', () => {
    assert.deepEqual(paramsFrom(undefined, ['a=true', 'b=x=y', 'c=', 'd=null', 'e=01'], undefined), {
      a: true,
      b: 'x=y',
      c: '',
      d: null,
      e: '01',
    });
  });

  test('-p overrides single keys of --params', () => {
    assert.deepEqual(paramsFrom('{"id":"a","count":1}', ['count=2'], schema), { id: 'a', count: 2 });
  });

  for (const [title, json, pairs] of [
    ['no JSON', '{', []],
    ['a list', '[1]', []],
    ['a number', '7', []],
    ['a pair without =', undefined, ['id']],
    ['a pair without key', undefined, ['=7']],
    ['a reserved key', undefined, ['__proto__={"polluted":true}']],
    ['a reserved key inside', '{"a":{"__proto__":{"polluted":true}}}', []],
    ['a number that JSON cannot hold exactly', undefined, ['n=9007199254740993']],
  ] as const) {
    test(`${title} is refused as PARAMS_INVALID`, () => {
      assert.throws(() => paramsFrom(json, pairs, undefined), { code: 'PARAMS_INVALID' });
      assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    });
  }
});

describe('params against published schemas', () => {
  test('one version that takes them is enough', () => {
    checkParams('t', { id: 'a' }, [
      version({ type: 'object', properties: { x: { type: 'number' } }, required: ['x'] }),
      version(schema),
    ]);
  });

  test('problems name the path', () => {
    assert.throws(() => checkParams('t', { id: 1 }, [version(schema)]), {
      code: 'PARAMS_INVALID',
      message: /params\.id: /,
    });
  });

  test('a task without params takes none', () => {
    assert.throws(() => checkParams('t', { a: 1 }, [version()]), {
      message: /params\.a: this task takes no params/,
    });
    checkParams('t', {}, [version()]);
  });

  test('a task that nobody has published yet, or whose schema cannot be read back, is not checked here', () => {
    checkParams('t', { a: 1 }, []);
    checkParams('t', { a: 1 }, [version({ type: 'no such type' })]);
  });
});
