/** Run ids and states: the same cause makes the same id, and an id says where its run lives. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  childRunId,
  generatedRunId,
  newIncarnation,
  queueOfRunId,
  scheduleUidOfRunId,
  slotRunId,
  triggerRunId,
} from '../../../src/task/ids.ts';
import { checkGivenRunId } from '../../../src/task/names.ts';
import { isTerminal, RUN_STATES, TRANSITIONS } from '../../../src/task/run.ts';

describe('run ids', () => {
  test('of slots and triggers name their schedule, and nothing else does', () => {
    assert.equal(slotRunId('uid-1', 86_400_000), 'uid-1@1970-01-02T00:00:00.000Z');
    assert.equal(scheduleUidOfRunId(slotRunId('uid-1', 5)), 'uid-1');
    assert.equal(scheduleUidOfRunId(triggerRunId('uid-1', 'now')), 'uid-1');
    for (const id of ['given', 'queue:abc', '@now']) assert.equal(scheduleUidOfRunId(id), undefined);
  });

  test('that were generated or derived name their queue, and nothing else does', () => {
    assert.equal(queueOfRunId(generatedRunId('slow')), 'slow');
    assert.equal(queueOfRunId(childRunId('p', 'slow', 't', '{}', 0)), 'slow');
    for (const id of ['given', ':x', slotRunId('uid:1', 0)]) assert.equal(queueOfRunId(id), undefined);
  });

  test('of children differ with the parent, queue, task, params and ordinal, and with nothing else', () => {
    const same = childRunId('p', 'q', 't', '{}', 0);
    assert.equal(childRunId('p', 'q', 't', '{}', 0), same);
    const others = [
      childRunId('p2', 'q', 't', '{}', 0),
      childRunId('p', 'q2', 't', '{}', 0),
      childRunId('p', 'q', 't2', '{}', 0),
      childRunId('p', 'q', 't', '{"a":1}', 0),
      childRunId('p', 'q', 't', '{}', 1),
    ];
    assert.equal(new Set([same, ...others]).size, 6);
  });

  test('that a producer chooses can be neither scheduled nor generated ones', () => {
    assert.equal(checkGivenRunId('order/5?x=1'), 'order/5?x=1');
    for (const id of [slotRunId('u', 0), triggerRunId('u', 'r'), generatedRunId('q'), 'é', 'a\n']) {
      assert.throws(() => checkGivenRunId(id), { code: 'RUN_ID_INVALID' });
    }
  });

  test('and incarnations are 96 random bits', () => {
    assert.match(newIncarnation(), /^[0-9a-f]{24}$/);
    assert.notEqual(newIncarnation(), newIncarnation());
  });
});

describe('run states', () => {
  test('that are terminal lead nowhere, but for a failed run, which can be redriven', () => {
    for (const state of RUN_STATES) {
      const next = TRANSITIONS[state];
      if (state === 'failed') assert.deepEqual(next, ['pending']);
      else assert.equal(next.length === 0, isTerminal(state), state);
    }
  });
});
