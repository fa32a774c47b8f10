/** Slots of many schedules at the same instant: their runs stand ready when it comes, and begin no earlier. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { publish, task } from '../../support/published.ts';
import { createWorld, START, type World } from '../../support/schedule-world.ts';

const CROWD = 40;
const SLOT_MS = START + 60_000;

describe('a crowd of slots', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(async () => {
    await world.stopAll();
  });

  const create = (count: number, spec: Parameters<World['store']['create']>[1] = {}): void => {
    for (let index = 0; index < count; index += 1)
      world.store.create(`s${index}`, { every: '1m', task: 'report', ...spec });
  };
  const pending = async (): Promise<Record<'pending' | 'delayed', number>> => {
    const { pending: ready, delayed } = await world.broker.queue('default').inspect.stats();
    return { pending: ready, delayed };
  };

  test('is decided a moment before it comes, and waits for it', async () => {
    await publish(world, [task('report')]);
    create(CROWD);
    world.start();
    await world.clock.advanceTo(SLOT_MS - 50);
    const before = await pending();
    await world.clock.advanceTo(SLOT_MS - 40);
    assert.equal((await pending()).delayed - before.delayed, CROWD);
    const records = await world.broker.queue('default').inspect.runs({ states: ['delayed'], limit: CROWD });
    assert.deepEqual(new Set(records.runs.map(({ dueAtMs }) => dueAtMs)), new Set([SLOT_MS]));
    const decided = await Promise.all(
      Array.from({ length: CROWD }, (_, index) => world.decisions(`s${index}`)),
    );
    assert.deepEqual(new Set(decided.flat()), new Set(['08:00:00Z..08:01:00Z x2 fired']));
  });

  test('is decided when it comes where no consumer is there to run it', async () => {
    create(CROWD);
    world.start();
    await world.clock.advanceTo(SLOT_MS - 1);
    const before = await pending();
    await world.clock.advanceTo(SLOT_MS + 1);
    assert.deepEqual(await pending(), { pending: before.pending + CROWD, delayed: 0 });
  });

  test('a few slots are decided when they come', async () => {
    await publish(world, [task('report')]);
    create(10);
    world.start();
    await world.clock.advanceTo(SLOT_MS - 1);
    assert.equal((await pending()).delayed, 0);
  });

  test('a schedule whose run is still there is asked again when its slot has come, and not before', async () => {
    await publish(world, [task('report')]);
    create(CROWD, { concurrencyPolicy: 'Forbid' });
    const { broker } = world.start();
    await world.clock.advanceTo(SLOT_MS - 50);
    const before = broker.calls.filter((call) => call === 'fire').length;
    await world.clock.advanceTo(SLOT_MS - 1);
    assert.deepEqual(await world.decisions('s0'), ['08:00:00Z fired']);
    await world.clock.advanceTo(SLOT_MS + 1);
    assert.deepEqual(await world.decisions('s0'), ['08:00:00Z fired', '08:01:00Z skipped Overlap']);
    assert.equal(broker.calls.filter((call) => call === 'fire').length - before, 2);
  });
});
