/** Slots of many schedules at the same instant: their runs stand ready when it comes, and begin no earlier. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { createWorld, START, type World } from '../../support/schedule-world.ts';

const CROWD = 40;
const SLOT_MS = START + 60_000;
const NAMES = Array.from({ length: CROWD }, (_, index) => `s${index}`);

describe('a crowd of slots', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(async () => {
    await world.stopAll();
  });

  const create = (count: number, spec: Parameters<World['store']['create']>[1] = {}): void => {
    for (const name of NAMES.slice(0, count)) world.store.create(name, { every: '1m', ...spec });
  };
  const ready = async (): Promise<readonly [pending: number, delayed: number]> => {
    const { pending, delayed } = await world.broker.queue('default').inspect.stats();
    return [pending, delayed];
  };
  const decisions = async (): Promise<ReadonlySet<string>> =>
    new Set((await Promise.all(NAMES.map((name) => world.decisions(name)))).flat());

  test('is decided a moment before it comes, and is ready when it has come, whoever else is there', async () => {
    create(CROWD);
    world.start();
    await world.clock.advanceTo(SLOT_MS - 141);
    assert.deepEqual(await ready(), [CROWD, 0]);
    await world.clock.advanceTo(SLOT_MS - 1);
    assert.deepEqual(await ready(), [CROWD, CROWD]);
    await world.clock.advanceTo(SLOT_MS + 1);
    assert.deepEqual(await ready(), [2 * CROWD, 0]);
    assert.deepEqual(await decisions(), new Set(['08:00:00Z..08:01:00Z x2 fired']));
  });

  test('is ready by Redis’s clock, however far ours is ahead of it', async () => {
    create(CROWD);
    const { broker } = world.start();
    const { work } = broker.queue('default');
    const promote = work.promote.bind(work);
    let asked = 0;
    work.promote = async () => {
      asked += 1;
      const isEarly = world.clock.now() < SLOT_MS + 5;
      if (!isEarly) return promote();
      return { promoted: 0, expired: 0, dropped: 0, more: false, nextDueAtMs: SLOT_MS };
    };
    await world.clock.advanceTo(SLOT_MS + 10);
    assert.deepEqual(await ready(), [2 * CROWD, 0]);
    assert.ok(asked >= 5 && asked <= 20, `asked ${asked} times`);
  });

  test('is not asked for again and again when the broker’s clock was set back', async () => {
    create(CROWD);
    const { broker } = world.start();
    let asked = 0;
    broker.queue('default').work.promote = async () => {
      asked += 1;
      return { promoted: 0, expired: 0, dropped: 0, more: false, nextDueAtMs: SLOT_MS };
    };
    await world.clock.advanceTo(SLOT_MS + 30_000);
    assert.ok(asked >= 5 && asked <= 60, `asked ${asked} times`);
  });

  test('is left to the consumers when the controller may not move it on, and the next is tried again', async () => {
    create(CROWD);
    const { broker } = world.start();
    const { work } = broker.queue('default');
    let asked = 0;
    work.promote = async () => {
      asked += 1;
      throw new TidemillError('BROKER_REFUSED', 'planned: no right to it');
    };
    await world.clock.advanceTo(SLOT_MS + 60_001);
    assert.deepEqual(await ready(), [CROWD, 2 * CROWD]);
    assert.equal(asked, 2);
  });

  test('a few slots are decided when they come', async () => {
    create(10);
    world.start();
    await world.clock.advanceTo(SLOT_MS - 1);
    assert.deepEqual(await ready(), [10, 0]);
  });

  test('a schedule whose run is still there is asked again when its slot has come, and not before', async () => {
    create(CROWD, { concurrencyPolicy: 'Forbid' });
    const { broker } = world.start();
    await world.clock.advanceTo(SLOT_MS - 150);
    const before = broker.calls.filter((call) => call === 'fire').length;
    await world.clock.advanceTo(SLOT_MS - 1);
    assert.deepEqual(await decisions(), new Set(['08:00:00Z fired']));
    await world.clock.advanceTo(SLOT_MS + 1);
    assert.deepEqual(await decisions(), new Set(['08:00:00Z fired', '08:01:00Z skipped Overlap']));
    assert.equal(broker.calls.filter((call) => call === 'fire').length - before, 2);
  });

  test('a broker whose clock is behind ours decides a crowd when its slot comes', async () => {
    create(CROWD);
    const { broker } = world.start();
    await world.clock.advanceTo(SLOT_MS - 150);
    broker.onFire = (requests) =>
      world.clock.now() >= SLOT_MS
        ? undefined
        : Promise.resolve(
            requests.map(() => ({
              outcome: 'ok' as const,
              decisions: [{ decision: 'refused' as const, why: 'future' as const }],
            })),
          );
    await world.clock.advanceTo(SLOT_MS + 1);
    assert.deepEqual(await ready(), [2 * CROWD, 0]);
  });

  test('a slot that the broker says is still ahead is asked for once a millisecond, not again and again', async () => {
    world.store.create('a', { every: '1m' });
    const { broker } = world.start();
    await world.clock.advanceTo(SLOT_MS - 1);
    let asked = 0;
    broker.onFire = (requests) => {
      asked += 1;
      if (world.clock.now() >= SLOT_MS + 10) return undefined;
      return Promise.resolve(
        requests.map(() => ({
          outcome: 'ok' as const,
          decisions: [{ decision: 'refused' as const, why: 'ahead' as const }],
        })),
      );
    };
    await world.clock.advanceTo(SLOT_MS + 20);
    assert.ok(asked >= 2 && asked <= 12, `asked ${asked} times`);
    assert.deepEqual(await world.decisions('a'), ['08:00:00Z..08:01:00Z x2 fired']);
  });

  test('a schedule that is suspended after its slot was decided ahead runs once more, and no more', async () => {
    create(CROWD);
    world.start();
    await world.clock.advanceTo(SLOT_MS - 20);
    for (const name of NAMES) world.store.edit(name, { suspend: true });
    await world.clock.advanceTo(SLOT_MS + 120_000);
    assert.deepEqual(await ready(), [2 * CROWD, 0]);
    assert.deepEqual(await decisions(), new Set(['08:00:00Z..08:01:00Z x2 fired']));
  });
});
