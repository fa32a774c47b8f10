/** What every case of the corpus must hold to: a code and a message, in little time, with nothing polluted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, TidemillError } from '../../src/runtime/errors.ts';

/** Of the input in a message; the rest is the rule. */
const LONGEST_MESSAGE = 700;

export function refuses(title: string, call: () => unknown, code: ErrorCode, message: RegExp): void {
  test(title, () => {
    const { error, durationMs } = timed(call);
    assert.ok(error instanceof TidemillError, `${String(error)} is no refusal`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assertPlain(error.message);
    assertQuick(durationMs);
    assertUnpolluted();
  });
}

export function accepts(title: string, call: () => unknown, expected: unknown): void {
  test(title, () => {
    assert.deepEqual(call(), expected);
    assertUnpolluted();
  });
}

/** CPU time would be exact but counts other threads; the generous bound is for a loaded machine. */
export function assertQuick(durationMs: number): void {
  assert.ok(durationMs < 1_000, `took ${durationMs} ms`);
}

export function assertUnpolluted(): void {
  assert.equal(Reflect.get({}, 'polluted'), undefined);
}

/** A message is of bounded length and holds nothing that a terminal obeys. */
export function assertPlain(message: string): void {
  assert.ok(message.length <= LONGEST_MESSAGE, `a message of ${message.length} characters`);
  assert.doesNotMatch(message, /[^\P{Cc}\n]|[\u2028-\u202e\u2066-\u2069\ufeff]/u);
}

/** A name for a test title: quoted, and cut. */
export function titleOf(input: unknown): string {
  const text = typeof input === 'string' ? JSON.stringify(input) : String(input);
  return text.length <= 50 ? text : `${text.slice(0, 50)}… (${text.length})`;
}

function timed(call: () => unknown): { readonly error: unknown; readonly durationMs: number } {
  const startMs = performance.now();
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  return { error, durationMs: performance.now() - startMs };
}
