import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { watchSignals } from '../../../src/runtime/shutdown.ts';

class FakeProcess extends EventEmitter {
  readonly codes: number[] = [];

  exit(code: number): void {
    this.codes.push(code);
  }
}

test('the first signal aborts and names itself, the second exits with 1', () => {
  const source = new FakeProcess();
  const { signal } = watchSignals(source);
  assert.equal(signal.aborted, false);
  source.emit('SIGTERM', 'SIGTERM');
  assert.equal(signal.aborted, true);
  assert.equal(signal.reason, 'SIGTERM');
  assert.deepEqual(source.codes, []);
  source.emit('SIGINT', 'SIGINT');
  assert.deepEqual(source.codes, [1]);
});

test('a signal during a stop of our own still asks first', () => {
  const source = new FakeProcess();
  const shutdown = watchSignals(source);
  shutdown.stop('leaked slots');
  source.emit('SIGTERM', 'SIGTERM');
  assert.equal(shutdown.signal.reason, 'leaked slots');
  assert.deepEqual(source.codes, []);
});

test('SIGPIPE is left to Node', () => {
  const source = new FakeProcess();
  watchSignals(source);
  assert.equal(source.listenerCount('SIGPIPE'), 0);
});

test('disposing takes the handlers away', () => {
  const source = new FakeProcess();
  watchSignals(source)[Symbol.dispose]();
  assert.deepEqual(source.eventNames(), []);
});
