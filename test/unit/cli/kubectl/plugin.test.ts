/** What the verbs of the plugin make of an object: pure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTo } from '../../../../src/cli/kubectl/trigger.ts';
import { slotAnswer } from '../../../../src/cli/kubectl/why-status.ts';
import { parseScheduledTask, type ScheduledTask } from '../../../../src/resource/scheduled-task.ts';

const RUN_NOW = 'tidemill.dev/run-now';

function objectWith(annotations: Readonly<Record<string, string>>, status: object): ScheduledTask {
  const parsed = parseScheduledTask(
    {
      apiVersion: 'tidemill.dev/v1alpha1',
      kind: 'ScheduledTask',
      metadata: { name: 'tide', namespace: 'harbour', annotations },
      spec: { task: 'tide', every: '1m' },
      status,
    },
    'refuse',
  );
  assert.equal(parsed.kind, 'object');
  return parsed.object;
}

test('a request waits while it stands in the object and is not echoed', () => {
  const lastTrigger = { request: 'before', state: 'Succeeded' };
  assert.equal(answerTo(objectWith({ [RUN_NOW]: 'mine' }, { lastTrigger }), 'mine'), 'waiting');
});

test('the echo of a request is its answer, though another one stands in the object by now', () => {
  const lastTrigger = { request: 'mine', state: 'Running' };
  const answer = answerTo(objectWith({ [RUN_NOW]: 'other' }, { lastTrigger }), 'mine');
  assert.deepEqual(answer, lastTrigger);
});

test('a request that another one took the place of, or that was taken away, is not waited for', () => {
  const lastTrigger = { request: 'other', state: 'Running' };
  assert.equal(answerTo(objectWith({ [RUN_NOW]: 'other' }, { lastTrigger }), 'mine'), 'displaced');
  assert.equal(answerTo(objectWith({}, {}), 'mine'), 'displaced');
});

test('the command that reads Redis for a slot can be pasted as it stands', () => {
  const object = objectWith({}, { settledThroughTime: '2026-11-24T12:00:00Z' });
  const atMs = Date.parse('2026-11-24T11:00:00Z');
  const { sentences } = slotAnswer(object, atMs, Date.parse('2026-11-24T12:00:00Z'));
  assert.match(sentences.join('\n'), /`tidemill schedules why harbour\/tide --at 2026-11-24T11:00:00\.000Z`/);
});
