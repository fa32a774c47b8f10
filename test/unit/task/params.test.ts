/** Params on their way: what a producer may send, what a consumer accepts, and the corpus of bad ones. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { ProblemsError, TidemillError } from '../../../src/runtime/errors.ts';
import { defineContract } from '../../../src/task/define-task.ts';
import {
  decodeParams,
  encodeParams,
  encodeParamsUnchecked,
  PARAMS_MAX_BYTES,
  parseParamsText,
} from '../../../src/task/params.ts';
import type { TaskContract } from '../../../src/task/types.ts';

const fetchPage = defineContract({
  name: 'fetch-page',
  params: z.object({ url: z.url(), limit: z.int().default(10), tags: z.array(z.string()).optional() }),
});
const anything = defineContract({ name: 'anything', params: z.object({ value: z.unknown() }) });
const none = defineContract({ name: 'none' });

function refused(action: () => unknown): ProblemsError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ProblemsError, String(error));
    assert.equal(error.code, 'PARAMS_INVALID');
    return error;
  }
  return assert.fail('the params were accepted');
}

function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

const own = (key: string, value: unknown): unknown =>
  JSON.parse(`{${JSON.stringify(key)}: ${JSON.stringify(value)}}`);

describe('encodeParams', () => {
  test('sends the input of the schema, not its output', () => {
    const transforming = defineContract({ name: 't', params: z.object({ n: z.string().transform(Number) }) });
    assert.equal(encodeParams(transforming, { n: '5' }), '{"n":"5"}');
    assert.equal(encodeParams(fetchPage, { url: 'https://example.org' }), '{"url":"https://example.org"}');
  });

  test('takes left-out params as {}', () => {
    assert.equal(encodeParams(none, undefined), '{}');
    assert.equal(
      encodeParams(defineContract({ name: 'd', params: z.object({ n: z.number().default(1) }) }), undefined),
      '{}',
    );
    refused(() => encodeParams(fetchPage, undefined));
    refused(() => encodeParams(fetchPage, null));
  });

  test('checks what will arrive: a Date is a text for the consumer', () => {
    const asDate = defineContract({ name: 'd', params: z.object({ at: z.date() }) });
    const coerced = defineContract({ name: 'd', params: z.object({ at: z.coerce.date() }) });
    assert.match(
      refused(() => encodeParams(asDate, { at: new Date(0) })).problems[0]!.message,
      /expected date, received string/,
    );
    assert.equal(encodeParams(coerced, { at: new Date(0) }), '{"at":"1970-01-01T00:00:00.000Z"}');
  });

  test('leaves async refinements to the consumer', async () => {
    const checked = defineContract({
      name: 'a',
      params: z.object({ n: z.number().refine(async (n) => n > 5, 'too small') }),
    });
    assert.equal(encodeParams(checked, { n: 1 }), '{"n":1}');
    const decoded = await decodeParams(checked, '{"n":1}');
    assert.ok(!decoded.ok);
    assert.match(decoded.error.message, /params\.n: too small/);
    assert.deepEqual(
      refused(() => encodeParams(checked, { n: 1, m: 2 })).problems.map(({ at }) => at),
      ['params.m'],
    );
  });

  test('reports every problem with its path', () => {
    const error = refused(() => encodeParams(fetchPage, { url: 5, limit: '3', tags: ['a', 7], lmit: 1 }));
    assert.match(error.message, /^params of task "fetch-page" are not valid:\n/);
    assert.deepEqual(
      error.problems.map(({ at }) => at),
      ['params.lmit', 'params.url', 'params.limit', 'params.tags[1]'],
    );
    assert.match(error.problems[0]!.message, /is not a param of this task \(did you mean limit\?\)/);
  });

  test('refuses unknown keys through whatever wraps the object', () => {
    const object = z.object({ n: z.number().optional() });
    const wrapped: Record<string, z.ZodType> = {
      optional: object.optional(),
      default: object.default({}),
      refined: object.refine(() => true),
      piped: object.transform((params) => params.n),
      readonly: object.readonly(),
      union: z.union([object, z.object({ m: z.number() })]),
      intersection: z.intersection(object, z.object({ k: z.number().optional() })),
      strict: z.strictObject({ n: z.number().optional() }),
    };
    for (const [name, params] of Object.entries(wrapped)) {
      const error = refused(() => encodeParams(defineContract({ name, params }), { n: 1, extra: 2 }));
      assert.deepEqual(
        error.problems.map(({ at }) => at),
        ['params.extra'],
        name,
      );
    }
  });

  test('takes any key where the schema says so', () => {
    for (const params of [
      z.looseObject({}),
      z.record(z.string(), z.number()),
      z.object({}).catchall(z.number()),
    ]) {
      assert.equal(encodeParams(defineContract({ name: 'open', params }), { a: 1 }), '{"a":1}');
    }
  });

  test('names a schema that throws instead of passing its error on', () => {
    const broken = defineContract({
      name: 'broken',
      params: z.object({}).refine(() => {
        throw new Error('no database here');
      }),
    });
    assert.match(
      refused(() => encodeParams(broken, {})).message,
      /params: the schema threw: no database here/,
    );
  });

  const cycle: Record<string, unknown> = {};
  cycle['self'] = { again: cycle };
  const corpus: readonly (readonly [title: string, value: unknown, at: string, message: RegExp])[] = [
    ['depth 10,000', nested(10_000), 'params.value[0]', /nested deeper than 100 levels/],
    ['a key __proto__', own('__proto__', { polluted: true }), 'params.value.__proto__', /not allowed/],
    ['a key constructor', { constructor: 1 }, 'params.value.constructor', /not allowed/],
    ['a key prototype deep inside', [{ a: { prototype: {} } }], 'params.value[0].a.prototype', /not allowed/],
    ['2^53 + 1', 2 ** 53 + 2, 'params.value', /is 9007199254740994, a whole number beyond 2\^53 - 1/],
    ['NaN', NaN, 'params.value', /is NaN/],
    ['Infinity', [1, -Infinity], 'params.value[1]', /is -Infinity/],
    ['a BigInt', { id: 5n }, 'params.value.id', /is a BigInt/],
    ['a function', { hook: (): void => undefined }, 'params.value.hook', /is a function/],
    ['a symbol', Symbol('s'), 'params.value', /is a symbol/],
    ['a cycle', cycle, 'params.value.self.again', /a cycle/],
    ['a Map', new Map([['a', 1]]), 'params.value', /is a Map/],
    ['a Set', new Set([1]), 'params.value', /is a Set/],
    ['a Promise', Promise.resolve(1), 'params.value', /is an await missing\?/],
    ['an Error', new Error('x'), 'params.value', /is an Error/],
    ['bytes', new Uint8Array(3), 'params.value', /binary buffer/],
    ['an invalid Date', new Date(NaN), 'params.value', /invalid Date/],
    [
      'a getter that throws',
      {
        get secret() {
          throw new Error('no');
        },
      },
      'params.value',
      /cannot be read: no/,
    ],
    [
      'a toJSON that throws',
      {
        toJSON() {
          throw new Error('no');
        },
      },
      'params.value',
      /cannot be read: no/,
    ],
    [
      'a proxy that throws',
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('no keys');
          },
        },
      ),
      'params.value',
      /cannot be read: no keys/,
    ],
  ];
  for (const [title, value, at, message] of corpus) {
    test(`refuses ${title} with its path`, () => {
      for (const encode of [
        () => encodeParams(anything, { value }),
        () => encodeParamsUnchecked({ value }),
      ]) {
        const { problems } = refused(encode);
        assert.equal(problems.length, 1);
        assert.ok(problems[0]!.at.startsWith(at), problems[0]!.at);
        assert.ok(problems[0]!.at.length < 200);
        assert.match(problems[0]!.message, message);
      }
      assert.equal(Reflect.get({}, 'polluted'), undefined);
    });
  }

  test('refuses a getter that works only once', () => {
    let reads = 0;
    const value = {
      get once() {
        reads += 1;
        if (reads > 1) throw new Error('gone');
        return 1;
      },
    };
    assert.match(refused(() => encodeParamsUnchecked(value)).message, /cannot be written as JSON: gone/);
  });

  test('refuses wrong types and missing params by the schema', () => {
    assert.match(
      refused(() => encodeParams(fetchPage, { url: 5 })).message,
      /params\.url: .*expected string/,
    );
    assert.match(
      refused(() => encodeParams(fetchPage, {})).message,
      /params\.url: .*expected string, received undefined/,
    );
    assert.match(refused(() => encodeParams(fetchPage, { url: 'NaN' })).message, /params\.url: Invalid URL/);
    assert.match(
      refused(() => encodeParams(none, { a: 1 })).message,
      /params\.a: is not a param of this task/,
    );
    assert.match(refused(() => encodeParams(none, 'text')).message, /params: .*expected object/);
  });

  const carried: readonly (readonly [title: string, value: unknown, arrives: unknown])[] = [
    ['a lone surrogate', '\ud800', '\ud800'],
    ['NUL', 'a\u0000b', 'a\u0000b'],
    ['-0', -0, 0],
    ['2^53 - 1', 2 ** 53 - 1, 2 ** 53 - 1],
    ['1e300', 1e300, 1e300],
    ['NaN as text', 'NaN', 'NaN'],
    ['10,000 keys', Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`k${n}`, n])), undefined],
    ['depth 95', nested(95), nested(95)],
    ['a Date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a URL', new URL('https://example.org/a'), 'https://example.org/a'],
    ['an object twice', [cycle['none'] ?? 'x', 'x'], ['x', 'x']],
    ['an object without prototype', Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
    ['undefined members', { a: undefined, b: [undefined] }, { b: [null] }],
  ];
  for (const [title, value, arrives] of carried) {
    test(`carries ${title} whole`, async () => {
      const decoded = await decodeParams(anything, encodeParams(anything, { value }));
      assert.ok(decoded.ok);
      assert.deepEqual(decoded.params, { value: arrives === undefined ? value : arrives });
    });
  }

  test('takes 256 KiB and refuses one byte more, also of characters of several bytes', () => {
    const frame = '{"value":""}'.length;
    for (const [character, bytes] of [
      ['a', 1],
      ['é', 2],
    ] as const) {
      const fits = character.repeat(Math.floor((PARAMS_MAX_BYTES - frame) / bytes));
      assert.ok(encodeParams(anything, { value: fits }));
      assert.throws(() => encodeParams(anything, { value: fits + character }), {
        code: 'PARAMS_TOO_LARGE',
        message: /params of task "anything" are more than 256 KiB as JSON: store the data elsewhere/,
      });
    }
  });

  test('refuses a huge value without writing its text first', () => {
    const sparse: unknown[] = [];
    sparse.length = 2 ** 32 - 1;
    assert.throws(() => encodeParamsUnchecked(sparse), TidemillError);
    const wide = Array.from({ length: 1_000 }, () => 'x'.repeat(1_000_000));
    assert.throws(() => encodeParamsUnchecked({ wide }), { code: 'PARAMS_TOO_LARGE' });
  });
});

describe('decodeParams', () => {
  test('gives the output of the schema', async () => {
    assert.deepEqual(await decodeParams(fetchPage, '{"url":"https://example.org"}'), {
      ok: true,
      params: { url: 'https://example.org', limit: 10 },
    });
    assert.deepEqual(await decodeParams(none, '{}'), { ok: true, params: {} });
  });

  const bad: readonly (readonly [title: string, contract: TaskContract, text: string, message: RegExp])[] = [
    ['no text', fetchPage, '', /params: is not JSON/],
    ['text that is no JSON', fetchPage, 'url=5', /params: is not JSON/],
    ['truncated JSON', fetchPage, '{"url":"https://', /params: is not JSON/],
    ['binary', fetchPage, '\u0000\u0001', /params: is not JSON/],
    ['an array', fetchPage, '[]', /params: .*expected object, received array/],
    ['null', none, 'null', /params: .*expected object, received null/],
    ['a wrong type', fetchPage, '{"url":1}', /params\.url: .*expected string/],
    [
      'an extra key',
      fetchPage,
      '{"url":"https://example.org","x":1}',
      /params\.x: is not a param of this task/,
    ],
    ['an escaped __proto__', anything, '{"value":{"\\u005f_proto__":{"polluted":1}}}', /not allowed/],
    [
      'depth 100,000',
      anything,
      `{"value":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      /nested deeper than 100 levels/,
    ],
    ['256 KiB and more', anything, `{"value":"${'x'.repeat(PARAMS_MAX_BYTES)}"}`, /larger than 256 KiB/],
  ];
  for (const [title, contract, text, message] of bad) {
    test(`answers InvalidParams to ${title}`, async () => {
      const decoded = await decodeParams(contract, text);
      assert.ok(!decoded.ok);
      assert.equal(decoded.error.reason, 'InvalidParams');
      assert.match(decoded.error.message, message);
      assert.ok(decoded.error.message.length <= 1_024);
      assert.equal(Reflect.get({}, 'polluted'), undefined);
    });
  }

  test('answers InvalidParams when a transform of the author throws', async () => {
    const params = z.object({}).transform((): number => {
      throw new RangeError('cannot transform');
    });
    const decoded = await decodeParams(defineContract({ name: 't', params }), '{}');
    assert.ok(!decoded.ok);
    assert.equal(decoded.error.name, 'RangeError');
    assert.equal(decoded.error.message, 'cannot transform');
  });

  test('awaits async transforms', async () => {
    const params = z.object({ n: z.number() }).transform(async ({ n }) => n * 2);
    assert.deepEqual(await decodeParams(defineContract({ name: 't', params }), '{"n":4}'), {
      ok: true,
      params: 8,
    });
  });
});

describe('parseParamsText', () => {
  test('gives the value, and refuses what has lost digits or is poisoned', () => {
    assert.deepEqual(parseParamsText('{"a":[1]}'), { a: [1] });
    assert.match(
      refused(() => parseParamsText('{"id":9007199254740993}')).message,
      /params\.id: .* loses digits/,
    );
    assert.match(refused(() => parseParamsText('{"__proto__":1}')).message, /not allowed/);
    assert.match(refused(() => parseParamsText('{a:1}')).message, /params: is not JSON/);
  });
});
