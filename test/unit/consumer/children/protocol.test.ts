import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type ChildMessage,
  parseChildMessage,
  parseParentMessage,
} from '../../../../src/consumer/children/protocol.ts';

const RESULT: ChildMessage = {
  type: 'result',
  run: 1,
  result: { kind: 'failed', error: { reason: 'Error', name: 'Error', message: 'no' }, retry: { delayMs: 5 } },
  droppedLogs: 0,
  rssBytes: 1,
  reusable: true,
};

test('a message of ours passes unchanged', () => {
  assert.deepEqual(parseChildMessage(RESULT), { message: RESULT });
  const run = {
    type: 'run',
    run: 1,
    record: {
      id: 'a',
      queue: 'default',
      task: 't',
      priority: 'low',
      state: 'running',
      params: '{}',
      options: {
        source: 'schedule',
        schedule: { uid: 'u', namespace: 'n', name: 's', slotMs: 5 },
        retry: { attempts: 2 },
      },
      attempt: 1,
      deaths: 0,
      enqueuedAtMs: 0,
    },
  };
  assert.deepEqual(parseParentMessage(run), { message: run });
});

test('what is none of ours is named, on both sides', () => {
  for (const wrong of [
    undefined,
    null,
    'ready',
    7,
    [],
    {},
    { type: 'nonsense' },
    { ...RESULT, run: -1 },
    { ...RESULT, result: { kind: 'won' } },
  ]) {
    const parsed = parseChildMessage(wrong);
    assert.ok('problem' in parsed, JSON.stringify(wrong));
    assert.match(parsed.problem, /^unexpected message: /);
    assert.ok('problem' in parseParentMessage(wrong));
  }
});

test('no value makes the parser throw', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      assert.ok('problem' in parseChildMessage(value));
    }),
  );
});
