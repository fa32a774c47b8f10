/** One attempt from params to result: whatever the task does becomes a value. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { NonRetryableError, TidemillError } from '../../../src/runtime/errors.ts';
import { defineApp } from '../../../src/task/app.ts';
import { defineContract, defineTask } from '../../../src/task/define-task.ts';
import { type AttemptResult, invokeTask } from '../../../src/task/invoke.ts';
import type { RunContext } from '../../../src/task/types.ts';
import { type AttemptOptions, attemptOf, gate } from '../../support/attempts.ts';

type Body = (context: RunContext<Record<string, never>, object>) => unknown;

async function outcomeOf(run: Body, options?: AttemptOptions): Promise<AttemptResult> {
  return invokeTask(await attemptOf(defineTask({ name: 'a', run }), options));
}

async function failureOf(
  run: Body,
  options?: AttemptOptions,
): Promise<Extract<AttemptResult, { kind: 'failed' }>> {
  const outcome = await outcomeOf(run, options);
  assert.equal(outcome.kind, 'failed', JSON.stringify(outcome));
  return outcome;
}

describe('a body that returns', () => {
  test('succeeds with its result as JSON, or with none', async () => {
    assert.deepEqual(await outcomeOf(() => ({ n: 1 })), { kind: 'succeeded', result: '{"n":1}' });
    assert.deepEqual(await outcomeOf(async () => 'x'), { kind: 'succeeded', result: '"x"' });
    assert.deepEqual(await outcomeOf(() => undefined), { kind: 'succeeded' });
  });

  test('fails when the result cannot be stored, and may retry by its policy', async () => {
    for (const [value, reason] of [
      [1n, 'InvalidResult'],
      ['x'.repeat(70_000), 'ResultTooLarge'],
    ] as const) {
      const failed = await failureOf(() => value);
      assert.equal(failed.error.reason, reason);
      assert.equal(failed.retry, 'policy');
    }
  });

  test('fails when the result does not fit the result schema', async () => {
    const contract = defineContract({ name: 'a', result: z.object({ n: z.number() }) });
    const task = defineTask({
      contract,
      run: () => JSON.parse('{"n":"x"}') as { n: number },
    });
    const outcome = await invokeTask(await attemptOf(task));
    assert.ok(outcome.kind === 'failed');
    assert.equal(outcome.error.reason, 'InvalidResult');
    assert.match(outcome.error.message, /result\.n: /);
  });
});

describe('what the body is given', () => {
  test('is the output of the schema, the identity of the run, and the deps', async () => {
    const app = defineApp({ deps: () => ({ db: 'open' }) });
    const seen: unknown[] = [];
    const task = app.defineTask({
      name: 'a',
      params: z.object({ n: z.string().transform(Number) }),
      run: ({ params, run, deps, signal, log }) => {
        log.info('seen');
        seen.push(params, run, deps, signal.aborted);
      },
    });
    const schedule = { uid: 'u', namespace: 'shop', name: 'nightly', slotMs: 86_400_000 };
    const record = {
      params: '{"n":"5"}',
      attempt: 3,
      options: { source: 'schedule', schedule, parentId: 'p', rootId: 'r' },
    } as const;
    const attempt = await attemptOf(task, { app, record });
    assert.equal((await invokeTask(attempt)).kind, 'succeeded');
    assert.deepEqual(seen, [
      { n: 5 },
      {
        id: 'run-1',
        attempt: 3,
        queue: 'default',
        slot: new Date('1970-01-02T00:00:00Z'),
        parentId: 'p',
        rootId: 'r',
        schedule: { namespace: 'shop', name: 'nightly' },
      },
      { db: 'open' },
      false,
    ]);
    assert.deepEqual(
      attempt.log.lines.map(({ message }) => message),
      ['seen'],
    );
  });

  test('a run without parent is its own root', async () => {
    assert.deepEqual(await outcomeOf(({ run }) => [run.rootId, run.parentId ?? null, run.slot ?? null]), {
      kind: 'succeeded',
      result: '["run-1",null,null]',
    });
  });

  test('params that do not parse are rejected before anything of the task runs', async () => {
    let ran = false;
    const outcome = await outcomeOf(() => (ran = true), { record: { params: '{"n":' } });
    assert.ok(outcome.kind === 'rejected');
    assert.equal(outcome.error.reason, 'InvalidParams');
    assert.ok(!ran);
  });
});

describe('a body that throws', () => {
  test('fails with name, message and stack, and leaves the retry to the policy', async () => {
    const failed = await failureOf(() => {
      throw new RangeError('out of range', { cause: new Error('the disk') });
    });
    assert.equal(failed.error.reason, 'Error');
    assert.equal(failed.error.name, 'RangeError');
    assert.equal(failed.error.message, 'out of range');
    assert.match(failed.error.stack ?? '', /RangeError: out of range[^]*caused by: Error: the disk/);
    assert.equal(failed.retry, 'policy');
  });

  test('is kept within 1,024 characters of message and 4,096 of stack', async () => {
    const { error } = await failureOf(async () => {
      throw new Error('é'.repeat(10_000));
    });
    assert.equal(error.message.length, 1_024);
    assert.equal(error.stack?.length, 4_096);
    assert.ok(error.message.isWellFormed());
  });

  const revocable = Proxy.revocable({}, {});
  revocable.revoke();
  const strange: readonly (readonly [title: string, thrown: unknown, message: RegExp])[] = [
    ['undefined', undefined, /^undefined$/],
    ['null', null, /^null$/],
    ['a text', 'just text', /^just text$/],
    ['a number', 42, /^42$/],
    ['a symbol', Symbol('s'), /Symbol\(s\)/],
    ['a record', { code: 'E_NO' }, /code: 'E_NO'/],
    ['an object without prototype', Object.create(null), /Object: null prototype/],
    ['a revoked proxy', revocable.proxy, /Revoked Proxy|cannot be shown/],
    [
      'an object whose message throws',
      {
        get message() {
          throw new Error('no');
        },
      },
      /message/,
    ],
    ['a cause that is itself', circularCause(), /^circular$/],
    ['an error whose name is no text', Object.assign(new Error('odd'), { name: 5 }), /^odd$/],
  ];
  for (const [title, thrown, message] of strange) {
    test(`fails when it throws ${title}`, async () => {
      const { error } = await failureOf(() => {
        throw thrown;
      });
      assert.equal(error.reason, 'Error');
      assert.match(error.message, message);
      assert.equal(typeof error.name, 'string');
    });
  }

  class OurOwn extends NonRetryableError {
    override readonly name = 'OurOwn';
  }
  const final: readonly (readonly [title: string, thrown: unknown])[] = [
    ['NonRetryableError', new NonRetryableError('gone')],
    ['a subclass of it with a name of its own', new OurOwn('gone')],
    [
      'the one of another copy of the package',
      Object.assign(new Error('gone'), { name: 'NonRetryableError' }),
    ],
  ];
  for (const [title, thrown] of final) {
    test(`ends the run at once with ${title}`, async () => {
      const failed = await failureOf(() => {
        throw thrown;
      });
      assert.equal(failed.error.reason, 'NonRetryable');
      assert.equal(failed.error.message, 'gone');
      assert.equal(failed.retry, 'never');
    });
  }

  test('asks retry.when, with the error and the attempt', async () => {
    const asked: unknown[] = [];
    const error = new Error('rate limited');
    const task = (answer: boolean | number | undefined): ReturnType<typeof attemptOf> =>
      attemptOf(
        defineTask({
          name: 'a',
          retry: { when: (...shown) => (asked.push(shown), answer) },
          run: () => {
            throw error;
          },
        }),
        { record: { attempt: 2 } },
      );
    assert.deepEqual(await failed(task(false)), ['NonRetryable', 'never']);
    assert.deepEqual(await failed(task(5_000)), ['Error', { delayMs: 5_000 }]);
    assert.deepEqual(await failed(task(true)), ['Error', 'policy']);
    assert.deepEqual(asked, [
      [error, 2],
      [error, 2],
      [error, 2],
    ]);

    async function failed(attempt: ReturnType<typeof attemptOf>): Promise<unknown> {
      const outcome = await invokeTask(await attempt);
      return outcome.kind === 'failed' ? [outcome.error.reason, outcome.retry] : outcome;
    }
  });
});

describe('a body whose signal aborts', () => {
  const timeout = new TidemillError('TASK_TIMEOUT', 'the run took longer than 5s');
  const aborted = (reason: unknown): AttemptOptions => ({ signal: AbortSignal.abort(reason) });

  const consequences: readonly (readonly [title: string, thrown: unknown])[] = [
    ['the reason itself', timeout],
    ['an error caused by it', new Error('request failed', { cause: timeout })],
    ['an AbortError', new DOMException('This operation was aborted', 'AbortError')],
  ];
  for (const [title, thrown] of consequences) {
    test(`fails as Timeout when it throws ${title}`, async () => {
      const { error, retry } = await failureOf(() => {
        throw thrown;
      }, aborted(timeout));
      assert.equal(error.reason, 'Timeout');
      assert.equal(error.message, 'the run took longer than 5s');
      assert.equal(retry, 'policy');
    });
  }

  test('keeps its own error when that has nothing to do with the abort, or the abort is no timeout', async () => {
    const own = await failureOf(() => {
      throw new Error('own');
    }, aborted(timeout));
    assert.equal(own.error.reason, 'Error');
    const shutdown = new TidemillError('SHUTDOWN', 'stop');
    assert.equal(
      (await failureOf(({ signal }) => signal.throwIfAborted(), aborted(shutdown))).error.reason,
      'Error',
    );
  });

  test('may still succeed: the caller decides', async () => {
    assert.deepEqual(await outcomeOf(() => 1, aborted(timeout)), { kind: 'succeeded', result: '1' });
  });
});

describe('abort()', () => {
  test('ends the run as cancelled', async () => {
    assert.deepEqual(await outcomeOf(({ abort }) => abort('nothing to do')), {
      kind: 'cancelled',
      reason: 'nothing to do',
    });
  });

  test('wins over whatever the body does after it; the first reason counts', async () => {
    const catchIt: Body = ({ abort }) => {
      try {
        abort('first');
      } catch {
        // goes on
      }
      return 'went on';
    };
    const throwAnother: Body = ({ abort }) => {
      try {
        abort('first');
      } finally {
        abort('second');
      }
    };
    for (const body of [catchIt, throwAnother]) {
      assert.deepEqual(await outcomeOf(body), { kind: 'cancelled', reason: 'first' });
    }
  });

  test('takes any reason and keeps 1,024 characters of it', async () => {
    const outcome = await outcomeOf(({ abort }) => abort('x'.repeat(5_000)));
    assert.ok(outcome.kind === 'cancelled' && outcome.reason.length === 1_024);
    const odd = await outcomeOf(({ abort }) => Reflect.apply(abort, undefined, [Object.create(null)]));
    assert.equal(odd.kind, 'cancelled');
  });

  test('called after the run has ended changes nothing', async () => {
    const kept: { abort?: (reason: string) => never } = {};
    assert.equal((await outcomeOf(({ abort }) => void (kept.abort = abort))).kind, 'succeeded');
    assert.throws(() => kept.abort?.('late'), { code: 'TASK_ABORTED' });
  });
});

describe('enqueue()', () => {
  const child = defineContract({ name: 'child', params: z.object({ n: z.number() }) });
  const fan: Body = async ({ enqueue }) => {
    const ids = await Promise.all([
      enqueue(child, { n: 1 }),
      enqueue(child, { n: 2 }),
      enqueue(child, { n: 1 }),
    ]);
    ids.push(
      await enqueue(child, { n: 1 }, { queue: 'slow', delay: '5s', priority: 'low' }),
      await enqueue(child, { n: 9 }, { id: 'own' }),
    );
    return ids.map(({ id }) => id);
  };
  const idsOf = (outcome: AttemptResult): readonly string[] =>
    JSON.parse(outcome.kind === 'succeeded' ? (outcome.result ?? '[]') : '[]') as string[];

  test('hands children over with lineage, the queue of the run, and ids of their own', async () => {
    const attempt = await attemptOf(defineTask({ name: 'a', run: fan }), {
      record: { queue: 'web', options: { source: 'api', rootId: 'top' } },
    });
    const ids = idsOf(await invokeTask(attempt));
    assert.equal(new Set(ids).size, 5);
    assert.deepEqual(
      attempt.sent.map(({ queue }) => queue),
      ['web', 'web', 'web', 'slow', 'web'],
    );
    assert.deepEqual(attempt.sent[3]?.request, {
      id: ids[3],
      task: 'child',
      params: '{"n":1}',
      priority: 'low',
      delayMs: 5_000,
      options: { source: 'task', parentId: 'run-1', rootId: 'top' },
    });
    assert.ok(ids[3]?.startsWith('slow:'));
    assert.equal(ids[4], 'own');
  });

  test('gives the same ids in every attempt of the run, and others in another run', async () => {
    const run = async (record: AttemptOptions['record']): Promise<readonly string[]> =>
      idsOf(await outcomeOf(fan, { record: record ?? {} }));
    const first = await run({ attempt: 1 });
    assert.deepEqual(await run({ attempt: 2 }), first);
    const others = await run({ id: 'run-2' });
    assert.deepEqual(
      others.filter((id) => first.includes(id)),
      ['own'],
    );
  });

  test('gives a child the same id whatever other children the attempt enqueued before', async () => {
    const one = idsOf(await outcomeOf(async ({ enqueue }) => [(await enqueue(child, { n: 7 })).id]));
    const after = idsOf(
      await outcomeOf(async ({ enqueue }) => {
        await enqueue(child, { n: 6 });
        await enqueue(child, { n: 7 }, { id: 'given' });
        return [(await enqueue(child, { n: 7 })).id];
      }),
    );
    assert.deepEqual(after, one);
  });

  const refused: readonly (readonly [title: string, body: Body, code: string])[] = [
    [
      'wrong params',
      ({ enqueue }) => enqueue(child, JSON.parse('{"n":"x"}') as { n: number }),
      'PARAMS_INVALID',
    ],
    ['an id with @', ({ enqueue }) => enqueue(child, { n: 1 }, { id: 'a@b' }), 'RUN_ID_INVALID'],
    ['a bad queue', ({ enqueue }) => enqueue(child, { n: 1 }, { queue: 'A' }), 'QUEUE_NAME_INVALID'],
  ];
  for (const [title, body, code] of refused) {
    test(`rejects ${title} before anything is sent`, async () => {
      const thrown: unknown[] = [];
      const task = defineTask({
        name: 'a',
        run: async (context) => {
          try {
            await body(context);
          } catch (error) {
            thrown.push(error);
          }
        },
      });
      const attempt = await attemptOf(task);
      assert.equal((await invokeTask(attempt)).kind, 'succeeded');
      assert.ok(thrown[0] instanceof TidemillError && thrown[0].code === code, String(thrown[0]));
      assert.deepEqual(attempt.sent, []);
    });
  }

  test('passes a refusal of the queue on to the body', async () => {
    const full = (): Promise<never> => Promise.reject(new TidemillError('QUEUE_FULL', 'full'));
    const failed = await failureOf(({ enqueue }) => enqueue(child, { n: 1 }), { enqueue: full });
    assert.equal(failed.error.message, 'full');
  });

  test('waits for a child that the body did not wait for', async () => {
    const { opened, open } = gate();
    const answered: string[] = [];
    const attempt = await attemptOf(
      defineTask({ name: 'a', run: ({ enqueue }) => void enqueue(child, { n: 1 }) }),
      {
        enqueue: async (_queue, { id }) => {
          await opened;
          answered.push(id);
          return { id, outcome: 'enqueued' };
        },
      },
    );
    const outcome = invokeTask(attempt);
    setImmediate(open);
    assert.equal((await outcome).kind, 'succeeded');
    assert.equal(answered.length, 1);
  });

  test('fails the run when a child that the body did not wait for is refused', async () => {
    const { opened, open } = gate();
    const attempt = await attemptOf(
      defineTask({ name: 'a', run: ({ enqueue }) => void enqueue(child, { n: 1 }) }),
      {
        enqueue: async () => {
          await opened;
          throw new TidemillError('QUEUE_FULL', 'full');
        },
      },
    );
    const outcome = invokeTask(attempt);
    setImmediate(open);
    assert.equal((await outcome).kind, 'failed');
    assert.equal(attempt.log.lines[0]?.message, 'a child run was not enqueued');
  });

  test('refuses, without ending the process, what is enqueued after the run has ended', async () => {
    const kept: { enqueue?: RunContext<unknown, unknown>['enqueue'] } = {};
    const attempt = await attemptOf(
      defineTask({ name: 'a', run: ({ enqueue }) => void (kept.enqueue = enqueue) }),
    );
    await invokeTask(attempt);
    void kept.enqueue?.(child, { n: 1 });
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(attempt.sent, []);
    assert.equal(attempt.log.lines[0]?.message, 'a child run was not enqueued');
    await assert.rejects(kept.enqueue?.(child, { n: 1 }) ?? Promise.resolve(), { code: 'RUN_STATE' });
  });
});

describe('wrap and onFailure', () => {
  test('run in order: wrap, body, rest of wrap, onFailure', async () => {
    const steps: string[] = [];
    const app = defineApp({
      deps: () => ({ id: 'deps' }),
      wrap: async ({ task, run, params, deps }, next) => {
        steps.push(`wrap ${task.name} ${run.id} ${JSON.stringify(params)} ${deps.id}`);
        try {
          await next();
        } finally {
          steps.push('unwrap');
        }
      },
      onFailure: ({ task, run, error, final, deps }) => {
        steps.push(`failed ${task.name} ${run.attempt} ${String(error)} ${String(final)} ${deps.id}`);
      },
    });
    const task = app.defineTask({
      name: 'a',
      retry: { attempts: 2 },
      run: () => {
        steps.push('body');
        throw new Error('boom');
      },
    });
    for (const attempt of [1, 2]) await invokeTask(await attemptOf(task, { app, record: { attempt } }));
    const round = ['wrap a run-1 {} deps', 'body', 'unwrap'];
    assert.deepEqual(steps, [
      ...round,
      'failed a 1 Error: boom false deps',
      ...round,
      'failed a 2 Error: boom true deps',
    ]);
  });

  test('an override of the attempts decides what is final', async () => {
    const told: boolean[] = [];
    const app = defineApp({ onFailure: ({ final }) => told.push(final) });
    const boom: Body = () => {
      throw new Error('boom');
    };
    for (const attempts of [1, 3]) {
      await outcomeOf(boom, { app, record: { options: { source: 'api', retry: { attempts } } } });
    }
    assert.deepEqual(told, [true, false]);
  });

  test('onFailure hears nothing of successes, cancellations, rejections, and of anything after the signal aborted', async () => {
    const app = defineApp({ onFailure: () => assert.fail('told') });
    await outcomeOf(() => 1, { app });
    await outcomeOf(({ abort }) => abort('x'), { app });
    await outcomeOf(() => 1, { app, record: { params: 'x' } });
    const aborted = await attemptOf(
      defineTask({
        name: 'a',
        run: ({ signal }) => {
          signal.throwIfAborted();
        },
      }),
      { app, signal: AbortSignal.abort(new TidemillError('SHUTDOWN', 'stop')) },
    );
    assert.equal((await invokeTask(aborted)).kind, 'failed');
    assert.deepEqual(aborted.log.lines, []);
  });

  test('wrap cannot hide a failure nor change the result', async () => {
    const app = defineApp({
      wrap: async (_context, next) => {
        await next().catch(() => undefined);
        return 'not the result';
      },
    });
    assert.deepEqual(await outcomeOf(() => 1, { app }), { kind: 'succeeded', result: '1' });
    const failed = await failureOf(
      () => {
        throw new Error('boom');
      },
      { app },
    );
    assert.equal(failed.error.message, 'boom');
  });

  test('what wrap throws fails the run, after its body has ended', async () => {
    const { opened, open } = gate();
    let ended = false;
    const app = defineApp({
      wrap: (_context, next) => {
        void next();
        throw new Error('the tracer');
      },
    });
    const failing = failureOf(
      async () => {
        await opened;
        ended = true;
      },
      { app },
    );
    setImmediate(open);
    assert.equal((await failing).error.message, 'the tracer');
    assert.ok(ended);
  });

  test('a wrap that does not call next fails the run, and calling it twice runs the body once', async () => {
    const never = defineApp({ wrap: () => undefined });
    assert.match((await failureOf(() => 1, { app: never })).error.message, /without calling next\(\)/);
    let runs = 0;
    const twice = defineApp({ wrap: async (_context, next) => [await next(), await next()] });
    assert.deepEqual(await outcomeOf(() => ++runs, { app: twice }), { kind: 'succeeded', result: '1' });
  });

  test('a body that fails while wrap is busy elsewhere fails the run, not the process', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    const app = defineApp({
      wrap: async (_context, next) => {
        void next();
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      },
    });
    const boom: Body = () => {
      throw new Error('boom');
    };
    assert.equal((await failureOf(boom, { app })).error.message, 'boom');
    process.off('unhandledRejection', note);
    assert.deepEqual(unhandled, []);
  });

  test('a wrap that does not await next still covers the whole body', async () => {
    const app = defineApp({ wrap: (_context, next) => void next() });
    assert.deepEqual(await outcomeOf(async () => Promise.resolve(5), { app }), {
      kind: 'succeeded',
      result: '5',
    });
  });
});

function circularCause(): Error {
  const error = new Error('circular');
  error.cause = error;
  return error;
}
