import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toBrokerError } from '../../../src/broker/redis/reply-errors.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { type BrokerWatch, MeasuredBroker } from '../../../src/cli/measured-broker.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import type { RunRequest } from '../../../src/task/request.ts';

function watched(broker = createMemoryBroker({ clock: systemClock })) {
  const calls: string[] = [];
  const watch: BrokerWatch = {
    answered: (operation) => calls.push(operation),
    reconnected: () => calls.push('reconnected'),
    enqueued: (queue, task, source) => calls.push(`enqueued ${queue} ${task} ${source}`),
    enqueueRefused: (queue, source) => calls.push(`full ${queue} ${source}`),
    refused: (reason) => calls.push(`refused ${reason}`),
  };
  return { calls, broker: new MeasuredBroker(broker, systemClock, watch) };
}

const request = (id: string): RunRequest => ({
  id,
  task: 't',
  priority: 'medium',
  params: '{}',
  options: { source: 'task' },
});

describe('measured broker', () => {
  test('counts what was enqueued, not what was known already, and times each call', async () => {
    const { broker, calls } = watched();
    await using _broker = broker;
    assert.deepEqual(await broker.queue('q').runs.enqueue([request('a'), request('a'), request('b')]), [
      'enqueued',
      'duplicate',
      'enqueued',
    ]);
    assert.deepEqual(calls, ['enqueued q t task', 'enqueued q t task', 'enqueue']);
  });

  test('hands every call through, and gives the same queue for the same name', async () => {
    const { broker, calls } = watched();
    await using _broker = broker;
    const queue = broker.queue('q');
    assert.equal(broker.queue('q'), queue);
    await queue.runs.enqueue([request('a')]);
    assert.equal((await queue.runs.get('a'))?.state, 'pending');
    assert.equal((await queue.inspect.stats()).pending, 1);
    assert.deepEqual(await queue.runs.cancel(['a'], 'why'), ['cancelled']);
    assert.deepEqual(await queue.schedules.states(['u']), [undefined]);
    assert.equal(
      ((await queue.runs.waitForEnd('a', { timeoutMs: 1_000 })) as { state: string }).state,
      'cancelled',
    );
    assert.deepEqual(
      calls.slice(2),
      ['get', 'stats', 'cancel', 'states'],
      'waiting says nothing about the broker',
    );
  });

  test('tells of runs that a full queue refused, and of errors by what Redis lacked', async () => {
    const memory = createMemoryBroker({ clock: systemClock });
    const oom = Object.assign(new Error("OOM command not allowed when used memory > 'maxmemory'."), {
      name: 'ReplyError',
    });
    const runs = memory.queue('q').runs;
    const { broker, calls } = watched({
      ...memory,
      now: () => Promise.reject(toBrokerError(oom, 'now')),
      queue: (name) => ({
        ...memory.queue(name),
        runs: { ...runs, enqueue: async (requests) => requests.map(() => 'full' as const) },
      }),
    });
    await broker.queue('q').runs.enqueue([request('a')]);
    await assert.rejects(broker.now(), { code: 'BROKER_REFUSED' });
    assert.deepEqual(calls, ['full q task', 'enqueue', 'now', 'refused memory']);
    await memory[Symbol.asyncDispose]();
  });

  test('hands on that the connection is another one, so that the engine reads its watermarks back', async () => {
    const memory = createMemoryBroker({ clock: systemClock });
    let epoch = '1';
    const { broker } = watched({
      ...memory,
      get connectionEpoch() {
        return epoch;
      },
    });
    assert.equal(broker.connectionEpoch, '1');
    epoch = '2';
    assert.equal(broker.connectionEpoch, '2');
    await memory[Symbol.asyncDispose]();
  });

  test('an answer after a call without one counts as a reconnect', async () => {
    const memory = createMemoryBroker({ clock: systemClock });
    let away = true;
    const { broker, calls } = watched({
      ...memory,
      now: () => (away ? Promise.reject(new TidemillError('BROKER_UNAVAILABLE', 'away')) : memory.now()),
    });
    await assert.rejects(broker.now(), { code: 'BROKER_UNAVAILABLE' });
    assert.deepEqual(calls, []);
    away = false;
    await broker.now();
    await broker.now();
    assert.deepEqual(calls, ['now', 'reconnected', 'now']);
    await memory[Symbol.asyncDispose]();
  });
});
