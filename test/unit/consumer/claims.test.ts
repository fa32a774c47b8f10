import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
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

const noop = defineTask({ name: 'noop', run: () => undefined });
test('no claim is so large that others wait for it: a thousand free slots are filled by several', async () => {
  const long = defineTask({
    name: 'long',
    timeout: '10m',
    run: async (): Promise<void> => {
      await world.clock.sleep(60_000);
    },
  });
  await using world = new ConsumerWorld([long]);
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
  const wait = work.waitForWork.bind(work);
  work.waitForWork = (...request) => {
    order.push('wait');
    return wait(...request);
  };
  await world.enqueue('noted');
  await world.until(() => order.length >= 2, 1_000);
  assert.deepEqual(order.slice(0, 2), ['body', 'wait']);
});
