/** What `tidemill doctor` makes of queues in which runs wait. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueueStats, TaskStats } from '../../../../src/broker/broker.ts';
import { queueFindings } from '../../../../src/cli/doctor/queues.ts';
import { reasonsToWait } from '../../../../src/cli/why-runs-wait.ts';
import { createMemoryBroker } from '../../../../src/broker/memory/memory-broker.ts';
import { VirtualClock } from '../../../../src/runtime/virtual-clock.ts';

const stats = (more: Partial<QueueStats> = {}): QueueStats => ({
  ...{ queue: 'reports', pending: 0, delayed: 0, running: 0, retainedSucceeded: 0, retainedFailed: 0 },
  ...{ retainedBytes: 0, maxPending: 1_000, paused: false, oldestPendingAgeMs: 0, consumers: 1, dueSoon: 0 },
  ...more,
});
const task = (more: Partial<TaskStats> = {}): TaskStats => ({
  ...{ task: 'job', executor: 'io', running: 0, paused: false, known: true },
  ...{ pending: { high: 0, medium: 2, low: 0 }, ...more },
});

test('a queue in which nothing waits has no reason, whoever serves it', () => {
  assert.deepEqual(
    reasonsToWait({ stats: stats({ consumers: 0, paused: true }), tasks: [], registered: 0 }),
    [],
  );
  assert.deepEqual(reasonsToWait({ stats: stats({ pending: 2 }), tasks: [task()], registered: 1 }), []);
});

test('runs without a consumer are told, and whether one died or none ever came', () => {
  const waits = stats({ pending: 1, running: 1, consumers: 0 });
  assert.deepEqual(reasonsToWait({ stats: waits, tasks: [task({ known: false })], registered: 0 }), [
    'queue reports has 2 runs, and no consumer is registered',
  ]);
  assert.deepEqual(reasonsToWait({ stats: waits, tasks: [], registered: 3 }), [
    'queue reports has 2 runs, and no consumer is alive: the leases of all 3 registered ones are over',
  ]);
});

test('a pause and a task that no consumer knows are told with what to do', () => {
  const tasks = [
    task({ task: 'ghost', known: false, pending: { high: 1, medium: 0, low: 0 } }),
    task({ paused: true }),
  ];
  assert.deepEqual(reasonsToWait({ stats: stats({ pending: 3, paused: true }), tasks, registered: 1 }), [
    'queue reports is paused, and 3 runs wait in it: tidemill queues resume reports',
    '1 run waits in queue reports for ghost, and no live consumer knows that task',
    'task job is paused in queue reports, and 2 runs wait: tidemill tasks resume job --queue reports',
  ]);
});

test('each queue is asked, and all are named', async () => {
  const broker = createMemoryBroker({ clock: new VirtualClock(0) });
  const request = {
    id: 'a',
    task: 'job',
    priority: 'medium',
    params: '{}',
    options: { source: 'api' },
  } as const;
  await broker.queue('reports').runs.enqueue([request]);
  assert.deepEqual(await queueFindings(broker, ['default', 'reports']), [
    { check: 'queues', result: 'ok', message: 'default, reports' },
    { check: 'queues', result: 'warning', message: 'queue reports has 1 run, and no consumer is registered' },
  ]);
});
