/** Runs that a consumer is handed before they are due: it waits with them, on no slot, and begins them on time. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { claimWish, placeOf, type Room } from '../../../src/consumer/claim-budget.ts';
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
  run: async (): Promise<void> => {
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
  assert.equal(placeOf('io', true, room({ io: 1, early: 1 })), 'start');
  assert.equal(placeOf('io', true, room({ ahead: 1 })), 'wait');
  assert.equal(placeOf('io', true, room({ early: 1 })), 'wait', 'it came due on the way');
  assert.equal(placeOf('io', true, room({ cpu: 1 })), 'release');
  assert.equal(placeOf('cpu', true, room({ cpu: 1 })), 'start');
  assert.equal(placeOf('cpu', true, room({ io: 1, ahead: 1, early: 1 })), 'release');
  assert.equal(placeOf('io', false, room({ io: 1, early: 1 })), 'hold');
  assert.equal(placeOf('io', false, room({ io: 1, ahead: 1 })), 'release');
  const two = room({ early: 1 });
  assert.deepEqual([placeOf('io', false, two), placeOf('io', false, two)], ['hold', 'release']);
});
