/** Results: what is stored, and what is refused with the path of the first value that is not JSON. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { defineContract } from '../../../src/task/define-task.ts';
import { encodeResult, RESULT_MAX_BYTES, storedResult } from '../../../src/task/result.ts';

function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let level = 0; level < depth; level++) value = { in: value };
  return value;
}

describe('encodeResult', () => {
  const stored: readonly (readonly [title: string, value: unknown, text: string | undefined])[] = [
    ['nothing', undefined, undefined],
    ['null', null, 'null'],
    ['false', false, 'false'],
    ['a text with a lone surrogate', '\udfff', '"\\udfff"'],
    ['a Date', { at: new Date(5) }, '{"at":"1970-01-01T00:00:00.005Z"}'],
    [
      'a class instance',
      new (class Point {
        readonly x = 1;
      })(),
      '{"x":1}',
    ],
    ['what toJSON gives', { toJSON: () => [1] }, '[1]'],
    ['missing members', { a: undefined, b: [undefined] }, '{"b":[null]}'],
    ['a key __proto__', JSON.parse('{"__proto__":1}'), '{"__proto__":1}'],
    ['a large whole number', 2 ** 60, '1152921504606847000'],
  ];
  for (const [title, value, text] of stored) {
    test(`stores ${title}`, () => {
      assert.equal(encodeResult(value), text);
    });
  }

  const cycle: unknown[] = [];
  cycle.push({ back: cycle });
  const refused: readonly (readonly [title: string, value: unknown, message: RegExp])[] = [
    ['a BigInt', { rows: [{ id: 1n }] }, /the returned value at rows\[0\]\.id is a BigInt/],
    ['a function', () => 1, /the returned value is a function/],
    ['a function inside', { next: [() => 1] }, /at next\[0\] is a function/],
    ['a symbol', { a: Symbol('x') }, /at a is a symbol/],
    ['a cycle', cycle, /at \[0\]\.back refers back to an object that holds it/],
    ['a Map', { seen: new Map() }, /at seen is a Map, which JSON would lose/],
    ['a Set', new Set(), /the returned value is a Set/],
    ['a WeakMap', [new WeakMap()], /at \[0\] is a weak collection/],
    ['a RegExp', /a/, /is a RegExp/],
    ['an Error', { error: new TypeError('x') }, /at error is an Error/],
    ['typed bytes', { data: new Float64Array(1) }, /at data is a binary buffer/],
    ['a promise', { page: Promise.resolve(1) }, /at page is a Promise \(is an await missing\?\)/],
    ['NaN', { mean: NaN }, /at mean is NaN/],
    ['Infinity', [Infinity], /at \[0\] is Infinity/],
    ['an invalid Date', [new Date(NaN)], /at \[0\] is an invalid Date/],
    ['depth 101', nested(101), /is nested deeper than 100 levels/],
    ['depth 10,000', nested(10_000), /is nested deeper than 100 levels/],
    ['an odd key', { 'a b': { c: 1n } }, /at \["a b"\]\.c is a BigInt/],
    [
      'a getter that throws',
      {
        get a() {
          throw new Error('closed');
        },
      },
      /cannot be read: closed/,
    ],
    [
      'a toJSON that throws nonsense',
      {
        toJSON() {
          throw Object.create(null);
        },
      },
      /an unreadable error was thrown/,
    ],
    ['a toJSON that gives a BigInt', { a: { toJSON: () => 1n } }, /at a is a BigInt/],
    ['a revoked proxy', revoked(), /cannot be read/],
  ];
  for (const [title, value, message] of refused) {
    test(`refuses ${title}`, () => {
      assert.throws(() => encodeResult(value), { code: 'RESULT_INVALID', message });
    });
  }

  test('stores 64 KiB and refuses one byte more', () => {
    assert.equal(encodeResult('x'.repeat(RESULT_MAX_BYTES - 2))?.length, RESULT_MAX_BYTES);
    const tooLarge = {
      code: 'RESULT_TOO_LARGE',
      message: /more than 64 KiB as JSON: store it elsewhere and return a reference/,
    };
    assert.throws(() => encodeResult('x'.repeat(RESULT_MAX_BYTES - 1)), tooLarge);
    assert.throws(() => encodeResult('\u0001'.repeat(RESULT_MAX_BYTES / 2)), tooLarge);
    assert.throws(() => encodeResult({ rows: Array.from({ length: 500_000 }, () => ({ a: 1 })) }), tooLarge);
  });
});

describe('storedResult', () => {
  const page = defineContract({ name: 'page', result: z.object({ at: z.coerce.date(), n: z.number() }) });

  test('checks the JSON that a reader will parse', async () => {
    assert.deepEqual(await storedResult(page, { at: new Date(0), n: 1 }), {
      result: '{"at":"1970-01-01T00:00:00.000Z","n":1}',
    });
    assert.deepEqual(await storedResult(defineContract({ name: 'none' }), undefined), {});
    await assert.rejects(storedResult(page, { at: 'today', n: '1' }), (error: TidemillError) => {
      assert.equal(error.code, 'RESULT_INVALID');
      assert.match(error.message, /result schema of task "page":\n {2}result\.at: .*\n {2}result\.n: /);
      return true;
    });
    await assert.rejects(storedResult(page, undefined), { code: 'RESULT_INVALID' });
  });
});

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
