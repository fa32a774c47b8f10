/**
 * Runs one attempt of a task: the same code in the consumer's loop, in a child process, and in `runTask`.
 *
 * Order: params are decoded → `wrap` of the app → `run` → children that `run` did not wait for → the result is encoded.
 * `onFailure` is called here for failures of the task's own. Once the signal has aborted it is not: only the caller
 * knows what the abort means (a shutdown is no failure), so it calls `LoadedApp.onFailure` for the timeouts it settles.
 */
import { TidemillError } from '../runtime/errors.ts';
import type { Attempt, AttemptResult } from './attempt.ts';
import { decodeParams } from './params.ts';
import { storedResult, storedUnchecked } from './result.ts';
import { adviseRetry, decideOutcome, resolveRetry } from './retry.ts';
import { RunScope } from './run-scope.ts';
import { hasCode, isAbortOf, isNonRetryable, toRunError } from './thrown.ts';
import type { AnyTask, RunContext } from './types.ts';

export type { Attempt, AttemptResult } from './attempt.ts';

/** Never rejects: whatever the task does becomes an `AttemptResult`. */
export async function invokeTask(attempt: Attempt): Promise<AttemptResult> {
  const decoded = await decodeParams(attempt.task, attempt.record.params);
  if (!decoded.ok) return { kind: 'rejected', error: decoded.error };
  const scope = new RunScope(attempt);
  try {
    const returned = await runBody(attempt, scope.context(decoded.params));
    // Each await costs every run a turn: most runs have no child that is still to be handed over, and no result schema.
    if (scope.hasUnanswered) await scope.childrenHandedOver();
    if (scope.abortReason !== undefined) return { kind: 'cancelled', reason: scope.abortReason };
    if (attempt.task.result === undefined) return { kind: 'succeeded', ...storedUnchecked(returned) };
    return { kind: 'succeeded', ...(await storedResult(attempt.task, returned)) };
  } catch (thrown) {
    if (scope.abortReason !== undefined) return { kind: 'cancelled', reason: scope.abortReason };
    const failed = failureOf(attempt, thrown);
    await tellApp(attempt, scope, thrown, failed);
    return failed;
  } finally {
    scope.end();
  }
}

/** Calls `run` inside `wrap`. What the body did stands: `wrap` can add a failure, never hide one. */
async function runBody({ task, app }: Attempt, context: RunContext<unknown, unknown>): Promise<unknown> {
  if (app.wrap === undefined) return await task.run(context);
  const body: { started?: Promise<unknown> } = {};
  const next = (): Promise<unknown> => {
    body.started ??= startBody(task, context);
    // Handled at once: wrap may not wait for it, and a rejection that nobody handles would end the process.
    body.started.catch(() => undefined);
    return body.started;
  };
  try {
    await app.wrap({ ...context, task: { name: task.name } }, next);
  } finally {
    // The attempt must not end before its body, even where wrap gave up on it.
    await body.started?.catch(() => undefined);
  }
  if (body.started !== undefined) return await body.started;
  throw new TidemillError(
    'TASK_INVALID',
    'wrap of the app ended without calling next(): the task did not run',
  );
}

async function startBody(task: AnyTask, context: RunContext<unknown, unknown>): Promise<unknown> {
  return await task.run(context);
}

type Failed = Extract<AttemptResult, { kind: 'failed' }>;

function failureOf({ task, record, signal }: Attempt, thrown: unknown): Failed {
  if (isNonRetryable(thrown))
    return { kind: 'failed', error: toRunError(thrown, 'NonRetryable'), retry: 'never' };
  if (hasCode(thrown, 'RESULT_INVALID'))
    return { kind: 'failed', error: toRunError(thrown, 'InvalidResult'), retry: 'policy' };
  if (hasCode(thrown, 'RESULT_TOO_LARGE'))
    return { kind: 'failed', error: toRunError(thrown, 'ResultTooLarge'), retry: 'policy' };

  const retry = adviseRetry(resolveRetry(task.retry, record.options.retry), thrown, record.attempt);
  if (hasCode(signal.reason, 'TASK_TIMEOUT') && isAbortOf(signal, thrown)) {
    return { kind: 'failed', error: toRunError(signal.reason, 'Timeout'), retry };
  }
  return { kind: 'failed', error: toRunError(thrown, retry === 'never' ? 'NonRetryable' : 'Error'), retry };
}

async function tellApp(
  { task, record, app, signal, log }: Attempt,
  scope: RunScope,
  error: unknown,
  failed: Failed,
): Promise<void> {
  if (signal.aborted) return;
  const policy = resolveRetry(task.retry, record.options.retry);
  const final = decideOutcome(failed, { attempt: record.attempt, policy, random: () => 0 }).kind === 'failed';
  await app.onFailure({ task: { name: task.name }, run: scope.run, error, final, log });
}
