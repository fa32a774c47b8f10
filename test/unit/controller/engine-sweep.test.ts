/** Objects that are deleted, in whatever way: nothing of them fires on, and nothing that lives is withdrawn. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createWorld, type EngineHandle, Freezer, type World } from '../../support/schedule-world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describe('the schedule engine and objects that go', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(async () => {
    await world.stopAll();
  });

  test('a deleted object stops at once and is withdrawn by the sweep after the next full list', async () => {
    for (const name of ['a', 'b', 'c']) world.store.create(name, { every: '10s' });
    const { source, events } = world.start();
    await world.clock.advanceBy(12 * SECOND);
    world.store.delete('a');
    await world.clock.advanceBy(30 * SECOND);
    assert.deepEqual(await world.fired('uid-1'), ['08:00:00Z', '08:00:10Z']);
    source.relist();
    await world.clock.advanceBy(10 * SECOND);
    assert.ok(events.includes('swept 1 held 0'));
    assert.equal((await world.broker.queue('default').schedules.states(['uid-1']))[0]?.withdrawn, true);
  });

  test('an object deleted while no engine ran is withdrawn by the next one', async () => {
    for (const name of ['a', 'b', 'c']) world.store.create(name, { every: '10s' });
    const first = world.start();
    await world.clock.advanceBy(SECOND);
    await first.stop();
    world.store.delete('a');
    const { source } = world.start();
    for (let i = 0; i < 3; i += 1) {
      await world.clock.advanceBy(10 * SECOND);
      source.relist();
    }
    assert.equal((await world.broker.queue('default').schedules.states(['uid-1']))[0]?.withdrawn, true);
  });

  /** Starts an engine whose list is older than what it reads of the broker. */
  async function startLate(): Promise<EngineHandle> {
    const freezer = new Freezer();
    freezer.freeze();
    const engine = world.start({ gate: freezer.gate });
    await world.clock.advanceBy(SECOND);
    freezer.thaw();
    return engine;
  }
  const withdrawn = async (...uids: readonly string[]): Promise<readonly (boolean | undefined)[]> =>
    (await world.broker.queue('default').schedules.states(uids)).map((state) => state?.withdrawn);

  test('an engine that takes over asks for what is absent, and withdraws it long before the next full list', async () => {
    for (const name of ['a', 'b']) world.store.create(name, { every: '10s' });
    const first = world.start();
    await world.clock.advanceBy(SECOND);
    await first.stop();
    world.store.delete('a');
    world.store.create('b', { every: '10s' });
    const { events } = await startLate();
    await world.clock.advanceBy(10 * SECOND);
    assert.ok(events.includes('swept 2 held 0'), events.join());
    assert.deepEqual(await withdrawn('uid-1', 'uid-2', 'uid-3'), [true, true, false]);
  });

  test('nothing is withdrawn while the objects cannot be read', async () => {
    for (const name of ['a', 'b', 'c']) world.store.create(name, { every: '10s' });
    const first = world.start();
    await world.clock.advanceBy(SECOND);
    await first.stop();
    world.store.delete('c');
    const { source } = await startLate();
    source.cutOff = true;
    await world.clock.advanceBy(MINUTE);
    assert.deepEqual(await withdrawn('uid-3'), [false]);
  });

  test('a sweep of more than half waits until each object was asked for', async () => {
    for (const name of ['a', 'b', 'c']) world.store.create(name, { every: '10s' });
    const { source, events } = world.start();
    await world.clock.advanceBy(12 * SECOND);
    world.store.delete('a');
    world.store.delete('b');
    source.relist();
    await world.clock.advanceBy(5 * SECOND);
    assert.ok(events.includes('swept 0 held 2'));
    assert.equal((await world.broker.queue('default').schedules.states(['uid-1']))[0]?.withdrawn, false);
    await world.clock.advanceBy(5 * SECOND);
    assert.ok(events.includes('swept 2 held 0'));
  });

  test('a list that is empty by mistake withdraws nothing: the objects are there when they are asked for', async () => {
    for (const name of ['a', 'b', 'c']) world.store.create(name, { every: '10s' });
    const { source, events } = world.start();
    await world.clock.advanceBy(12 * SECOND);
    source.relistEmpty();
    await world.clock.advanceBy(MINUTE);
    assert.ok(events.includes('swept 0 held 3'));
    assert.ok(!events.some((event) => /swept [1-9]/.test(event)));
    const states = await world.broker.queue('default').schedules.states(['uid-1', 'uid-2', 'uid-3']);
    assert.deepEqual(
      states.map((state) => state?.withdrawn),
      [false, false, false],
    );
    assert.ok((await world.fired('a')).length >= 6, 'what was read is served again');
  });

  test('a list from before an object was made does not withdraw it', async () => {
    for (const name of ['a', 'b', 'c']) world.store.create(name, { every: '10s' });
    const old = world.start();
    old.source.cutOff = true;
    await world.clock.advanceBy(12 * SECOND);
    world.store.create('d', { every: '10s' });
    world.start();
    await world.clock.advanceBy(MINUTE);
    assert.equal((await world.broker.queue('default').schedules.states(['uid-4']))[0]?.withdrawn, false);
    assert.equal((await world.fired('d')).length, 6);
  });

  test('an object whose deletion the source saw is withdrawn at once', async () => {
    const object = world.store.create('a', { every: '10s' });
    world.start();
    await world.clock.advanceBy(SECOND);
    world.store.put({ ...object, deletedAt: world.clock.now() });
    await world.clock.advanceBy(SECOND);
    assert.equal((await world.broker.queue('default').schedules.states(['uid-1']))[0]?.withdrawn, true);
  });

  test('an object that is made again under its name is another one: the old is withdrawn, the new starts afresh', async () => {
    world.store.create('a', { every: '10s' });
    world.start();
    await world.clock.advanceBy(15 * SECOND);
    world.store.create('a', { every: '10s' });
    await world.clock.advanceBy(10 * SECOND);
    assert.equal((await world.broker.queue('default').schedules.states(['uid-1']))[0]?.withdrawn, true);
    assert.deepEqual(await world.fired('a'), ['08:00:20Z']);
  });

  test('an object that is made again while the old one is being withdrawn is not overlooked', async () => {
    const object = world.store.create('a', { every: '10s' });
    const withdrawing = Promise.withResolvers<undefined>();
    const { broker } = world.start({
      gate: () => (broker.calls.at(-1) === 'withdraw' ? withdrawing.promise : Promise.resolve(undefined)),
    });
    await world.clock.advanceBy(SECOND);
    world.store.put({ ...object, deletedAt: world.clock.now() });
    await world.clock.advanceBy(SECOND);
    assert.equal(broker.calls.at(-1), 'withdraw');
    world.store.delete('a');
    world.store.create('a', { every: '10s' });
    withdrawing.resolve(undefined);
    await world.clock.advanceBy(15 * SECOND);
    assert.deepEqual(await world.fired('a'), ['08:00:10Z']);
  });

  test('an object of which the source was told that it was deleted is withdrawn before anybody asks', async () => {
    const { uid } = world.store.create('a', { every: '10s' });
    const { source } = world.start();
    await world.clock.advanceBy(SECOND);
    Object.assign(source, { deletedUid: () => uid });
    world.store.delete('a');
    await world.clock.advanceBy(SECOND);
    assert.equal((await world.broker.queue('default').schedules.states([uid]))[0]?.withdrawn, true);
  });

  test('what stands in a namespace that the source does not look at is left to those who do', async () => {
    const { uid } = world.store.create('a', { every: '10s' });
    for (const name of ['b', 'c']) world.store.create(name, { every: '10s' });
    const first = world.start();
    await world.clock.advanceBy(SECOND);
    await first.stop();
    world.store.delete('a');
    const { source } = world.start();
    Object.assign(source, { covers: () => false });
    await world.clock.advanceBy(10 * SECOND);
    source.relist();
    await world.clock.advanceBy(10 * SECOND);
    assert.equal((await world.broker.queue('default').schedules.states([uid]))[0]?.withdrawn, false);
  });

  test('an engine that led before does not fire for what was deleted while it did not lead', async () => {
    for (const name of ['a', 'b', 'c']) world.store.create(name, { every: '10s' });
    const first = world.start();
    const { engine, source } = first;
    await world.clock.advanceBy(15 * SECOND);
    await first.stop();
    const [key] = source.list().flatMap((object) => (object.name === 'a' ? [object.key] : []));
    assert.ok(key !== undefined);
    world.store.delete('a');
    await source.readLive(key);
    // Neither a list nor a read helps the sweep.
    source.cutOff = true;
    const second = new AbortController();
    const done = engine.run(second.signal);
    await world.clock.advanceBy(30 * SECOND);
    second.abort();
    await done;
    assert.deepEqual(await world.fired('uid-1'), ['08:00:00Z', '08:00:10Z']);
    assert.equal((await world.fired('b')).length, 5);
  });
});
