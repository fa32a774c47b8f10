/** What task code may send over the channel of its child: nothing but what a child of ours sends gets past the parent. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseChildMessage } from '../../src/consumer/children/protocol.ts';
import { FIXTURES, TestPool } from '../support/cpu-pool.ts';
import { assertPlain, assertUnpolluted } from './case.ts';

const REQUEST = { id: 'a', task: 'good', priority: 'medium', params: '{}', options: { source: 'task' } };
const ENQUEUE = { type: 'enqueue', run: 1, call: 1, queue: 'default', request: REQUEST };
const enqueue = (changes: object): unknown => ({ ...ENQUEUE, request: { ...REQUEST, ...changes } });
const RESULT = { type: 'result', run: 1, droppedLogs: 0, rssBytes: 1, reusable: true };
const result = (of: unknown): unknown => ({ ...RESULT, result: of });
const succeeded = (text: unknown): unknown => result({ kind: 'succeeded', result: text });
const ERROR = { reason: 'Error', name: 'Error', message: 'no' };
const failed = (changes: object): unknown =>
  result({ kind: 'failed', error: { ...ERROR, ...changes }, retry: 'policy' });
const retried = (retry: unknown): unknown => result({ kind: 'failed', error: ERROR, retry });
const LOG = { type: 'log', run: 1, level: 'info', message: 'm' };

/** Message, and what is said of it. */
const REFUSED: Readonly<Record<string, readonly [message: unknown, problem: RegExp]>> = {
  nothing: [undefined, /expected object/],
  null: [null, /expected object/],
  'a number': [7, /expected object/],
  'a text': ['ready', /expected object/],
  'a list': [[], /expected object/],
  'a Map': [new Map([['type', 'ready']]), /type/],
  'no type': [{}, /type: /],
  'an unknown type': [{ type: 'nonsense' }, /type: Invalid/],
  'a type named __proto__': [{ type: '__proto__' }, /type: Invalid/],
  'a message of the parent': [{ type: 'stop' }, /type: Invalid/],
  'an order to load': [{ type: 'load', tasks: ['/etc/passwd'], cwd: '/' }, /type: Invalid/],
  'a run number of text': [{ type: 'begun', run: '1' }, /run: .*expected/],
  'a negative run number': [{ type: 'begun', run: -1 }, /run: Too small/],
  'half a run number': [{ type: 'begun', run: 1.5 }, /run: .*expected int/],
  'a run number of NaN': [{ type: 'begun', run: NaN }, /run: /],
  'a run number that has lost digits': [{ type: 'begun', run: 2 ** 60 }, /run: /],
  'a run number of a BigInt': [{ type: 'begun', run: 1n }, /run: /],
  'a ready child without a manifest': [{ type: 'ready', rssBytes: 1 }, /manifestHash/],
  'negative memory': [{ type: 'ready', manifestHash: 'x', rssBytes: -1 }, /rssBytes: Too small/],
  'memory without end': [{ type: 'ready', manifestHash: 'x', rssBytes: Infinity }, /rssBytes/],
  'a broken child that does not say why': [{ type: 'broken' }, /message/],
  'a log of an unknown level': [{ ...LOG, level: 'fatal' }, /level: Invalid option/],
  'a log of level __proto__': [{ ...LOG, level: '__proto__' }, /level: Invalid option/],
  'a log of level child': [{ ...LOG, level: 'child' }, /level: Invalid option/],
  'a log whose message is an object': [{ ...LOG, message: {} }, /message: /],
  'a log whose fields are a text': [{ ...LOG, fields: 'x' }, /fields: /],
  'a log whose fields are a list': [{ ...LOG, fields: [1] }, /fields: /],
  'a log whose fields are null': [{ ...LOG, fields: null }, /fields: /],
  'a queue with a path': [{ ...ENQUEUE, queue: '../a' }, /queue: must be the name of a queue/],
  'a queue that breaks out of its tag': [{ ...ENQUEUE, queue: 'a}{b' }, /queue: must be the name/],
  'a queue of 64 characters': [{ ...ENQUEUE, queue: 'q'.repeat(64) }, /queue: must be the name/],
  'the id of a slot of a schedule': [
    enqueue({ id: 'uid@2026-01-01T00:00:00.000Z' }),
    /request\.id: must be an id that a task may give/,
  ],
  'the id of a run by hand': [enqueue({ id: 'uid@run-now.1' }), /request\.id: must be an id/],
  'a generated id of another queue': [enqueue({ id: `other:${'0'.repeat(24)}` }), /request\.id: must be/],
  'a generated id too short': [enqueue({ id: 'default:0123' }), /request\.id: must be/],
  'an empty id': [enqueue({ id: '' }), /request\.id: must be/],
  'an id with a newline': [enqueue({ id: 'a\nb' }), /request\.id: must be/],
  'an id like a field of ours': [enqueue({ id: ' lease' }), /request\.id: must be/],
  'an id of 10 MB': [enqueue({ id: 'x'.repeat(10_000_000) }), /request\.id: must be/],
  'an id that is no text': [enqueue({ id: 5 }), /request\.id: .*expected string/],
  'a task with a path': [enqueue({ task: '../../x' }), /request\.task: must be the name of a task/],
  'a task with a URL': [enqueue({ task: 'file:///etc/passwd' }), /request\.task: must be the name/],
  'a task named __proto__': [enqueue({ task: '__proto__' }), /request\.task: must be the name/],
  'a task with a semicolon': [enqueue({ task: 'a;b' }), /request\.task: must be the name/],
  'a task with a newline': [enqueue({ task: 'a\nb' }), /request\.task: must be the name/],
  'an unknown priority': [enqueue({ priority: 'urgent' }), /request\.priority: Invalid option/],
  'the lane of suspects': [enqueue({ priority: 's' }), /request\.priority: Invalid option/],
  'params that are no text': [enqueue({ params: {} }), /request\.params: .*expected string/],
  'params that are no JSON': [enqueue({ params: 'nope' }), /request\.params: must be params as JSON/],
  'params that are poisoned': [
    enqueue({ params: '{"__proto__":{"polluted":1}}' }),
    /request\.params: must be/,
  ],
  'params above 256 KiB': [enqueue({ params: `"${'x'.repeat(262_144)}"` }), /request\.params: must be/],
  'params too deep': [enqueue({ params: '['.repeat(5_000) + ']'.repeat(5_000) }), /request\.params: must be/],
  'a run before all time': [enqueue({ runAtMs: -1 }), /request\.runAtMs: Too small/],
  'a run after all time': [enqueue({ runAtMs: 1e300 }), /request\.runAtMs: Too big/],
  'a run at no time': [enqueue({ runAtMs: NaN }), /request\.runAtMs: /],
  'a delay without end': [enqueue({ delayMs: Infinity }), /request\.delayMs: /],
  'a negative delay': [enqueue({ delayMs: -5 }), /request\.delayMs: Too small/],
  'an expiry of 0': [enqueue({ expiresInMs: 0 }), /request\.expiresInMs: Too small/],
  'an unknown source': [enqueue({ options: { source: 'evil' } }), /options\.source: Invalid option/],
  'a call that is no number': [{ ...ENQUEUE, call: 'x' }, /call: /],
  'an unknown end': [result({ kind: 'won' }), /result\.kind: Invalid/],
  'a result that is no text': [succeeded({ a: 1 }), /result\.result: .*expected string/],
  'a result that is no JSON': [succeeded('nope'), /result\.result: must be a result as JSON/],
  'a result on two lines': [succeeded('[1,\n2]'), /result\.result: must be a result as JSON/],
  'a result that ends a record': [succeeded('1\nm:other;;\n{}'), /result\.result: must be a result/],
  'a result of one byte too many': [succeeded(`"${'x'.repeat(65_535)}"`), /result\.result: must be/],
  'a result of 10 MB': [succeeded(`"${'x'.repeat(10_000_000)}"`), /result\.result: must be/],
  'a result too deep': [succeeded('['.repeat(200) + ']'.repeat(200)), /result\.result: must be/],
  'a failure without an error': [result({ kind: 'failed', retry: 'policy' }), /result\.error: /],
  'a failure for a reason of the queue': [failed({ reason: 'MalformedRecord' }), /error\.reason: Invalid/],
  'a failure for a reason of the parent': [failed({ reason: 'Killed' }), /error\.reason: Invalid/],
  'a failure with a long name': [failed({ name: 'x'.repeat(129) }), /error\.name: Too big/],
  'a failure with a long message': [failed({ message: 'x'.repeat(1_025) }), /error\.message: Too big/],
  'a failure with a long stack': [failed({ stack: 'x'.repeat(4_097) }), /error\.stack: Too big/],
  'a retry before now': [retried({ delayMs: -1 }), /retry/],
  'a retry never': [retried({ delayMs: Infinity }), /retry/],
  'a retry in a thousand years': [retried({ delayMs: 1e15 }), /retry/],
  'a retry always': [retried('always'), /retry/],
  'a long reason of an abort': [
    result({ kind: 'cancelled', reason: 'x'.repeat(1_025) }),
    /result\.reason: Too big/,
  ],
  'a rejection for another reason': [result({ kind: 'rejected', error: ERROR }), /error\.reason: Invalid/],
  'fewer dropped records than none': [
    { ...RESULT, result: { kind: 'succeeded' }, droppedLogs: -1 },
    /droppedLogs: Too small/,
  ],
  'a result that does not say whether the child is fit': [
    { ...RESULT, result: { kind: 'succeeded' }, reusable: 1 },
    /reusable: /,
  ],
};
describe('a message of a child with', () => {
  for (const [what, [message, problem]] of Object.entries(REFUSED)) {
    test(`${what} is refused`, () => {
      const parsed = parseChildMessage(message);
      assert.ok('problem' in parsed, 'it was taken');
      assert.match(parsed.problem, /^unexpected message: /);
      assert.match(parsed.problem, problem);
      assertPlain(parsed.problem);
      assertUnpolluted();
    });
  }
});

test('the same messages without what is wrong with them are taken', () => {
  for (const message of [ENQUEUE, LOG, succeeded('{"a":[1]}'), failed({}), retried({ delayMs: 0 })])
    assert.deepEqual(parseChildMessage(message), { message });
  const generated = enqueue({ id: `default:${'0'.repeat(24)}` });
  assert.deepEqual(parseChildMessage(generated), { message: generated });
});

/** Messages of task code, how often, and how the run ends; the run behind it must succeed. */
const SENT: Readonly<Record<string, readonly [messages: readonly unknown[], times: number, end: RegExp]>> = {
  'a result of another run': [
    [{ ...RESULT, run: 99, result: { kind: 'succeeded' } }],
    1,
    /run that it does not have/,
  ],
  'the begin of another run': [[{ type: 'begun', run: 2 }], 1, /began a run that it was not given/],
  'the begin of its run, twice': [[{ type: 'begun', run: 1 }], 1, /began a run that it was not given/],
  'that it is ready, twice': [
    [{ type: 'ready', manifestHash: 'x', rssBytes: 1 }],
    1,
    /twice that it is ready/,
  ],
  'logs for a run to come': [[{ ...LOG, run: 2 }], 1, /logged for a run that it was not given/],
  'a slot of a schedule': [
    [enqueue({ id: 'uid@2026-01-01T00:00:00.000Z' })],
    1,
    /request\.id: must be an id/,
  ],
  '20,000 log records': [[LOG], 20_000, /more log records than its limit allows/],
  '20,000 log records of no run': [[{ ...LOG, run: 0 }], 20_000, /records outside any run than its limit/],
  '3 MiB of log in few records': [
    [{ ...LOG, message: 'x'.repeat(8_000) }],
    500,
    /more log records than its limit/,
  ],
};
describe('a task that sends its parent', () => {
  for (const [what, [messages, times, end]] of Object.entries(SENT)) {
    test(`${what} loses its child and its run, and the next run succeeds`, { timeout: 60_000 }, async () => {
      await using pool = await TestPool.start({}, [`${FIXTURES}hostile.ts`]);
      const result = await pool.run('sends', { messages, times });
      assert.ok(result.kind === 'failed');
      assert.equal(result.error.reason, 'Lost');
      assert.match(result.error.message, end);
      assert.equal(await pool.resultOf('good'), 'good');
    });
  }

  test(
    'more enqueues at once than a child of ours has under way loses its child',
    { timeout: 60_000 },
    async () => {
      await using pool = await TestPool.start({}, [`${FIXTURES}hostile.ts`]);
      const never = new Promise<never>(() => undefined);
      const run = pool.begin('sends', { messages: [ENQUEUE], times: 1_000 }, () => never);
      const result = await run.result;
      assert.ok(result.kind === 'failed');
      assert.match(result.error.message, /asked for more runs than its limit allows at a time/);
      assert.equal(run.enqueued.length, 64);
    },
  );

  test('a run in the name of another one enqueues it in its own', { timeout: 60_000 }, async () => {
    await using pool = await TestPool.start({}, [`${FIXTURES}hostile.ts`]);
    const options = {
      ...{ source: 'schedule', parentId: 'somebody', rootId: 'somebody' },
      ...{ timeoutMs: 1, schedule: { uid: 'u', namespace: 'kube-system', name: 'x', slotMs: 1 } },
    };
    const asked = Promise.withResolvers<unknown>();
    const run = pool.begin('sends', { messages: [enqueue({ options })] }, async (request) => {
      asked.resolve(request.options);
      return 'enqueued';
    });
    assert.deepEqual(await asked.promise, { source: 'task', parentId: 'run-1', rootId: 'run-1' });
    run.stop('cancelled');
    await run.result;
  });

  test(
    'a log that unfolds to 2^64 objects logs a bounded record, and succeeds',
    { timeout: 60_000 },
    async () => {
      await using pool = await TestPool.start({}, [`${FIXTURES}hostile.ts`]);
      const run = pool.begin('logs-folded');
      assert.equal((await run.result).kind, 'succeeded');
      const fields = run.log.find('folded')?.fields;
      assert.ok(fields !== undefined && JSON.stringify(fields).length < 65_536);
    },
  );
});
