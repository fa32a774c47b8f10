import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChildRun, type ResultMessage } from '../../../../src/consumer/children/child-run.ts';
import { MAX_LOG_RECORDS } from '../../../../src/consumer/children/log-limits.ts';
import type { ExecuteRequest } from '../../../../src/consumer/executor.ts';
import { TaskRegistry } from '../../../../src/task/registry.ts';
import { defineTask } from '../../../../src/task/define-task.ts';
import { RecordingLog } from '../../../support/cpu-pool.ts';

const RESULT: ResultMessage = {
  type: 'result',
  run: 1,
  result: { kind: 'succeeded', result: '1' },
  droppedLogs: 0,
  rssBytes: 1,
  reusable: true,
};
const KILLED = { code: null, signal: 'SIGKILL', stderrTail: '' } as const;

function startRun(): { run: ChildRun; log: RecordingLog; begins: number[] } {
  const task = new TaskRegistry([defineTask({ name: 'some', run: () => 1 })]).get('some');
  const log = new RecordingLog();
  const begins: number[] = [];
  const request: ExecuteRequest = {
    task,
    record: {
      id: 'some-run',
      queue: 'default',
      task: 'some',
      priority: 'medium',
      state: 'running',
      params: '{}',
      options: { source: 'cli' },
      attempt: 1,
      deaths: 0,
      enqueuedAtMs: 0,
    },
    timeoutMs: 1_000,
    signal: new AbortController().signal,
    log,
    enqueue: async (_queue, { id }) => ({ id, outcome: 'enqueued' }),
    started: () => begins.push(1),
  };
  return { run: new ChildRun(1, request), log, begins };
}

test('a result that was reported stands, even when the child dies in the same moment', async () => {
  const { run } = startRun();
  run.begin();
  const reported = run.report(RESULT);
  run.endByExit(KILLED);
  await reported;
  assert.deepEqual(await run.ended, { kind: 'succeeded', result: '1' });
});

test('a child that dies before the body begins has not touched the run', async () => {
  const { run, begins } = startRun();
  run.endByExit(KILLED);
  assert.equal(await run.ended, 'not-begun');
  assert.deepEqual(begins, []);
});

test('the first cause of an end stands', async () => {
  const { run } = startRun();
  run.begin();
  assert.equal(run.causeEnd({ kind: 'timeout', message: 'too long' }), true);
  assert.equal(run.causeEnd({ kind: 'shutdown', message: 'too late' }), false);
  run.endByExit(KILLED);
  const end = await run.ended;
  assert.ok(end !== 'not-begun' && end.kind === 'failed');
  assert.equal(end.error.reason, 'Timeout');
});

test('a child that sends more records than its limit is found out', () => {
  const { run, log } = startRun();
  const record = { type: 'log', run: 1, level: 'info', message: 'x' } as const;
  for (let index = 0; index < MAX_LOG_RECORDS; index++) assert.equal(run.log(record), true);
  assert.equal(run.log(record), false);
  assert.equal(log.entries.length, MAX_LOG_RECORDS);
});

test('the end of a run tells what of its output and log was not kept', async () => {
  const { run, log } = startRun();
  run.begin();
  run.write('stdout', Buffer.alloc(100_000, 'x'));
  await run.report({ ...RESULT, droppedLogs: 7 });
  assert.deepEqual(
    log.entries.map(({ message, fields }) => [
      message,
      fields['droppedBytes'] ?? fields['droppedRecords'] ?? fields['cutBytes'],
    ]),
    [
      ['task output', 100_000 - 8_192],
      ['task output truncated', 100_000 - 8_192],
      ['task log truncated', 7],
    ],
  );
});
