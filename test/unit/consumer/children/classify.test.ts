import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChildExit, classifyExit, stopCauseOf } from '../../../../src/consumer/children/classify.ts';
import { StopError } from '../../../../src/consumer/stop-error.ts';

const V8_LAST_WORDS =
  '\n<--- Last few GCs --->\n\n[12:0x1] 900 ms: Mark-Compact 39.1 (41.5) -> 38.9 (41.7) MB\n\n<--- JS stacktrace --->\n\n' +
  'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n';

function exit(code: number | null, signal: NodeJS.Signals | null, stderrTail = ''): ChildExit {
  return { code, signal, stderrTail };
}

function reasonOf(ended: ChildExit): string {
  const result = classifyExit(ended, undefined);
  return result.kind === 'failed' ? result.error.reason : result.kind;
}

test('an exit that nobody asked for is named by its code, its signal and its last words', () => {
  assert.equal(reasonOf(exit(0, null)), 'ExitedSilently');
  assert.equal(reasonOf(exit(13, null)), 'ExitedSilently');
  assert.equal(reasonOf(exit(1, null)), 'Crashed');
  assert.equal(reasonOf(exit(137, null)), 'Crashed');
  assert.equal(reasonOf(exit(null, 'SIGKILL')), 'Killed');
  assert.equal(reasonOf(exit(null, 'SIGTERM')), 'Killed');
  assert.equal(reasonOf(exit(null, null)), 'Lost');
});

test('an abort counts as a full heap only when V8 said so', () => {
  for (const words of [
    V8_LAST_WORDS,
    'FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory',
    'FATAL ERROR: invalid array length Allocation failed - JavaScript heap out of memory',
    '#\n# Fatal process out of memory: Zone\n#',
  ]) {
    assert.equal(reasonOf(exit(null, 'SIGABRT', words)), 'HeapOutOfMemory');
    assert.equal(reasonOf(exit(134, null, words)), 'HeapOutOfMemory');
    assert.equal(reasonOf(exit(null, 'SIGTRAP', words)), 'HeapOutOfMemory');
  }
  assert.equal(reasonOf(exit(null, 'SIGABRT', 'assertion failed')), 'Killed');
  assert.equal(reasonOf(exit(134, null, 'assertion failed')), 'Crashed');
  assert.equal(reasonOf(exit(1, null, V8_LAST_WORDS)), 'Crashed');
});

test('our own cause wins over what the exit looks like', () => {
  const killed = exit(null, 'SIGKILL', V8_LAST_WORDS);
  const timeout = classifyExit(killed, { kind: 'timeout', message: 'longer than 5 s' });
  assert.deepEqual(timeout, {
    kind: 'failed',
    error: { reason: 'Timeout', name: 'ChildExitError', message: 'longer than 5 s' },
    retry: 'policy',
  });
  assert.deepEqual(classifyExit(killed, { kind: 'cancelled', message: 'by hand' }), {
    kind: 'cancelled',
    reason: 'by hand',
  });
  const protocol = classifyExit(killed, { kind: 'protocol', message: 'nonsense' });
  assert.ok(protocol.kind === 'failed');
  assert.equal(protocol.error.reason, 'Lost');
});

test('messages are bounded, and end with what the child said last', () => {
  const result = classifyExit(exit(7, null, `${'x'.repeat(100_000)} the end\n`), undefined);
  assert.ok(result.kind === 'failed');
  assert.ok(result.error.message.length <= 1_024);
  assert.match(result.error.message, /code 7; its last output: x+ the end$/);
});

test('a signal that was aborted with something else counts as a shutdown: nobody is to blame', () => {
  assert.deepEqual(stopCauseOf(new StopError('cancelled', 'enough')), {
    kind: 'cancelled',
    message: 'enough',
  });
  assert.deepEqual(stopCauseOf('because'), { kind: 'shutdown', message: 'because' });
});
