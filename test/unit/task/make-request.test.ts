/** Requests for runs: what options become, and which are refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { defineContract, defineTask } from '../../../src/task/define-task.ts';
import { makeRequest, type QueuedRequest } from '../../../src/task/make-request.ts';

const contract = defineContract({ name: 'page', params: z.object({ n: z.number().default(1) }) });
const urgent = defineTask({ contract, priority: 'high', run: () => undefined });
const origin = { queue: 'default', source: 'api' } as const;

/** As JavaScript may call it, past the compiler. */
const make = (options: unknown, target: unknown = contract, params: unknown = {}): QueuedRequest =>
  Reflect.apply(makeRequest, undefined, [target, params, options, origin]) as QueuedRequest;

describe('makeRequest', () => {
  test('fills in queue, priority and an id that carries the queue', () => {
    const { queue, request } = makeRequest(contract, { n: 2 }, undefined, origin);
    assert.equal(queue, 'default');
    assert.match(request.id, /^default:[0-9a-f]{24}$/);
    assert.deepEqual(request, {
      id: request.id,
      task: 'page',
      params: '{"n":2}',
      priority: 'medium',
      options: { source: 'api' },
    });
    assert.notEqual(makeRequest(contract, { n: 2 }, {}, origin).request.id, request.id);
  });

  test('takes every option', () => {
    const { queue, request } = makeRequest(
      contract,
      {},
      { id: 'order-5', queue: 'slow', priority: 'low', delay: '1m30s', expiresIn: 5_000 },
      origin,
    );
    assert.equal(queue, 'slow');
    assert.deepEqual(request, {
      id: 'order-5',
      task: 'page',
      params: '{}',
      priority: 'low',
      delayMs: 90_000,
      expiresInMs: 5_000,
      options: { source: 'api' },
    });
    assert.equal(makeRequest(contract, {}, { runAt: new Date(7_000) }, origin).request.runAtMs, 7_000);
    assert.ok(!('delayMs' in makeRequest(contract, {}, { delay: 0 }, origin).request));
  });

  test('takes the priority of a task, which an option overrides', () => {
    assert.equal(makeRequest(urgent, {}, {}, origin).request.priority, 'high');
    assert.equal(makeRequest(urgent, {}, { priority: 'low' }, origin).request.priority, 'low');
  });

  test('checks params by the schema of a contract, and only their JSON for a bare name', () => {
    assert.throws(() => make({}, contract, { n: 'x' }), { code: 'PARAMS_INVALID' });
    assert.equal(make({}, 'page', { n: 'x' }).request.params, '{"n":"x"}');
    assert.throws(() => make({}, 'page', { n: 1n }), { code: 'PARAMS_INVALID' });
  });

  test('passes lineage on, and lets the caller make the id', () => {
    const { request } = makeRequest(
      contract,
      {},
      { queue: 'q' },
      {
        queue: 'default',
        source: 'task',
        lineage: { parentId: 'p', rootId: 'r' },
        makeId: (...parts) => parts.join('|'),
      },
    );
    assert.equal(request.id, 'q|page|{}');
    assert.deepEqual(request.options, { source: 'task', parentId: 'p', rootId: 'r' });
  });

  const refused: readonly (readonly [title: string, options: unknown, code: string, message: RegExp])[] = [
    [
      'runAt and delay together',
      { runAt: new Date(0), delay: 5 },
      'ENQUEUE_INVALID',
      /delay: cannot be given together with runAt/,
    ],
    ['a negative delay', { delay: -1 }, 'ENQUEUE_INVALID', /delay: duration -1 must be/],
    ['a delay of NaN', { delay: NaN }, 'ENQUEUE_INVALID', /delay: duration NaN/],
    [
      'a delay in words',
      { delay: 'soon' },
      'ENQUEUE_INVALID',
      /delay: duration "soon" must be a duration such as/,
    ],
    ['a delay that is a Date', { delay: new Date(0) }, 'ENQUEUE_INVALID', /delay: must be a duration/],
    ['an endless delay', { delay: 2 ** 53 - 1 }, 'ENQUEUE_INVALID', /delay: must be from 0s to 99999h/],
    ['an invalid runAt', { runAt: new Date(NaN) }, 'ENQUEUE_INVALID', /runAt: is an invalid Date/],
    ['runAt as text', { runAt: '2030-01-01' }, 'ENQUEUE_INVALID', /runAt: must be a Date, not "2030-01-01"/],
    ['an expiry of nothing', { expiresIn: 0 }, 'ENQUEUE_INVALID', /expiresIn: must be from 1ms/],
    [
      'an unknown priority',
      { priority: 5 },
      'ENQUEUE_INVALID',
      /priority: must be one of high, medium, low, not 5/,
    ],
    [
      'a misspelt option',
      { prority: 'low' },
      'ENQUEUE_INVALID',
      /prority: is not an option \(did you mean priority\?\)/,
    ],
    ['an id that is a number', { id: 5 }, 'ENQUEUE_INVALID', /id: must be a text, not 5/],
    ['a queue that is null', { queue: null }, 'ENQUEUE_INVALID', /queue: must be a text, not null/],
    ['an empty id', { id: '' }, 'RUN_ID_INVALID', /run id ""/],
    ['an id with @', { id: 'a@b' }, 'RUN_ID_INVALID', /"a@b"/],
    ['an id with a space', { id: 'a b' }, 'RUN_ID_INVALID', /"a b"/],
    ['an id of 257 characters', { id: 'a'.repeat(257) }, 'RUN_ID_INVALID', /256/],
    ['a queue with capitals', { queue: 'Slow' }, 'QUEUE_NAME_INVALID', /"Slow"/],
    ['a queue of another key', { queue: '{a}:x' }, 'QUEUE_NAME_INVALID', /"\{a\}:x"/],
  ];
  for (const [title, options, code, message] of refused) {
    test(`refuses ${title}`, () => {
      assert.throws(() => make(options), { code, message });
    });
  }

  test('refuses names that no task can have', () => {
    for (const name of ['', '__proto__', 'a/b', 'A', 'x'.repeat(129)]) {
      assert.throws(() => make({}, name), { code: 'TASK_INVALID' });
    }
  });

  test('reports all bad options at once', () => {
    assert.throws(
      () => make({ delay: -1, expiresIn: 'x', runAt: 5 }),
      (error: TidemillError) =>
        ['delay', 'expiresIn', 'runAt'].every((option) => error.message.includes(`  ${option}: `)),
    );
  });
});
