/** The returned value of a task as it is stored: JSON, complete or refused. */
import { ProblemsError, TidemillError } from '../runtime/errors.ts';
import { type JsonRules, parseJsonSafely, toJsonText } from './json.ts';
import { schemaProblems } from './schema-problems.ts';
import type { TaskContract } from './types.ts';

export const RESULT_MAX_BYTES = 64 * 1024;
const RULES: JsonRules = { maxBytes: RESULT_MAX_BYTES, refuseReservedKeys: false, refuseInexact: false };

/**
 * JSON text of a returned value; `undefined` when nothing was returned.
 * @throws TidemillError RESULT_INVALID that names the path of the first value that is not JSON, RESULT_TOO_LARGE
 */
export function encodeResult(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const encoded = toJsonText(value, RULES);
  if (encoded.ok) return encoded.text;
  if (encoded.kind === 'invalid') {
    const { path, message } = encoded.problem;
    throw new TidemillError(
      'RESULT_INVALID',
      `the returned value ${path === '' ? '' : `at ${path} `}${message}`,
    );
  }
  throw new TidemillError(
    'RESULT_TOO_LARGE',
    `the returned value is more than ${RESULT_MAX_BYTES / 1024} KiB as JSON: store it elsewhere and return a reference`,
  );
}

/** Whether a text is one that `encodeResult` may have made: a process that runs a task is not believed. */
export const isResultText = (text: string): boolean =>
  !/[\r\n]/.test(text) && parseJsonSafely(text, RULES).ok;

/**
 * What is stored of a returned value where the task has no result schema.
 * @throws TidemillError RESULT_INVALID, RESULT_TOO_LARGE
 */
export function storedUnchecked(returned: unknown): { readonly result?: string } {
  const result = encodeResult(returned);
  return result === undefined ? {} : { result };
}

/**
 * What is stored of a returned value, checked by the result schema of the task as its readers will: after JSON.
 * @throws TidemillError RESULT_INVALID, RESULT_TOO_LARGE
 */
export async function storedResult(
  task: TaskContract,
  returned: unknown,
): Promise<{ readonly result?: string }> {
  const stored = storedUnchecked(returned);
  const value: unknown = stored.result === undefined ? undefined : JSON.parse(stored.result);
  const parsed = await task.result?.safeParseAsync(value);
  if (parsed?.error !== undefined) {
    const summary = `the returned value does not fit the result schema of task "${task.name}":`;
    throw new ProblemsError('RESULT_INVALID', summary, schemaProblems(parsed.error, 'result'));
  }
  return stored;
}
