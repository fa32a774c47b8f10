/** What a producer gets from the client: outcomes, results, failures, and errors that name the problem. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { DEFAULT_QUEUE_SETTINGS } from '../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { Client, QueueFullError, RunFailedError } from '../../../src/client/client.ts';
import { defineContract, defineTask } from '../../../src/index.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { createWorld, type World } from '../../../src/testing.ts';

const double = defineTask({
  name: 'double',
  params: z.object({ n: z.number() }),
  run: ({ params }) => params.n * 2,
});
const fail = defineTask({
  name: 'fail',
  run: () => {
    throw new TypeError('no luck');
  },
});

/** Lets time pass while something is awaited. */
async function meanwhile<T>(world: World, awaited: Promise<T>, duration = '10s'): Promise<T> {
  const [settled] = await Promise.allSettled([awaited, world.advance(duration)]);
  if (settled.status === 'fulfilled') return settled.value;
  throw settled.reason;
}

test('enqueueAndWait gives what the task returned', async () => {
  await using world = await createWorld({ tasks: [double] });
  assert.equal(await meanwhile(world, world.client.enqueueAndWait(double, { n: 21 })), 42);
  assert.equal(await meanwhile(world, world.client.enqueueAndWait<typeof double>('double', { n: 4 })), 8);
});

test('enqueueAndWait of a run that fails throws its state, reason and message', async () => {
  await using world = await createWorld({ tasks: [fail] });
  await assert.rejects(meanwhile(world, world.client.enqueueAndWait(fail)), (error) => {
    assert.ok(error instanceof RunFailedError);
    assert.equal(error.code, 'RUN_FAILED');
    assert.equal(error.state, 'failed');
    assert.equal(error.error?.reason, 'Error');
    assert.match(error.message, /of fail ended as failed: no luck/);
    return true;
  });
});

test('a run that nobody takes: the wait ends in time, and the run is still there', async () => {
  await using world = await createWorld({ tasks: [double] });
  const waiting = world.client.enqueueAndWait('nobody-knows-it', {}, { id: 'mine', timeout: '5s' });
  await assert.rejects(meanwhile(world, waiting), { code: 'WAIT_TIMEOUT' });
  assert.equal((await world.client.get('mine'))?.state, 'pending');
  await assert.rejects(world.client.wait('no-such-run'), { code: 'RUN_NOT_FOUND' });
});

test('an aborted wait throws the reason of its signal', async () => {
  await using world = await createWorld({ tasks: [double] });
  const stop = new AbortController();
  const waiting = world.client.enqueueAndWait('nobody-knows-it', {}, { signal: stop.signal });
  stop.abort(new Error('not interested any more'));
  await assert.rejects(meanwhile(world, waiting), /not interested any more/);
});

test('the result of a contract is parsed by its schema', async () => {
  const when = defineContract({ name: 'when', result: z.object({ day: z.iso.date() }) });
  const task = defineTask({ contract: when, run: () => ({ day: '2026-11-24' }) });
  await using world = await createWorld({ tasks: [task] });
  assert.deepEqual(await meanwhile(world, world.client.enqueueAndWait(when)), { day: '2026-11-24' });
});

test('enqueueMany keeps the order, names duplicates, and enqueues nothing when one item is wrong', async () => {
  await using world = await createWorld({ tasks: [double] });
  const wrong = [{ params: { n: 1 }, id: 'a' }, { params: { n: Number.NaN } }];
  await assert.rejects(world.client.enqueueMany(double, wrong), { code: 'PARAMS_INVALID' });
  assert.equal(await world.client.get('a'), undefined);
  const items = Array.from({ length: 2_500 }, (_, n) => ({ params: { n }, id: `id-${n % 2_000}` }));
  const enqueued = await world.client.enqueueMany(double, items);
  assert.deepEqual(
    enqueued.map(({ id }) => id),
    items.map(({ id }) => id),
  );
  assert.deepEqual(
    [enqueued[1_999]?.outcome, enqueued[2_000]?.outcome, enqueued[2_499]?.outcome],
    ['enqueued', 'duplicate', 'duplicate'],
  );
});

test('items of enqueueMany have options of their own or none, and each goes to its queue', async () => {
  const client = new Client(createMemoryBroker({ clock: new VirtualClock(0) }));
  const enqueued = await client.enqueueMany('task', [
    { params: { n: 1 } },
    { params: { n: 2 }, queue: 'reports', priority: 'high' },
    { params: { n: 3 } },
    { params: { n: 4 }, queue: 'reports', id: 'mine', delay: '1h' },
  ]);
  const records = await Promise.all(
    enqueued.map(({ id }, index) => client.get(id, { queue: index % 2 === 0 ? 'default' : 'reports' })),
  );
  assert.deepEqual(
    records.map((record) => [record?.params, record?.queue, record?.priority, record?.state]),
    [
      ['{"n":1}', 'default', 'medium', 'pending'],
      ['{"n":2}', 'reports', 'high', 'pending'],
      ['{"n":3}', 'default', 'medium', 'pending'],
      ['{"n":4}', 'reports', 'medium', 'delayed'],
    ],
  );
  assert.equal(enqueued[3]?.id, 'mine');
  const mistyped = [{ params: {}, dely: '1h' }];
  await assert.rejects(client.enqueueMany('task', mistyped), { code: 'ENQUEUE_INVALID' });
});

test('a full queue refuses loudly, and says for each item whether it is in', async () => {
  const broker = createMemoryBroker({ clock: new VirtualClock(0) });
  await broker.queue('default').work.register({
    incarnation: 'one',
    leaseMs: 10_000,
    manifest: { hash: 'none', builtAtMs: 0, tasks: [] },
    settings: { ...DEFAULT_QUEUE_SETTINGS, maxPending: 2 },
    consumer: { host: 'test', pid: 1, version: '0' },
  });
  const client = new Client(broker);
  const items = ['a', 'b', 'c'].map((id) => ({ params: {}, id }));
  await assert.rejects(client.enqueueMany('task', items), (error) => {
    assert.ok(error instanceof QueueFullError);
    assert.deepEqual(error.outcomes, ['enqueued', 'enqueued', 'full']);
    assert.match(error.message, /queue default is full: 1 of 3 runs were refused/);
    return true;
  });
  await assert.rejects(client.enqueue('task', {}, { id: 'd' }), { code: 'QUEUE_FULL' });
  assert.equal(await client.cancel('a'), 'cancelled');
  assert.equal((await client.enqueue('task', {}, { id: 'd' })).outcome, 'enqueued');
});

test('a generated id carries its queue, so that get and cancel need none', async () => {
  const client = new Client(createMemoryBroker({ clock: new VirtualClock(0) }));
  const { id } = await client.enqueue('task', {}, { queue: 'reports' });
  assert.equal((await client.get(id))?.queue, 'reports');
  assert.equal(await client.cancel(id), 'cancelled');
  assert.equal((await client.get(id))?.state, 'cancelled');
  assert.equal(await client.cancel('hand-given'), 'not-found');
});
