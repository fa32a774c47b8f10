/** Runs that a consumer is handed before they are due: it waits with them, on no slot, and begins them on time. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { claimWish, placeOf, type Room, whenOf } from '../../../src/consumer/claim-budget.ts';
import { EarlyRuns } from '../../../src/consumer/early-runs.ts';
import { RunTable } from '../../../src/consumer/run-table.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import type { RunRecord } from '../../../src/task/run.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import { ConsumerWorld } from '../../support/consumer-world.ts';

let world: ConsumerWorld;
let begun: (readonly [id: string, atMs: number])[] = [];
beforeEach(() => {
  begun = [];
});

const noted = defineTask({
  name: 'noted',
  run: ({ run }) => {
    begun.push([run.id, world.clock.now()]);
  },
});
/** Runs for a minute. */
const long = defineTask({
  name: 'long',
  timeout: '10m',
  run: async ({ run }): Promise<void> => {
    begun.push([run.id, world.clock.now()]);
    await world.clock.sleep(60_000);
  },
});

test('a run that is due soon is held on no slot, and begins in the millisecond in which it is due', async () => {
  await using made = (world = new ConsumerWorld([noted]));
  await made.start({ ioConcurrency: 1 });
  const dueMs = made.clock.now() + 120;
  const [early = ''] = await made.enqueue('noted', 1, { runAtMs: dueMs });
  await made.clock.advanceBy(10);
  assert.equal(await made.stateOf(early), 'running', 'it was handed out');
  assert.equal(begun.length, 0);
  const [ready = ''] = await made.enqueue('noted');
  await made.clock.advanceBy(10);
  assert.deepEqual(
    begun.map(([id]) => id),
    [ready],
    'the only slot is free meanwhile',
  );
  await made.clock.advanceTo(dueMs - 1);
  assert.equal(begun.length, 1);
  await made.clock.advanceTo(dueMs);
  assert.deepEqual(begun[1], [early, dueMs]);
  await made.until(async () => (await made.stateOf(early)) === 'succeeded', 1_000);
});

test('runs that are due one after the other begin one after the other, whatever order they came in', async () => {
  await using made = (world = new ConsumerWorld([noted]));
  await made.start();
  const startMs = made.clock.now();
  for (const ms of [90, 30, 60]) await made.enqueue('noted', 1, { runAtMs: startMs + ms });
  // In steps: what one call leads to takes several turns of the loop.
  for (let ms = 0; ms < 100; ms += 1) await made.clock.advanceBy(1);
  assert.deepEqual(
    begun.map(([, atMs]) => atMs - startMs),
    [30, 60, 90],
  );
});

test('a consumer that stops gives back what is not due yet, and another begins it on time', async () => {
  await using made = (world = new ConsumerWorld([noted]));
  const { stop, ended } = await made.start();
  const dueMs = made.clock.now() + 140;
  const [id = ''] = await made.enqueue('noted', 1, { runAtMs: dueMs });
  await made.clock.advanceBy(10);
  assert.equal(await made.stateOf(id), 'running');
  stop();
  await made.clock.advanceBy(10);
  assert.equal(await ended, 'signal');
  assert.equal(await made.stateOf(id), 'delayed');
  await made.start();
  await made.clock.advanceBy(100);
  assert.deepEqual(begun, [[id, dueMs]]);
});

test('a run that is cancelled before it is due never begins', async () => {
  await using made = (world = new ConsumerWorld([noted]));
  await made.start();
  const [id = ''] = await made.enqueue('noted', 1, { delayMs: 140 });
  await made.clock.advanceBy(10);
  await made.broker.queue('default').runs.cancel([id], 'because');
  // The answer to any call tells the consumer.
  const [other = ''] = await made.enqueue('noted');
  await made.clock.advanceBy(500);
  assert.equal(await made.stateOf(id), 'cancelled');
  assert.deepEqual(
    begun.map(([begunId]) => begunId),
    [other],
  );
});

test('a run whose lease is lost before it is due is begun by nobody who lost it, and once in all', async () => {
  await using made = (world = new ConsumerWorld([noted]));
  const { seen } = await made.start();
  const dueMs = made.clock.now() + 140;
  const [id = ''] = await made.enqueue('noted', 1, { runAtMs: dueMs });
  await made.clock.advanceBy(10);
  const { work, runs } = made.broker.queue('default');
  await work.leave((await runs.get(id))?.incarnation ?? '');
  await made.enqueue('noted');
  await made.until(() => begun.some(([begunId]) => begunId === id), 10_000);
  assert.deepEqual(seen.lost, [id]);
  await made.clock.advanceBy(10_000);
  const times = begun.filter(([begunId]) => begunId === id).map(([, atMs]) => atMs);
  assert.equal(times.length, 1);
  assert.ok((times[0] ?? 0) >= dueMs);
});

test('no more is held than the slots take up when it is due: the rest is left to others', async () => {
  await using made = (world = new ConsumerWorld([long, noted]));
  await made.start({ ioConcurrency: 10 });
  const slow = await made.enqueue('long', 30, { delayMs: 100 });
  await made.clock.advanceBy(10);
  assert.deepEqual(await made.states(slow), { running: 10, delayed: 20 });
});

test('of a crowd of short runs more is held than there are slots, and all of it begins when it is due', async () => {
  await using made = (world = new ConsumerWorld([noted]));
  await made.start({ ioConcurrency: 10 });
  await made.enqueue('noted', 50);
  await made.clock.advanceBy(1_000);
  begun = [];
  const dueMs = made.clock.now() + 140;
  const ids = await made.enqueue('noted', 600, { runAtMs: dueMs });
  for (let ms = 0; ms < 50; ms += 1) await made.clock.advanceBy(1);
  assert.deepEqual(await made.states(ids), { running: 600 });
  await made.clock.advanceTo(dueMs);
  assert.deepEqual([begun.length, new Set(begun.map(([, atMs]) => atMs))], [600, new Set([dueMs])]);
});

test('a claim asks for early runs by what is free, what comes free within a moment, and what is held', () => {
  const state = {
    free: { io: 10, cpu: 0 },
    ...{ allowance: 0, takenUp: 0, waiting: 0, held: 0, moreReady: false },
  };
  assert.equal(claimWish(state).early, 10);
  assert.equal(claimWish({ ...state, held: 4 }).early, 6);
  assert.equal(claimWish({ ...state, takenUp: 90, waiting: 30, held: 4 }).early, 66);
  assert.equal(claimWish({ ...state, takenUp: 5_000 }).early, 256, 'in one claim');
  assert.equal(claimWish({ ...state, takenUp: 5_000, held: 1_000 }).early, 24, 'in all');
  assert.equal(claimWish({ ...state, free: { io: 0, cpu: 3 }, takenUp: 90 }).early, 0, 'none without a slot');
});

test('a claimed run starts, waits for a slot, is held until it is due, or goes back', () => {
  const room = (more: Partial<Room>): Room => ({ io: 0, cpu: 0, ahead: 0, early: 0, ...more });
  assert.equal(placeOf('io', 'ready', room({ io: 1, early: 1 })), 'start');
  assert.equal(placeOf('io', 'ready', room({ ahead: 1 })), 'wait');
  assert.equal(
    placeOf('io', 'ready', room({ cpu: 1, early: 1 })),
    'release',
    'another may have a slot for it',
  );
  assert.equal(placeOf('io', 'just-due', room({ early: 1 })), 'wait');
  assert.equal(placeOf('cpu', 'ready', room({ cpu: 1 })), 'start');
  assert.equal(placeOf('cpu', 'ready', room({ io: 1, ahead: 1, early: 1 })), 'release');
  assert.equal(placeOf('io', 'early', room({ io: 1, early: 1 })), 'hold');
  assert.equal(placeOf('io', 'early', room({ io: 1, ahead: 1 })), 'release');
  const two = room({ early: 1 });
  assert.deepEqual([placeOf('io', 'early', two), placeOf('io', 'early', two)], ['hold', 'release']);
});

test('a run is held only when the broker handed it out as early: a clock of Redis that was set back holds nothing', () => {
  assert.equal(whenOf(true, 95), 'early');
  assert.equal(whenOf(true, -2), 'just-due');
  assert.equal(whenOf(false, 0), 'ready');
  assert.equal(whenOf(false, 19_000), 'ready');
});

/** When each of these began, counted by how long after `dueMs`. */
function latenesses(ids: readonly string[], dueMs: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const id of ids) {
    const [, atMs = Infinity] = begun.find(([begunId]) => begunId === id) ?? [];
    counts[`${atMs - dueMs}`] = (counts[`${atMs - dueMs}`] ?? 0) + 1;
  }
  return counts;
}

const pass = async (made: ConsumerWorld, ms: number): Promise<void> => {
  for (let step = 0; step < ms; step += 1) await made.clock.advanceBy(1);
};
const mostOf = (counts: Record<string, number>): number => Math.max(...Object.keys(counts).map(Number));

test('once early runs fill slots, what comes goes to a consumer that has some, at once', async () => {
  await using made = (world = new ConsumerWorld([long]));
  await made.start({ ioConcurrency: 10 });
  const early = await made.enqueue('long', 5, { delayMs: 100 });
  await pass(made, 20);
  assert.deepEqual(await made.states(early), { running: 5 });
  await made.start({ ioConcurrency: 10 });
  await pass(made, 10);
  const ready = await made.enqueue('long', 10);
  const nowMs = made.clock.now();
  await pass(made, 100);
  assert.ok(mostOf(latenesses(ready, nowMs)) <= 10, JSON.stringify(latenesses(ready, nowMs)));
});

test('early runs whose slots are taken when they are due go to a consumer that has some, at once', async () => {
  await using made = (world = new ConsumerWorld([long]));
  for (let count = 0; count < 2; count += 1) await made.start({ ioConcurrency: 10, queues: ['one', 'two'] });
  const dueMs = made.clock.now() + 140;
  const one = await made.enqueue('long', 10, { runAtMs: dueMs, queue: 'one' });
  const two = await made.enqueue('long', 10, { runAtMs: dueMs, queue: 'two' });
  await pass(made, 300);
  assert.ok(
    mostOf(latenesses([...one, ...two], dueMs)) <= 20,
    JSON.stringify(latenesses([...one, ...two], dueMs)),
  );
});

test('a crowd that takes longer than its consumer has learnt goes to others within a fraction of a second', async () => {
  await using made = (world = new ConsumerWorld([long, noted]));
  await made.start({ ioConcurrency: 100 });
  await made.enqueue('noted', 500);
  await pass(made, 300);
  const dueMs = made.clock.now() + 140;
  const ids = await made.enqueue('long', 800, { runAtMs: dueMs });
  await pass(made, 30);
  await made.start({ ioConcurrency: 1_000 });
  await pass(made, 1_000);
  assert.ok(mostOf(latenesses(ids, dueMs)) <= 300, JSON.stringify(latenesses(ids, dueMs)));
});

test('of what is due at one instant the more urgent begins first', async () => {
  await using made = (world = new ConsumerWorld([noted]));
  await made.start();
  const runAtMs = made.clock.now() + 100;
  const ids: string[] = [];
  for (const priority of ['low', 'high', 'medium'] as const)
    ids.push(...(await made.enqueue('noted', 1, { runAtMs, priority })));
  await pass(made, 120);
  assert.deepEqual(
    begun.map(([id]) => ids.indexOf(id)),
    [1, 2, 0],
  );
});

test('from the stop signal on nothing begins that was held, though the answer to a claim is still waited for', async () => {
  await using made = (world = new ConsumerWorld([noted]));
  const { stop } = await made.start();
  const [id = ''] = await made.enqueue('noted', 1, { delayMs: 140 });
  await pass(made, 10);
  assert.equal(await made.stateOf(id), 'running');
  made.broker.plan = () => 'hang';
  stop();
  await pass(made, 1_000);
  made.broker.plan = () => undefined;
  assert.equal(begun.length, 0);
});

test('a run whose time came while the process stood still goes back: its lease may be over', () => {
  const clock = new VirtualClock(0);
  let nowMs = 0;
  const frozen: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    after: (delayMs, callback) => clock.after(delayMs, callback),
    sleep: (delayMs, signal) => clock.sleep(delayMs, signal),
  };
  const released: string[] = [];
  const due: string[] = [];
  const runs = new EarlyRuns({
    clock: frozen,
    onDue: (these) => due.push(...these.map(({ run }) => run.id)),
    release: ({ id }) => released.push(id),
  });
  const table = new RunTable();
  const record: RunRecord = {
    ...{ id: 'a', queue: 'default', task: 'noted', params: '{}', attempt: 1, deaths: 0, enqueuedAtMs: 0 },
    priority: 'medium',
    state: 'running',
    options: { source: 'api' },
  };
  runs.add(table.add({ record, token: '1', suspect: false, early: true }, 'i'), record, 100);
  nowMs = 12_000;
  return clock.advanceBy(100).then(() => assert.deepEqual([released, due], [['a'], []]));
});
