/** Several engines on one broker, some with an old view of the objects. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { mustForce } from '../../../src/controller/refusals.ts';
import { createWorld, type World } from '../../support/schedule-world.ts';
import { slotsOf } from '../../support/slot-account.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describe('several schedule engines', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(async () => {
    await world.stopAll();
  });

  test('three on one broker fire each slot once', async () => {
    world.store.create('a', { every: '1s' });
    for (let i = 0; i < 3; i += 1) world.start();
    await world.clock.advanceBy(MINUTE);
    assert.equal((await world.fired('a')).length, 61);
    assert.deepEqual(await world.decisions('a'), ['08:00:00Z..08:01:00Z x61 fired']);
  });

  test('one that is cut off from its objects does not fire by an old spec after another acted on the new one', async () => {
    world.store.create('a', { every: '10s' });
    const cutOff = world.start();
    world.start();
    await world.clock.advanceBy(15 * SECOND);
    cutOff.source.cutOff = true;
    world.store.edit('a', { every: '10s', offset: '5s' });
    await world.clock.advanceBy(20 * SECOND);
    assert.deepEqual(await world.fired('a'), [
      '08:00:00Z',
      '08:00:10Z',
      '08:00:15Z',
      '08:00:25Z',
      '08:00:35Z',
    ]);
    assert.ok(cutOff.events.includes('stale a 1'));
  });

  test('one that is cut off goes on firing from its cache while nobody acts on something newer', async () => {
    world.store.create('a', { every: '10s' });
    const cutOff = world.start();
    await world.clock.advanceBy(SECOND);
    cutOff.source.cutOff = true;
    await world.clock.advanceBy(30 * SECOND);
    assert.equal((await world.fired('a')).length, 4);
  });

  test('one that was cut off serves the new spec once it can read again', async () => {
    world.store.create('a', { every: '10s' });
    const cutOff = world.start();
    const other = world.start();
    await world.clock.advanceBy(SECOND);
    cutOff.source.cutOff = true;
    world.store.edit('a', { every: '20s' });
    await world.clock.advanceBy(25 * SECOND);
    await other.stop();
    cutOff.source.cutOff = false;
    await world.clock.advanceBy(20 * SECOND);
    assert.deepEqual((await world.fired('a')).at(-1), '08:00:40Z');
  });

  test('a source that was set back to an older generation is followed, by force, once it was read again', async () => {
    const old = world.store.create('a', { every: '10s' });
    const { events } = world.start();
    await world.clock.advanceBy(SECOND);
    world.store.edit('a', { every: '1h' });
    await world.clock.advanceBy(20 * SECOND);
    world.store.put({ ...old });
    await world.clock.advanceBy(21 * SECOND);
    assert.ok(events.includes('adopted a 1 forced'));
    assert.deepEqual(await world.fired('a'), ['08:00:00Z', '08:00:30Z', '08:00:40Z']);
  });

  test('a generation that is taken back by force owes no slot after', async () => {
    const old = world.store.create('a', { every: '10s' });
    const { source } = world.start();
    await world.clock.advanceBy(SECOND);
    world.store.edit('a', { every: '1s', params: { by: 'the edit' } });
    await world.clock.advanceBy(5 * SECOND + 500);
    world.store.put({ ...old });
    source.cutOff = true;
    await world.clock.advanceBy(5 * SECOND);
    source.cutOff = false;
    await world.clock.advanceBy(10 * SECOND);
    const { schedules } = world.broker.queue('default');
    const eras = await schedules.eras('uid-1');
    assert.deepEqual(
      eras.map(({ generation }) => generation),
      [1, 2, 1],
    );
    const [, edited] = eras;
    assert.ok(edited?.untilMs !== undefined);
    const decisions = await schedules.decisions('uid-1', { limit: 100 });
    const decided = decisions.filter(({ generation }) => generation === 2);
    assert.equal(
      decided.reduce((sum, { count }) => sum + count, 0),
      slotsOf('1s', edited.fromMs, edited.untilMs).length,
    );
  });

  test('an object is forced upon the broker only where it was read again and is older than what the broker knows', () => {
    const first = world.store.create('a', { every: '10s' });
    const second = world.store.edit('a', { every: '20s' });
    const known = { generation: 2, withdrawn: false };
    assert.equal(mustForce(first, first, known), true, 'the source was set back');
    assert.equal(mustForce(first, second, known), false, 'ours is old');
    assert.equal(
      mustForce(second, second, known),
      false,
      'ours came while the refusal of the first was looked into',
    );
    assert.equal(mustForce(second, second, { generation: 3, withdrawn: false }), true);
    assert.equal(mustForce(second, second, { generation: 2, withdrawn: true }), true, 'it lives');
    assert.equal(mustForce(first, { ...first, uid: 'another' }, known), false);
    assert.equal(mustForce(first, { ...first, deletedAt: 1 }, known), false);
  });

  test('a live object that was withdrawn by mistake is adopted again', async () => {
    world.store.create('a', { every: '10s' });
    const { events } = world.start();
    await world.clock.advanceBy(SECOND);
    await world.broker.queue('default').schedules.withdraw(['uid-1']);
    await world.clock.advanceBy(30 * SECOND);
    assert.ok(events.includes('adopted a 1 forced'));
    assert.equal((await world.fired('a')).at(-1), '08:00:30Z');
  });
});
