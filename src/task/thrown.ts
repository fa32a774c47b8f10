/** Turns whatever was thrown into the bounded record of a failure. Nothing that a task throws can make this throw. */
import { inspect } from 'node:util';
import { type ErrorCode, NON_RETRYABLE_BRAND, TidemillError } from '../runtime/errors.ts';
import { refusedByNode } from './denied.ts';
import type { FailureReason, RunError } from './run.ts';

export const MESSAGE_MAX_LENGTH = 1_024;
export const STACK_MAX_LENGTH = 4_096;
export const NAME_MAX_LENGTH = 128;
/** Causes followed; a chain may refer back to itself. */
const MOST_CAUSES = 5;

/** What is kept of a thrown value. Values that are no errors are named by their type. */
export function toRunError(thrown: unknown, reason: FailureReason): RunError {
  if (!isErrorLike(thrown)) {
    return { reason, name: `thrown ${typeof thrown}`, message: clip(textOf(thrown), MESSAGE_MAX_LENGTH) };
  }
  const stack = stackOf(thrown);
  return {
    reason,
    name: clip(property(thrown, 'name') ?? 'Error', NAME_MAX_LENGTH),
    message: clip(refusedByNode(thrown) ?? property(thrown, 'message') ?? '', MESSAGE_MAX_LENGTH),
    ...(stack !== '' && { stack: clip(stack, STACK_MAX_LENGTH) }),
  };
}

/** Whether the author said that no retry can help: by `NonRetryableError` of any copy of the package, or a subclass. */
export function isNonRetryable(thrown: unknown): boolean {
  if (typeof thrown !== 'object' || thrown === null) return false;
  return read(thrown, NON_RETRYABLE_BRAND) === true || read(thrown, 'name') === 'NonRetryableError';
}

/** Whether it is an error of ours with that code. */
export function hasCode(thrown: unknown, code: ErrorCode): boolean {
  try {
    return thrown instanceof TidemillError && thrown.code === code;
  } catch {
    return false; // `instanceof` asks the value for its prototype, and a revoked proxy throws
  }
}

/** Whether what was thrown is the consequence of an abort: its reason, something caused by it, or an `AbortError`. */
export function isAbortOf(signal: AbortSignal, thrown: unknown): boolean {
  if (!signal.aborted) return false;
  if (thrown === signal.reason) return true;
  if (typeof thrown !== 'object' || thrown === null) return false;
  const name = read(thrown, 'name');
  return read(thrown, 'cause') === signal.reason || name === 'AbortError' || name === 'TimeoutError';
}

/** A text cut at a number of UTF-16 units, without half a character at its end. */
export function clip(text: string, maxLength: number): string {
  return (text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`).toWellFormed();
}

/** The stack and those of its causes: the cause is usually what one looks for. */
function stackOf(error: object): string {
  const stacks: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth <= MOST_CAUSES && isErrorLike(current); depth++) {
    const stack = property(current, 'stack') ?? '';
    if (stack === '') break;
    stacks.push(depth === 0 ? stack : `caused by: ${stack}`);
    current = read(current, 'cause');
  }
  return stacks.join('\n');
}

/** Errors of other realms and copies are no instances of our `Error`: what counts is that there is a message. */
function isErrorLike(thrown: unknown): thrown is object {
  return typeof thrown === 'object' && thrown !== null && property(thrown, 'message') !== undefined;
}

function property(from: object, key: string): string | undefined {
  const value = read(from, key);
  return typeof value === 'string' ? value : undefined;
}

function read(from: object, key: PropertyKey): unknown {
  try {
    return Reflect.get(from, key);
  } catch {
    return undefined; // a throwing getter or a hostile proxy
  }
}

/** Text of any value; never throws. */
export function textOf(value: unknown): string {
  try {
    return typeof value === 'string'
      ? value
      : inspect(value, { depth: 1, breakLength: Infinity, customInspect: false });
  } catch {
    return 'a value that cannot be shown';
  }
}
