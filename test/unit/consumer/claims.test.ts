import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import { ConsumerWorld } from '../../support/consumer-world.ts';

const Cycle = z.object({ claim: z.object({ io: z.number() }).optional() });

/** For how many runs of IO tasks each claim asks from now on. */
function watchClaims(world: ConsumerWorld): readonly number[] {
  const sizes: number[] = [];
  world.broker.plan = (call, _queue, request) => {
    const io = call === 'cycle' ? (Cycle.parse(request).claim?.io ?? 0) : 0;
    if (io > 0) sizes.push(io);
    return undefined;
  };
  return sizes;
}

/** Runs for a minute. */
function createLong(world: () => ConsumerWorld) {
  return defineTask({
    name: 'long',
    timeout: '10m',
    run: async (): Promise<void> => {
      await world().clock.sleep(60_000);
    },
  });
}

const noop = defineTask({ name: 'noop', run: () => undefined });
test('no claim is so large that others wait for it: a thousand free slots are filled by several', async () => {
  await using world: ConsumerWorld = new ConsumerWorld([createLong(() => world)]);
  const sizes = watchClaims(world);
  await world.start({ ioConcurrency: 1_000, drainMs: 0 });
  const ids = await world.enqueue('long', 1_000);
  await world.clock.advanceBy(200);
  assert.deepEqual(await world.states(ids), { running: 1_000 });
  assert.equal(Math.max(...sizes), 256, String(sizes));
});

test('a consumer of short runs claims on at once, whether few or many of its slots are free', async () => {
  await using world = new ConsumerWorld([noop]);
  const { seen } = await world.start({ ioConcurrency: 300 });
  await world.enqueue('noop', 100);
  await world.clock.advanceBy(1_000);
  const claims = watchClaims(world);
  await world.enqueue('noop', 5_000);
  // No time passes: whoever waits for slots to gather would wait for ever.
  for (let turn = 0; turn < 500 && seen.finished.length < 5_100; turn += 1) await setImmediate();
  assert.equal(seen.finished.length, 5_100, `${claims.length} claims`);
});

test('a run begins before its consumer turns to the broker to wait for the next', async () => {
  const order: string[] = [];
  const noted = defineTask({
    name: 'noted',
    run: () => {
      order.push('body');
    },
  });
  await using world = new ConsumerWorld([noted]);
  await world.start();
  const { work } = world.broker.queue('default');
  const wait = work.claimWhenWoken.bind(work);
  work.claimWhenWoken = (...request) => {
    order.push('wait');
    return wait(...request);
  };
  await world.enqueue('noted');
  await world.until(() => order.length >= 2, 1_000);
  assert.deepEqual(order.slice(0, 2), ['body', 'wait']);
});

test('a run that is handed to an idle queue whose last slot another has goes back to who has slots', async () => {
  await using world: ConsumerWorld = new ConsumerWorld([createLong(() => world)]);
  await world.start({ queues: ['one', 'two'], ioConcurrency: 1 });
  const [first = ''] = await world.enqueue('long', 1, { queue: 'one' });
  await world.clock.advanceBy(10);
  const [second = ''] = await world.enqueue('long', 1, { queue: 'two' });
  await world.clock.advanceBy(2_500);
  assert.equal(await world.stateOf(first, 'one'), 'running');
  const run = await world.broker.queue('two').runs.get(second);
  assert.deepEqual([run?.state, run?.attempt], ['pending', 0]);
  await world.clock.advanceBy(60_000);
  assert.equal(await world.stateOf(second, 'two'), 'running');
});

test('two runs that come to one slot in one moment: one waits or goes back, and both are done with one attempt', async () => {
  await using world: ConsumerWorld = new ConsumerWorld([createLong(() => world)]);
  await world.start({ queues: ['one', 'two'], ioConcurrency: 1 });
  const ids = await Promise.all(
    ['one', 'two'].map(async (queue) => (await world.enqueue('long', 1, { queue }))[0] ?? ''),
  );
  await world.clock.advanceBy(180_000);
  for (const [index, queue] of ['one', 'two'].entries()) {
    const run = await world.broker.queue(queue).runs.get(ids[index] ?? '');
    assert.deepEqual([run?.state, run?.attempt], ['succeeded', 1], queue);
  }
});

test('a broker that lets no claim wait is asked ever less often, and its runs are done all the same', async () => {
  await using world = new ConsumerWorld([noop]);
  const { work } = world.broker.queue('default');
  let asked = 0;
  work.claimWhenWoken = async () => {
    asked += 1;
    throw new TidemillError('BROKER_UNAVAILABLE', 'planned');
  };
  await world.start();
  await world.clock.advanceBy(20_000);
  assert.ok(asked > 5 && asked < 40, `${asked} times in 20 s`);
  const ids = await world.enqueue('noop', 3);
  await world.clock.advanceBy(5_000);
  assert.deepEqual(await world.states(ids), { succeeded: 3 });
});

test('a consumer that is told to stop calls off the claim that waits: what comes then is not its own', async () => {
  await using world = new ConsumerWorld([noop]);
  const { stop, ended } = await world.start();
  const claims = watchClaims(world);
  stop();
  const [id = ''] = await world.enqueue('noop');
  await world.clock.advanceBy(1_000);
  await ended;
  assert.deepEqual(claims, []);
  const run = await world.broker.queue('default').runs.get(id);
  assert.deepEqual([run?.state, run?.attempt], ['pending', 0]);
});

test('the slot of a run that ended is used for the next that comes, however few there are', async () => {
  for (const ioConcurrency of [1, 2]) {
    await using world = new ConsumerWorld([noop]);
    await world.start({ ioConcurrency });
    for (let nth = 0; nth < 5; nth += 1) {
      const [id = ''] = await world.enqueue('noop');
      await world.clock.advanceBy(20);
      assert.equal(await world.stateOf(id), 'succeeded', `run ${nth} of a consumer with ${ioConcurrency}`);
    }
  }
});
