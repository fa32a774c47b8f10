/** What tasks may throw, return, log and enqueue: all of it ends in a bounded record, none of it throws back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RunLog } from '../../src/consumer/children/run-log.ts';
import { TidemillError } from '../../src/runtime/errors.ts';
import { openApp } from '../../src/task/app.ts';
import type { AttemptResult } from '../../src/task/attempt.ts';
import { defineTask } from '../../src/task/define-task.ts';
import { invokeTask } from '../../src/task/invoke.ts';
import { encodeParamsUnchecked, parseParamsText } from '../../src/task/params.ts';
import type { RunContext } from '../../src/task/types.ts';
import { createLog, silentLog } from '../../src/telemetry/log.ts';
import { assertUnpolluted, refuses, titleOf } from './case.ts';

type Body = (context: RunContext<Record<string, never>, unknown>) => unknown;

const app = await openApp(undefined, { log: silentLog });

async function invoke(run: Body): Promise<AttemptResult> {
  return invokeTask({
    task: defineTask({ name: 'hostile', run }),
    record: {
      ...{ id: 'r', queue: 'default', task: 'hostile', priority: 'medium', state: 'running', params: '{}' },
      ...{ options: { source: 'api' }, attempt: 1, deaths: 0, enqueuedAtMs: 1 },
    },
    app,
    signal: new AbortController().signal,
    log: silentLog,
    enqueue: (_queue, { id }) => Promise.resolve({ id, outcome: 'enqueued' }),
  });
}

const throwing = (): never => {
  throw new Error('trapped');
};
/** A proxy that throws whatever is done with it. */
const trapped: object = new Proxy({}, new Proxy({}, { get: () => throwing }));
const { proxy: revoked, revoke } = Proxy.revocable({}, {});
revoke();
const cycle: Record<string, unknown> = {};
cycle['self'] = cycle;
const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
};
const poisoned: unknown = JSON.parse('{"message":"x","__proto__":{"polluted":1}}');
const rejected = Promise.reject(new Error('inner'));
rejected.catch(() => undefined);
class Unreadable extends Error {
  override get message(): string {
    return throwing();
  }
  override get name(): string {
    return throwing();
  }
  override get stack(): string {
    return throwing();
  }
}

/** Thrown: value, and name and message of the failure. */
const THROWN: Readonly<Record<string, readonly [value: unknown, name: string, message: RegExp]>> = {
  nothing: [undefined, 'thrown undefined', /^undefined$/],
  null: [null, 'thrown object', /^null$/],
  'a symbol': [Symbol('x'), 'thrown symbol', /^Symbol\(x\)$/],
  'a BigInt': [1n, 'thrown bigint', /^1n$/],
  'a function': [() => 1, 'thrown function', /Function/],
  'a long text': ['x'.repeat(10_000_000), 'thrown string', /^x{1023}…$/],
  'an error that cannot be read': [new Unreadable(), 'thrown object', /./],
  'a proxy that throws': [trapped, 'thrown object', /./],
  'a revoked proxy': [revoked, 'thrown object', /Revoked/],
  'an object whose toString throws': [{ toString: throwing }, 'thrown object', /toString/],
  'an object whose inspection throws': [
    { [Symbol.for('nodejs.util.inspect.custom')]: throwing },
    'thrown object',
    /./,
  ],
  'an object without prototype': [Object.create(null), 'thrown object', /null prototype/],
  'an error with a long message': [new Error('x'.repeat(1_000_000)), 'Error', /^x{1023}…$/],
  'an error whose name is no text': [Object.assign(new Error('x'), { name: Symbol('y') }), 'Error', /^x$/],
  'an error with half a character': [new Error('\ud800'), 'Error', /^\ufffd$/],
  'a message that is an object': [{ message: { toString: throwing } }, 'thrown object', /message/],
  'a poisoned object': [poisoned, 'Error', /^x$/],
  'a deep array': [nested(100_000), 'thrown object', /Array/],
  'a rejected promise': [rejected, 'thrown object', /Promise/],
};
describe('a task that throws', () => {
  for (const [what, [value, name, message]] of Object.entries(THROWN)) {
    test(`${what} fails with a bounded record`, async () => {
      const result = await invoke(() => {
        throw value;
      });
      assert.ok(result.kind === 'failed');
      assert.equal(result.error.reason, 'Error');
      assert.equal(result.error.name, name);
      assert.match(result.error.message, message);
      assert.ok(JSON.stringify(result).length < 16_384);
      assertUnpolluted();
    });
  }
});

let answers = 0;
/** Returned: value, reason and message of the failure. */
const RETURNED: Readonly<Record<string, readonly [value: unknown, reason: string, message: RegExp]>> = {
  'a function': [() => 1, 'InvalidResult', /is a function/],
  'a symbol': [Symbol('x'), 'InvalidResult', /is a symbol/],
  'a BigInt inside': [{ a: [1n] }, 'InvalidResult', /at a\[0\] is a BigInt/],
  'a boxed BigInt': [[Object(1n)], 'InvalidResult', /BigInt/],
  'a cycle': [cycle, 'InvalidResult', /at self refers back/],
  'a deep array': [nested(100_000), 'InvalidResult', /nested deeper than 100 levels/],
  'a text of 50 MB': ['x'.repeat(50_000_000), 'ResultTooLarge', /more than 64 KiB/],
  'a sparse array of 4 billion': [
    Array.from({ length: 0 }).concat(new Array(4_294_967_295)),
    'ResultTooLarge',
    /64 KiB/,
  ],
  'a Buffer of 50 MB': [Buffer.alloc(50_000_000), 'InvalidResult', /binary buffer, which JSON does not have/],
  'a toJSON that throws': [{ toJSON: throwing }, 'InvalidResult', /cannot be read: trapped/],
  'a toJSON without end': [
    {
      toJSON: function again() {
        return { toJSON: again };
      },
    },
    'InvalidResult',
    /deeper than 100/,
  ],
  'a toJSON of 50 MB': [{ toJSON: () => 'x'.repeat(50_000_000) }, 'ResultTooLarge', /64 KiB/],
  'a getter that throws': [
    {
      get a() {
        return throwing();
      },
    },
    'InvalidResult',
    /cannot be read: trapped/,
  ],
  'a getter that changes its mind': [
    {
      get a() {
        return answers++ === 0 ? 1 : 1n;
      },
    },
    'InvalidResult',
    /cannot be written/,
  ],
  'a proxy that throws': [trapped, 'Error', /trapped/],
  'a revoked proxy': [revoked, 'Error', /revoked/],
  NaN: [NaN, 'InvalidResult', /is NaN/],
  'a Map': [new Map(), 'InvalidResult', /is a Map/],
  'an invalid Date': [new Date(NaN), 'InvalidResult', /is an invalid Date/],
  'an Error': [new Error('x'), 'InvalidResult', /is an Error/],
  'the global object': [globalThis, 'InvalidResult', /at global/],
};
describe('a task that returns', () => {
  for (const [what, [value, reason, message]] of Object.entries(RETURNED)) {
    test(`${what} fails, told why`, async () => {
      const startMs = performance.now();
      const result = await invoke(() => value);
      assert.ok(performance.now() - startMs < 1_000);
      assert.ok(result.kind === 'failed');
      assert.equal(result.error.reason, reason);
      assert.match(result.error.message, message);
      assertUnpolluted();
    });
  }
});

const LOGGED: Readonly<Record<string, unknown>> = {
  'a BigInt': 1n,
  'a cycle': cycle,
  'a long text': 'x'.repeat(10_000_000),
  'a proxy that throws': trapped,
  'a revoked proxy': revoked,
  'an error that cannot be read': new Unreadable(),
  'a symbol': Symbol('x'),
  'a deep array': nested(100_000),
  'a wide array': Array.from({ length: 1_000_000 }, () => 1),
  'a sparse array': new Array<unknown>(4_294_967_295),
  'a Buffer': Buffer.alloc(50_000_000),
  'a toJSON that throws': { toJSON: throwing },
  'an object without prototype': Object.create(null) as object,
  'control characters': '\x1b[31m\r\n{"level":"error"}\u2028\u009b\u202e',
  'a poisoned object': poisoned,
};
describe('a task that logs', () => {
  for (const [what, value] of Object.entries(LOGGED)) {
    test(`${what} gets one bounded line of JSON, as message, field, fields, error and binding`, () => {
      const lines: string[] = [];
      const log = createLog({ level: 'info', destination: { write: (line) => lines.push(line) } });
      // @ts-expect-error: an author without types
      const asMessage = (): void => log.info(value);
      // @ts-expect-error: an author without types
      const asFields = (): void => log.info('m', value);
      asMessage();
      asFields();
      log.info('m', { value });
      log.error('m', { err: value });
      log.child({ value }).info('m');
      assert.equal(lines.length, 5);
      for (const line of lines) {
        assert.doesNotThrow(() => JSON.parse(line));
        assert.ok(line.length < 65_536, `a line of ${line.length} characters`);
        assert.doesNotMatch(line.trimEnd(), /[\p{Cc}\u2028\u202e]/u);
      }
      assertUnpolluted();
    });

    test(`${what} in a child is sent as plain fields`, () => {
      const sent: unknown[] = [];
      const log = new RunLog(1, (message) => sent.push(message));
      // @ts-expect-error: an author without types
      const asMessage = (): void => log.info(value, { value });
      asMessage();
      assert.doesNotThrow(() => structuredClone(sent[0]));
    });
  }
});

describe('a task that enqueues', () => {
  for (const target of [null, undefined, Symbol('x'), {}, { name: {} }, { name: '../x' }, 5, '__proto__']) {
    test(`${titleOf(typeof target === 'object' ? JSON.stringify(target) : target)} is told that it is no task`, async () => {
      let refused: unknown;
      const result = await invoke(async ({ enqueue }) => {
        try {
          // @ts-expect-error: an author without types
          await enqueue(target, {});
        } catch (error) {
          refused = error;
          throw error;
        }
      });
      assert.equal(result.kind, 'failed');
      assert.ok(refused instanceof TidemillError, String(refused));
      assert.equal(refused.code, 'TASK_INVALID');
    });
  }
});

describe('params', () => {
  const values: Readonly<Record<string, readonly [value: unknown, message: RegExp]>> = {
    'of depth 10,000': [{ a: nested(10_000) }, /nested deeper than 100 levels/],
    'with __proto__': [poisoned, /params\.__proto__: has a key that is not allowed/],
    'with constructor': [{ constructor: 1 }, /params\.constructor: has a key that is not allowed/],
    'with 2^53': [{ n: 2 ** 53 }, /beyond 2\^53 - 1 that loses digits/],
    'with NaN': [{ n: NaN }, /is NaN, which JSON does not have/],
    'with a cycle': [cycle, /params\.self: refers back/],
    'with bytes': [{ b: Buffer.alloc(50_000_000) }, /params\.b: is a binary buffer/],
    'with a throwing getter': [
      {
        get a() {
          return throwing();
        },
      },
      /cannot be read: trapped/,
    ],
    'of a proxy that throws': [trapped, /cannot be read: trapped/],
  };
  for (const [what, [value, message]] of Object.entries(values)) {
    refuses(`${what} are refused`, () => encodeParamsUnchecked(value, 't'), 'PARAMS_INVALID', message);
  }
  const tooLarge = (): unknown => encodeParamsUnchecked({ a: 'x'.repeat(256 * 1024) }, 't');
  refuses('of 256 KiB and one byte are refused', tooLarge, 'PARAMS_TOO_LARGE', /more than 256 KiB/);
  for (const text of [
    '',
    '{',
    'NaN',
    '\0',
    '1e999',
    '{"__proto__":1}',
    '[['.repeat(100_000),
    '{"a":1}\u2028',
  ]) {
    refuses(
      `the text ${titleOf(text)} is refused`,
      () => parseParamsText(text),
      'PARAMS_INVALID',
      /^params are not valid:/,
    );
  }
});
