/** What follows a failed attempt: tables over policy, attempt and advice. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { AttemptResult } from '../../../src/task/attempt.ts';
import { adviseRetry, backoffDelayMs, decideOutcome, resolveRetry } from '../../../src/task/retry.ts';
import { FAILURE_REASONS, type FailureReason, type Outcome } from '../../../src/task/run.ts';
import type { RetryPolicy } from '../../../src/task/types.ts';

const policy: RetryPolicy = { attempts: 5, backoffMs: 1_000, maxBackoffMs: 60_000 };
const most = (): number => 1;

describe('backoffDelayMs', () => {
  const table: readonly (readonly [attempt: number, random: number, delayMs: number])[] = [
    [1, 0, 0],
    [1, 0.5, 500],
    [1, 1, 1_000],
    [2, 1, 2_000],
    [3, 1, 4_000],
    [6, 1, 32_000],
    [7, 1, 60_000],
    [7, 0.25, 15_000],
    [100, 1, 60_000],
    [5_000, 1, 60_000],
    [0, 1, 1_000],
  ];
  for (const [attempt, random, delayMs] of table) {
    test(`waits ${delayMs} ms after attempt ${attempt} when the draw is ${random}`, () => {
      assert.equal(
        backoffDelayMs(policy, attempt, () => random),
        delayMs,
      );
    });
  }

  test('is a whole number from 0 to the cap for any policy and draw', () => {
    const numbers = fc.record({
      backoffMs: fc.nat(86_400_000),
      maxBackoffMs: fc.nat(86_400_000),
      attempt: fc.integer({ min: 1, max: 2_000 }),
      random: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(numbers, ({ backoffMs, maxBackoffMs, attempt, random }) => {
        const delayMs = backoffDelayMs({ attempts: 1, backoffMs, maxBackoffMs }, attempt, () => random);
        assert.ok(Number.isSafeInteger(delayMs) && delayMs >= 0 && delayMs <= maxBackoffMs);
      }),
    );
  });
});

describe('resolveRetry', () => {
  test('lets an override win field by field, and keeps the decision by error', () => {
    const when = (): boolean => true;
    assert.equal(resolveRetry(policy, undefined), policy);
    assert.deepEqual(resolveRetry({ ...policy, when }, { attempts: 2 }), { ...policy, attempts: 2, when });
    assert.deepEqual(resolveRetry(policy, { backoffMs: 5, maxBackoffMs: 7 }), {
      attempts: 5,
      backoffMs: 5,
      maxBackoffMs: 7,
    });
  });

  test('raises the cap of the task to a longer back-off that comes without a cap', () => {
    assert.equal(resolveRetry(policy, { backoffMs: 90_000 }).maxBackoffMs, 90_000);
  });
});

describe('adviseRetry', () => {
  const answers: readonly (readonly [answer: unknown, advice: unknown])[] = [
    [undefined, 'policy'],
    [true, 'policy'],
    [false, 'never'],
    [0, { delayMs: 0 }],
    [1_500.4, { delayMs: 1_500 }],
    [Infinity, { delayMs: 366 * 86_400_000 }],
    [-1, 'policy'],
    [NaN, 'policy'],
    ['30s', 'policy'],
    [null, 'policy'],
    [Promise.reject(new Error('an async decider')), 'policy'],
  ];
  for (const [answer, advice] of answers) {
    test(`takes ${String(answer)} from retry.when as ${JSON.stringify(advice)}`, () => {
      const when = (): undefined => Reflect.get({ answer }, 'answer') as undefined;
      assert.deepEqual(adviseRetry({ ...policy, when }, new Error('x'), 1), advice);
    });
  }

  test('shows the decider the error and the attempt, and survives its throw', () => {
    const seen: unknown[] = [];
    const error = new Error('x');
    const noting = (...shown: unknown[]): undefined => void seen.push(...shown);
    adviseRetry({ ...policy, when: noting }, error, 3);
    assert.deepEqual(seen, [error, 3]);
    const throwing = (): boolean => {
      throw new Error('decider');
    };
    assert.equal(adviseRetry({ ...policy, when: throwing }, error, 1), 'policy');
  });
});

describe('decideOutcome', () => {
  const errorOf = (reason: FailureReason): { reason: FailureReason; name: string; message: string } => ({
    reason,
    name: 'E',
    message: 'm',
  });
  const decide = (result: AttemptResult, attempt: number): Outcome =>
    decideOutcome(result, { attempt, policy, random: most });

  test('passes success, cancellation and rejection on unchanged', () => {
    for (const result of [
      { kind: 'succeeded', result: '1' },
      { kind: 'succeeded' },
      { kind: 'cancelled', reason: 'r' },
      { kind: 'rejected', error: errorOf('InvalidParams') },
    ] as const) {
      for (const attempt of [1, 5, 9]) assert.deepEqual(decide(result, attempt), result);
    }
  });

  for (const reason of FAILURE_REASONS) {
    test(`retries ${reason} while attempts are left, and keeps the reason when none is`, () => {
      const failed = { kind: 'failed', error: errorOf(reason), retry: 'policy' } as const;
      assert.deepEqual(decide(failed, 1), { kind: 'retry', delayMs: 1_000, error: failed.error });
      assert.deepEqual(decide(failed, 4), { kind: 'retry', delayMs: 8_000, error: failed.error });
      assert.deepEqual(decide(failed, 5), { kind: 'failed', error: failed.error });
      assert.deepEqual(decide(failed, 6), { kind: 'failed', error: failed.error });
    });
  }

  test('never retries where the error says no', () => {
    const error = errorOf('NonRetryable');
    assert.deepEqual(decide({ kind: 'failed', error, retry: 'never' }, 1), { kind: 'failed', error });
  });

  test('takes the delay that the error asks for, but no more attempts', () => {
    const error = errorOf('Error');
    assert.deepEqual(decide({ kind: 'failed', error, retry: { delayMs: 7 } }, 4), {
      kind: 'retry',
      delayMs: 7,
      error,
    });
    assert.deepEqual(decide({ kind: 'failed', error, retry: { delayMs: 7 } }, 5), { kind: 'failed', error });
  });
});
