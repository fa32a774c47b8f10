import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_LOG_BYTES, MAX_LOG_RECORDS } from '../../../../src/consumer/children/log-limits.ts';
import type { ChildMessage } from '../../../../src/consumer/children/protocol.ts';
import { RunLog } from '../../../../src/consumer/children/run-log.ts';

test('fields that cannot be sent are made plain, and fields with secrets are hidden before they leave the child', () => {
  const sent: ChildMessage[] = [];
  const log = new RunLog(3, (message) => sent.push(message));
  log.warn('odd', { callback: () => 1, password: 'x', nested: { symbol: Symbol('s') } });
  assert.deepEqual(structuredClone(sent), [
    {
      type: 'log',
      run: 3,
      level: 'warn',
      message: 'odd',
      fields: { callback: '[function]', password: '[redacted]', nested: { symbol: '[symbol]' } },
    },
  ]);
});

test('records over the limit are counted and not sent', () => {
  let sent = 0;
  const log = new RunLog(1, () => (sent += 1));
  for (let index = 0; index < MAX_LOG_RECORDS + 5; index++) log.debug('x');
  assert.equal(sent, MAX_LOG_RECORDS);
  assert.equal(log.dropped, 5);
});

test('bytes over the limit are counted and not sent', () => {
  let bytes = 0;
  const log = new RunLog(1, (message) => (bytes += JSON.stringify(message).length));
  for (let index = 0; index < 1_000; index++) log.info('x', { text: 'y'.repeat(8_000) });
  assert.ok(bytes < MAX_LOG_BYTES * 1.1, `${bytes} bytes`);
  assert.ok(log.dropped > 800);
});
