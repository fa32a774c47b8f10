/** What every refusal must be. */
import assert from 'node:assert/strict';
import { type ErrorCode, TidemillError } from '../../src/runtime/errors.ts';
import { assertPlain } from '../corpus/case.ts';

/** @returns what the call gives, or `undefined` when it refused with that code, in bounded and plain text */
export function takenOr<T>(code: ErrorCode, call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof TidemillError) || error.code !== code) throw error;
    assertPlain(error.message);
    assert.notEqual(error.message, '');
    return undefined;
  }
}
