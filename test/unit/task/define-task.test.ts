/** Definitions: what is filled in, and what is refused with field, value and rule. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { ProblemsError, TidemillError } from '../../../src/runtime/errors.ts';
import { cron } from '../../../src/schedule/cron.ts';
import { every } from '../../../src/schedule/every.ts';
import {
  CONTRACT_BRAND,
  defineContract,
  defineTask,
  isTask,
  TASK_BRAND,
} from '../../../src/task/define-task.ts';

const run = (): void => undefined;

/** Defines a task as JavaScript would, past the compiler. */
function define(options: unknown): unknown {
  return Reflect.apply(defineTask, undefined, [options]);
}

function problemsOf(options: unknown): ProblemsError {
  try {
    define(options);
  } catch (error) {
    assert.ok(error instanceof ProblemsError, String(error));
    assert.equal(error.code, 'TASK_INVALID');
    return error;
  }
  return assert.fail('the definition was accepted');
}

describe('defineTask', () => {
  test('fills in every default', () => {
    const task = defineTask({ name: 'a', run });
    assert.deepEqual(
      { ...task, run: undefined },
      {
        [CONTRACT_BRAND]: true,
        [TASK_BRAND]: true,
        name: 'a',
        params: undefined,
        result: undefined,
        description: undefined,
        tags: [],
        executor: 'io',
        timeoutMs: 60_000,
        priority: 'medium',
        maxConcurrency: undefined,
        retry: { attempts: 1, backoffMs: 1_000, maxBackoffMs: 600_000 },
        schedules: [],
        run: undefined,
      },
    );
  });

  test('takes durations as text or as ms, and keeps everything that was given', () => {
    const when = (): boolean => true;
    const task = defineTask({
      name: 'b.c_d-9',
      description: 'what it does',
      tags: ['web', 'slow', 'web'],
      cpuBound: true,
      timeout: '1h30m',
      priority: 'low',
      maxConcurrency: 3,
      retry: { attempts: 5, backoff: 250, maxBackoff: '2m', when },
      schedule: [every('1m', { offset: '5s' }), cron('@daily')],
      run,
    });
    assert.equal(task.executor, 'cpu');
    assert.equal(task.timeoutMs, 5_400_000);
    assert.deepEqual(task.tags, ['web', 'slow']);
    assert.deepEqual(task.retry, { attempts: 5, backoffMs: 250, maxBackoffMs: 120_000, when });
    assert.deepEqual(
      task.schedules.map(({ kind }) => kind),
      ['every', 'cron'],
    );
    assert.equal(task.maxConcurrency, 3);
    assert.equal(task.priority, 'low');
  });

  test('takes name, params and result from a contract', () => {
    const contract = defineContract({ name: 'c', params: z.object({ n: z.number() }), result: z.number() });
    const task = defineTask({ contract, timeout: 5, run: ({ params }) => params.n });
    assert.equal(task.name, 'c');
    assert.equal(task.params, contract.params);
    assert.equal(task.result, contract.result);
    assert.equal(task.timeoutMs, 5);
  });

  test('gives objects that cannot be changed afterwards', () => {
    const task = defineTask({ name: 'a', tags: ['x'], retry: { attempts: 2 }, run });
    assert.throws(() => Reflect.apply(Object.assign, Object, [task, { name: 'b' }]), TypeError);
    assert.ok(Object.isFrozen(task.tags) && Object.isFrozen(task.retry) && Object.isFrozen(task.schedules));
  });

  test('raises the default cap of the back-off with a longer back-off', () => {
    assert.equal(defineTask({ name: 'a', retry: { backoff: '1h' }, run }).retry.maxBackoffMs, 3_600_000);
  });

  test('is known as a task by its brand, in whatever copy of the package it was made', () => {
    assert.ok(isTask({ [Symbol.for('tidemill.task')]: true, name: 'from another copy' }));
    for (const other of [
      undefined,
      null,
      'a',
      {},
      { [Symbol.for('tidemill.task')]: 'yes' },
      defineContract({ name: 'a' }),
    ]) {
      assert.ok(!isTask(other));
    }
  });

  const name = 'bad';
  const corpus: readonly (readonly [title: string, options: object, at: string, message: RegExp])[] = [
    ['an empty name', { name: '', run }, 'name', /^"" must be lower-case letters/],
    ['no name', { run }, 'name', /^undefined must be/],
    ['a name that is a number', { name: 5, run }, 'name', /^5 must be/],
    ['a name with capitals', { name: 'FetchData', run }, 'name', /^"FetchData" must be/],
    ['a name with a slash', { name: 'a/b', run }, 'name', /"a\/b"/],
    ['a name that walks up', { name: '..', run }, 'name', /"\.\."/],
    ['a URL as name', { name: 'file:///etc/passwd', run }, 'name', /must be/],
    ['a name with a newline', { name: 'a\n', run }, 'name', /"a\\n"/],
    ['__proto__ as name', { name: '__proto__', run }, 'name', /"__proto__"/],
    ['a name of 129 characters', { name: 'a'.repeat(129), run }, 'name', /at most 128 characters/],
    ['no run', { name }, 'run', /must be a function, not undefined/],
    ['run that is a text', { name, run: 'rm' }, 'run', /must be a function, not "rm"/],
    [
      'params that are no schema',
      { name, params: { url: 'string' }, run },
      'params',
      /must be a schema of zod 4/,
    ],
    ['params of zod 3', { name, params: { _def: {} }, run }, 'params', /looks like zod 3/],
    [
      'a result that is no schema',
      { name, result: 'text', run },
      'result',
      /must be a schema of zod 4, not "text"/,
    ],
    ['timeout 0', { name, timeout: 0, run }, 'timeout', /from 1ms to 168h, not 0/],
    ['a negative timeout', { name, timeout: -1, run }, 'timeout', /duration -1/],
    ['timeout NaN', { name, timeout: NaN, run }, 'timeout', /NaN/],
    ['an endless timeout', { name, timeout: Infinity, run }, 'timeout', /Infinity/],
    ['a timeout in ISO 8601', { name, timeout: 'PT1H', run }, 'timeout', /"PT1H" must be a duration/],
    ['a timeout without unit', { name, timeout: '10', run }, 'timeout', /"10"/],
    ['a timeout of 8 days', { name, timeout: '192h', run }, 'timeout', /from 1ms to 168h, not "192h"/],
    [
      'a timeout that is a Date',
      { name, timeout: new Date(0), run },
      'timeout',
      /not a value of type object/,
    ],
    [
      'an unknown priority',
      { name, priority: 'urgent', run },
      'priority',
      /one of high, medium, low, not "urgent"/,
    ],
    ['maxConcurrency 0', { name, maxConcurrency: 0, run }, 'maxConcurrency', /from 1 to 2147483647, not 0/],
    ['maxConcurrency -1', { name, maxConcurrency: -1, run }, 'maxConcurrency', /not -1/],
    ['maxConcurrency 2^31', { name, maxConcurrency: 2 ** 31, run }, 'maxConcurrency', /not 2147483648/],
    ['maxConcurrency 1.5', { name, maxConcurrency: 1.5, run }, 'maxConcurrency', /whole number/],
    ['cpuBound as text', { name, cpuBound: 'yes', run }, 'cpuBound', /must be true or false, not "yes"/],
    ['an empty description', { name, description: '', run }, 'description', /1 to 1024 characters/],
    ['tags that are a text', { name, tags: 'web', run }, 'tags', /must be an array of texts/],
    ['a tag that is a number', { name, tags: ['a', 5], run }, 'tags[1]', /not 5/],
    ['a tag that is missing', { name, tags: [undefined], run }, 'tags[0]', /1 to 64 characters/],
    [
      'retry as a number',
      { name, retry: 3, run },
      'retry',
      /must be an object such as \{ attempts: 5 \}, not 3/,
    ],
    ['retry null', { name, retry: null, run }, 'retry', /not null/],
    ['attempts 0', { name, retry: { attempts: 0 }, run }, 'retry.attempts', /from 1 to 100, not 0/],
    ['attempts without end', { name, retry: { attempts: Infinity }, run }, 'retry.attempts', /Infinity/],
    ['a negative back-off', { name, retry: { backoff: '-1s' }, run }, 'retry.backoff', /"-1s"/],
    [
      'a back-off of two days',
      { name, retry: { backoff: '48h' }, run },
      'retry.backoff',
      /from 0s to 24h, not "48h"/,
    ],
    [
      'a cap below the back-off',
      { name, retry: { backoff: '1m', maxBackoff: '1s' }, run },
      'retry.maxBackoff',
      /at least retry\.backoff \(60000 ms\)/,
    ],
    [
      'when that is no function',
      { name, retry: { when: true }, run },
      'retry.when',
      /must be a function, not true/,
    ],
    [
      'a misspelt retry option',
      { name, retry: { attemps: 3 }, run },
      'retry.attemps',
      /did you mean attempts\?/,
    ],
    ['a misspelt option', { name, maxConcurency: 3, run }, 'maxConcurency', /did you mean maxConcurrency\?/],
    [
      'an option that is none',
      { name, queue: 'a', run },
      'queue',
      /is not an option; the options are name, params/,
    ],
    [
      'a schedule as text',
      { name, schedule: '* * * * *', run },
      'schedule',
      /must be what every\(\) or cron\(\) gave/,
    ],
    ['a bad schedule in a list', { name, schedule: [every('1s'), 5], run }, 'schedule[1]', /not 5/],
    [
      'a contract that is none',
      { contract: { name: 'a' }, run },
      'contract',
      /must be what defineContract\(\) gave/,
    ],
    ['a contract and a name', { contract: defineContract({ name }), name, run }, 'name', /is not an option/],
    [
      'a schedule for a task that needs params',
      { name, params: z.object({ url: z.string() }), schedule: every('1s'), run },
      'schedule',
      /runs with params \{\}, which this params schema refuses/,
    ],
  ];
  for (const [title, options, at, message] of corpus) {
    test(`refuses ${title}, naming ${at}`, () => {
      const { problems } = problemsOf(options);
      assert.deepEqual(
        problems.map((problem) => problem.at),
        [at],
      );
      assert.match(problems[0]!.message, message);
    });
  }

  test('reports every bad option at once, under the name of the task', () => {
    const error = problemsOf({
      name: 'fetch',
      timeout: 0,
      priority: 1,
      retry: { attempts: 0, backof: 1 },
      tags: [''],
    });
    assert.deepEqual(error.problems.map(({ at }) => at).sort(), [
      'priority',
      'retry.attempts',
      'retry.backof',
      'run',
      'tags[0]',
      'timeout',
    ]);
    assert.match(error.message, /^task "fetch" is not valid:\n {2}/);
  });

  test('refuses anything but an object of options', () => {
    for (const options of [undefined, null, 'fetch', run]) {
      assert.throws(() => define(options), { code: 'TASK_INVALID', message: /one object of options/ });
      assert.throws(() => Reflect.apply(defineContract, undefined, [options]) as unknown, TidemillError);
    }
  });

  test('accepts a schedule where params have defaults, or can only be judged by a run', () => {
    const withDefault = z.object({ n: z.number().default(1) });
    const judgedLater = z.object({ n: z.number().optional() }).refine(async () => true);
    for (const params of [withDefault, judgedLater])
      defineTask({ name: 'a', params, schedule: every('1s'), run });
  });
});
