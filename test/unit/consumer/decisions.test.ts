import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conclude } from '../../../src/consumer/conclude.ts';
import type { ExecutionEnd } from '../../../src/consumer/execute.ts';
import { Prefetch } from '../../../src/consumer/prefetch.ts';
import { compareHeld } from '../../../src/consumer/reconcile-held.ts';
import { RunTable } from '../../../src/consumer/run-table.ts';
import { SlotPool } from '../../../src/consumer/slots.ts';
import { StopError } from '../../../src/consumer/stop-error.ts';
import { callBackoffMs } from '../../../src/consumer/backoff.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import type { RunRecord } from '../../../src/task/run.ts';

const task = defineTask({ name: 'task', retry: { attempts: 2, backoff: '1s' }, run: () => undefined });

const record: RunRecord = {
  id: 'r1',
  queue: 'default',
  task: 'task',
  priority: 'medium',
  state: 'running',
  params: '{}',
  options: { source: 'api' },
  attempt: 1,
  deaths: 0,
  enqueuedAtMs: 0,
};

const failure = {
  kind: 'failed',
  error: { reason: 'Error', name: 'Error', message: 'no' },
  retry: 'policy',
} as const;

const outcomes: readonly [string, Omit<ExecutionEnd, 'durationMs'>, string][] = [
  ['a success', { result: { kind: 'succeeded' } }, 'succeeded'],
  ['a failure with attempts left', { result: failure }, 'retry'],
  ['a failure that must not be retried', { result: { ...failure, retry: 'never' } }, 'failed'],
  ['an executor that could not start', { startError: new Error('no child') }, 'released'],
  ['a body that failed by its timeout', { result: failure, stop: new StopError('timeout', 't') }, 'retry'],
  ['a body that ignores its timeout', { abandoned: true, stop: new StopError('timeout', 't') }, 'retry'],
  [
    'a success in the grace after the timeout',
    { result: { kind: 'succeeded' }, stop: new StopError('timeout', 't') },
    'succeeded',
  ],
  [
    'a body that failed by its cancellation',
    { result: failure, stop: new StopError('cancelled', 'c') },
    'cancelled',
  ],
  [
    'a body that ignores its cancellation',
    { abandoned: true, stop: new StopError('cancelled', 'c') },
    'cancelled',
  ],
  ['a body that failed by shutdown', { result: failure, stop: new StopError('shutdown', 's') }, 'released'],
  ['a body that ignores shutdown', { abandoned: true, stop: new StopError('shutdown', 's') }, 'released'],
  [
    'a success in the grace of shutdown',
    { result: { kind: 'succeeded' }, stop: new StopError('shutdown', 's') },
    'succeeded',
  ],
  [
    'a success after the lease was lost',
    { result: { kind: 'succeeded' }, stop: new StopError('lease-lost', 'l') },
    'lost',
  ],
  [
    'a start that failed while shutting down',
    { startError: new Error('closed'), stop: new StopError('shutdown', 's') },
    'released',
  ],
];

for (const [what, end, kind] of outcomes) {
  test(`${what} is settled as ${kind}`, () => {
    const outcome = conclude({ task, record, end: { ...end, durationMs: 1 }, random: () => 0.5 });
    assert.equal(outcome.kind, kind);
    if (end.stop?.kind === 'timeout' && outcome.kind === 'retry')
      assert.equal(outcome.error.reason, 'Timeout');
  });
}

test('a timeout asks the retry policy of the task', () => {
  const picky = defineTask({
    name: 'picky',
    retry: { attempts: 5, when: (error) => !(error instanceof StopError) },
    run: () => undefined,
  });
  const end = { abandoned: true, stop: new StopError('timeout', 't'), durationMs: 1 } as const;
  assert.equal(conclude({ task: picky, record, end, random: () => 0.5 }).kind, 'failed');
});

test('comparing with the broker finds runs of a lost reply and runs that were taken away, and nothing else', () => {
  const table = new RunTable();
  const kept = table.add({ record, token: 't1', suspect: false, early: false }, 'me');
  const gone = table.add(
    { record: { ...record, id: 'r2' }, token: 't2', suspect: false, early: false },
    'me',
  );
  // The same run under another token is another hand-out.
  const other = table.add(
    { record: { ...record, id: 'r3' }, token: 't3', suspect: false, early: false },
    'me',
  );
  const brokers = [
    { id: 'r1', token: 't1' },
    { id: 'r3', token: 't4' },
    { id: 'r9', token: 't9' },
  ];
  const difference = compareHeld(brokers, table.all());
  assert.deepEqual(difference.orphans, [
    { id: 'r3', token: 't4' },
    { id: 'r9', token: 't9' },
  ]);
  assert.deepEqual(difference.gone, [gone, other]);
  assert.ok(!difference.gone.includes(kept));
});

test('slots are kept for a hungry queue up to its even share, and no further', () => {
  const pool = new SlotPool('io', 10, () => undefined);
  assert.equal(pool.take('a', 100), 10);
  pool.setHungry('a', true);
  pool.setHungry('b', true);
  pool.release('a', 3);
  assert.equal(pool.available('a'), 0, 'b is owed five');
  assert.equal(pool.take('b', 100), 3);
  pool.release('a', 4);
  assert.deepEqual([pool.available('a'), pool.available('b')], [2, 2], 'each holds three and is owed two');
  pool.setHungry('b', false);
  assert.equal(pool.available('a'), 4);
});

test('with fewer slots than queues the queue that waited longest is next', () => {
  const pool = new SlotPool('cpu', 1, () => undefined);
  for (const queue of ['a', 'b', 'c']) pool.setHungry(queue, true);
  const served: string[] = [];
  for (let turn = 0; turn < 9; turn += 1) {
    const queue = ['a', 'b', 'c'].find((name) => pool.take(name, 1) === 1) ?? 'nobody';
    served.push(queue);
    pool.release(queue, 1);
  }
  assert.deepEqual(served, ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
});

test('leaks are too many at a tenth of the slots, but at five at least, or at all there are', () => {
  const limitOf = (total: number): number => {
    const pool = new SlotPool('io', total, () => undefined);
    let leaks = 0;
    while (!pool.leaksTooMany) {
      pool.countLeak(1);
      leaks += 1;
    }
    return leaks;
  };
  assert.deepEqual([1, 4, 20, 100, 500].map(limitOf), [1, 4, 5, 10, 50]);
  assert.equal(new SlotPool('cpu', 0, () => undefined).leaksTooMany, false);
});

test('runs are claimed ahead only as many as should start within 50 ms', () => {
  const prefetch = new Prefetch();
  assert.equal(prefetch.allowance(100), 0, 'nothing is known yet');
  prefetch.observe(10);
  assert.equal(prefetch.allowance(4), 20);
  assert.equal(prefetch.allowance(1_000), 512, 'more does not help');
  prefetch.observe(60_000);
  assert.equal(prefetch.allowance(100), 0, 'one slow run is enough to stop it');
});

test('back-off after failed calls doubles up to two seconds, with jitter', () => {
  const highest = [1, 2, 3, 10, 1_000].map((failures) => callBackoffMs(failures, () => 1));
  assert.deepEqual(highest, [50, 100, 200, 2_000, 2_000]);
  assert.equal(
    callBackoffMs(3, () => 0),
    100,
  );
});
