/** Objects that cannot fire, or may not: their conditions, and what becomes of their slots. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { DEFAULT_QUEUE_SETTINGS } from '../../../src/broker/broker.ts';
import type { TaskDescription } from '../../../src/task/manifest.ts';
import { createWorld, type EngineHandle, START, type World } from '../../support/schedule-world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

describe('what the schedule engine says of an object', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(async () => {
    await world.stopAll();
  });

  const condition = (reports: EngineHandle['reports']) => {
    const { reason, flags } = reports.get('default/a')?.condition ?? {};
    return { reason, ...flags };
  };

  test('an impossible schedule fires nothing, is stalled at once, and takes the old schedule out of force', async () => {
    world.store.create('a', { schedule: '* * * * *' });
    const { reports } = world.start();
    await world.clock.advanceBy(SECOND);
    world.store.edit('a', { schedule: '0 0 31 2 *' });
    await world.clock.advanceBy(2 * MINUTE);
    assert.deepEqual(condition(reports), {
      reason: 'NeverFires',
      Ready: false,
      Stalled: true,
      Reconciling: false,
    });
    assert.deepEqual(await world.decisions('a'), ['08:00:00Z fired']);
    assert.equal((await world.broker.queue('default').schedules.states(['uid-1']))[0]?.generation, 2);
  });

  test('an unknown zone is told with its field, value and rule', async () => {
    world.store.create('a', { schedule: '* * * * *', timeZone: 'Mars/Olympus' });
    const { reports } = world.start();
    await world.clock.advanceBy(SECOND);
    assert.equal(condition(reports).reason, 'UnknownTimeZone');
    assert.match(reports.get('default/a')?.condition.message ?? '', /spec\.timeZone: .*Mars\/Olympus/);
  });

  test('an object that cannot be read is stalled, and what it was before goes out of force', async () => {
    const object = world.store.create('a', { every: '10s' });
    const { reports } = world.start();
    await world.clock.advanceBy(SECOND);
    world.store.put({
      ...object,
      generation: 2,
      spec: { queue: 'default', unreadable: 'spec.every: must be a text, not 5' },
    });
    await world.clock.advanceBy(MINUTE);
    assert.equal(condition(reports).reason, 'InvalidSchedule');
    assert.equal((await world.fired('a')).length, 1);
  });

  test('a queue that does not take the object has its slots recorded as missed with that reason', async () => {
    world.store.create('a', { every: '10s' });
    const { reports } = world.start({
      allow: ({ namespace, queue }) => `queue ${queue} takes nothing from ${namespace}`,
    });
    await world.clock.advanceBy(25 * SECOND);
    assert.deepEqual(await world.decisions('a'), ['08:00:00Z..08:00:20Z x3 missed QueueNotAllowed']);
    assert.deepEqual(condition(reports), {
      reason: 'QueueNotAllowed',
      Ready: false,
      Stalled: true,
      Reconciling: false,
    });
  });

  test('a queue that is opened takes the object as soon as the engine is told to look again', async () => {
    world.store.create('a', { every: '10s' });
    let refusal: string | undefined = 'spec.queue: no';
    const { engine, reports } = world.start({ allow: () => refusal });
    await world.clock.advanceBy(15 * SECOND);
    refusal = undefined;
    engine.reconsider();
    await world.clock.advanceBy(6 * SECOND);
    assert.deepEqual(await world.decisions('a'), [
      '08:00:00Z..08:00:10Z x2 missed QueueNotAllowed',
      '08:00:20Z fired',
    ]);
    assert.equal(condition(reports).Ready, true);
  });

  test('params that do not fit the schema of the task are missed until they are mended', async () => {
    await publish(world, [
      task('tick', { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }),
    ]);
    world.store.create('a', { every: '10s', params: { n: 'many' } });
    const { reports } = world.start();
    await world.clock.advanceBy(15 * SECOND);
    assert.deepEqual(condition(reports), {
      reason: 'InvalidParams',
      Ready: false,
      Stalled: false,
      Reconciling: true,
    });
    assert.match(reports.get('default/a')?.condition.message ?? '', /spec\.params\.n: /);
    await world.clock.advanceBy(2 * MINUTE);
    assert.equal(condition(reports).Stalled, true);
    world.store.edit('a', { params: { n: 5 } });
    await world.clock.advanceBy(10 * SECOND);
    assert.equal(condition(reports).reason, 'Scheduled');
    assert.match((await world.decisions('a')).join('\n'), /x1[0-9] missed InvalidParams\n\S+ fired$/);
  });

  test('a task that no consumer knows fires: its runs wait, and the condition says so', async () => {
    await publish(world, [task('other')]);
    world.store.create('a', { every: '10s' });
    const { reports } = world.start();
    await world.clock.advanceBy(15 * SECOND);
    assert.equal((await world.fired('a')).length, 2);
    assert.deepEqual(condition(reports), {
      reason: 'UnknownTask',
      Ready: false,
      Stalled: false,
      Reconciling: true,
    });
    await publish(world, [task('other'), task('tick')]);
    await world.clock.advanceBy(11 * SECOND);
    assert.deepEqual(condition(reports), {
      reason: 'Scheduled',
      Ready: true,
      Stalled: false,
      Reconciling: false,
    });
  });

  test('without any consumer the object is ready and its runs wait', async () => {
    world.store.create('a', { every: '10s' });
    const { reports } = world.start();
    await world.clock.advanceBy(SECOND);
    assert.deepEqual(condition(reports), {
      reason: 'NoConsumer',
      Ready: true,
      Stalled: false,
      Reconciling: false,
    });
  });

  test('an object whose endTime has passed is complete', async () => {
    world.store.create('a', { every: '10s', endTime: '2026-03-02T08:00:15Z' });
    const { reports } = world.start();
    await world.clock.advanceBy(30 * SECOND);
    assert.equal(condition(reports).reason, 'Completed');
  });

  test('a suspended object is ready, and nothing is next', async () => {
    world.store.create('a', { every: '10s', suspend: true });
    const { reports } = world.start();
    await world.clock.advanceBy(30 * SECOND);
    assert.equal(condition(reports).reason, 'Suspended');
    assert.equal(reports.get('default/a')?.nextMs, undefined);
  });

  test('a bad object stops none of its neighbours', async () => {
    world.store.create('a', { schedule: 'not at all' });
    world.store.create('b', { every: '10s' });
    world.start();
    await world.clock.advanceBy(15 * SECOND);
    assert.equal((await world.fired('b')).length, 2);
  });

  test('the priority of the task holds where the object sets none', async () => {
    await publish(world, [{ ...task('tick'), priority: 'high' }]);
    world.store.create('a', { every: '10s' });
    world.store.create('b', { every: '10s', priority: 'Low' });
    world.start();
    await world.clock.advanceBy(SECOND);
    const page = await world.broker.queue('default').inspect.runs({ limit: 10 });
    const priorities = page.runs.map((run) => `${run.options.schedule?.name} ${run.priority}`);
    assert.deepEqual(priorities.sort(), ['a high', 'b low']);
  });

  test('what was decided last is reported, newest first, at most five', async () => {
    world.store.create('a', { every: '10s' });
    const { reports } = world.start();
    await world.clock.advanceBy(75 * SECOND);
    const recent = reports.get('default/a')?.recent ?? [];
    assert.deepEqual(
      recent.map(({ slotMs }) => (slotMs - START) / SECOND),
      [70, 60, 50, 40, 30],
    );
    assert.equal(reports.get('default/a')?.lastFiredSlotMs, START + 70 * SECOND);
    assert.equal(reports.get('default/a')?.settledThroughMs, START + 70 * SECOND);
  });
});

function task(name: string, paramsSchema?: Record<string, unknown>): TaskDescription {
  return {
    ...{ name, tags: [], executor: 'io', priority: 'medium', timeoutMs: 60_000, attempts: 1 },
    schemaHash: JSON.stringify(paramsSchema ?? null),
    ...(paramsSchema !== undefined && { paramsSchema }),
  };
}

/** A consumer of the default queue says what it can run. */
async function publish(world: World, tasks: readonly TaskDescription[]): Promise<void> {
  await world.broker.queue('default').work.register({
    incarnation: 'c1',
    leaseMs: HOUR,
    manifest: { hash: JSON.stringify(tasks), builtAtMs: world.clock.now(), tasks: [...tasks] },
    settings: DEFAULT_QUEUE_SETTINGS,
    consumer: { host: 'test', pid: 1, version: '0' },
  });
}
