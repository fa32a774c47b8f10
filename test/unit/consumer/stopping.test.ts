import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StopError } from '../../../src/consumer/stop-error.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import { ConsumerWorld } from '../../support/consumer-world.ts';

/** Ends by throwing the reason of its signal, as `fetch(url, { signal })` does. */
const listens = defineTask({
  name: 'listens',
  timeout: '10s',
  run: ({ signal }) =>
    new Promise<void>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    }),
});

const reasons: unknown[] = [];
/** Never ends, whatever its signal says. */
const deaf = defineTask({
  name: 'deaf',
  timeout: '1s',
  run: ({ signal }) => {
    signal.addEventListener('abort', () => reasons.push(signal.reason));
    return new Promise<void>(() => undefined);
  },
});

const noop = defineTask({ name: 'noop', run: () => undefined });

test('a run that outlasts its timeout fails with reason Timeout', async () => {
  await using world = new ConsumerWorld([listens]);
  await world.start();
  const [id = ''] = await world.enqueue('listens');
  await world.clock.advanceBy(9_500);
  assert.equal(await world.stateOf(id), 'running');
  await world.clock.advanceBy(1_000);
  const run = await world.broker.queue('default').runs.get(id);
  assert.deepEqual([run?.state, run?.error?.reason], ['failed', 'Timeout']);
});

test('a run that ignores its signal is settled one second after its timeout, and its slot counts as leaked', async () => {
  await using world = new ConsumerWorld([deaf, noop]);
  const { seen } = await world.start({ ioConcurrency: 10 });
  const [id = ''] = await world.enqueue('deaf');
  await world.clock.advanceBy(1_900);
  assert.equal(await world.stateOf(id), 'running');
  await world.clock.advanceBy(300);
  const run = await world.broker.queue('default').runs.get(id);
  assert.deepEqual([run?.state, run?.error?.reason], ['failed', 'Timeout']);
  assert.deepEqual(seen.leaks, [id]);
  const reason = reasons.at(-1);
  assert.ok(reason instanceof StopError && reason.kind === 'timeout' && reason.code === 'TASK_TIMEOUT');
  const others = await world.enqueue('noop', 50);
  await world.clock.advanceBy(500);
  assert.deepEqual(await world.states(others), { succeeded: 50 }, 'others are not affected');
});

test('a slot that leaked is used again once its body returns', async () => {
  let free: () => void = () => undefined;
  const late = defineTask({
    name: 'late',
    timeout: '1s',
    run: () => new Promise<void>((resolve) => (free = resolve)),
  });
  await using world = new ConsumerWorld([late, noop]);
  const { consumer } = await world.start({ ioConcurrency: 2 });
  await world.enqueue('late');
  await world.clock.advanceBy(3_000);
  const before = await world.enqueue('noop', 3);
  await world.clock.advanceBy(100);
  free();
  await world.clock.advanceBy(100);
  assert.deepEqual(await world.states(before), { succeeded: 3 });
  assert.equal(consumer.running, 0);
});

test('too many leaked slots end the consumer, which says why', async () => {
  await using world = new ConsumerWorld([deaf, noop]);
  const { ended, consumer } = await world.start({ ioConcurrency: 20, drainMs: 1_000 });
  await world.enqueue('deaf', 5);
  await world.clock.advanceBy(10_000);
  assert.equal(await ended, 'leaked-slots');
  assert.equal(consumer.ready, false);
});

test('a cancelled run is told at once, ends as cancelled and is not retried', async () => {
  await using world = new ConsumerWorld([listens]);
  await world.start();
  const [id = ''] = await world.enqueue('listens');
  await world.clock.advanceBy(100);
  const [answer] = await world.broker.queue('default').runs.cancel([id], 'not wanted any more');
  assert.equal(answer, 'requested');
  await world.clock.advanceBy(3_000);
  const run = await world.broker.queue('default').runs.get(id);
  assert.deepEqual([run?.state, run?.cancelReason], ['cancelled', 'not wanted any more']);
});

test('at shutdown no claim is sent, short runs finish, and long ones go back with no attempt used', async () => {
  const short = defineTask({
    name: 'short',
    run: async (): Promise<void> => {
      await world.clock.sleep(2_000);
    },
  });
  await using world = new ConsumerWorld([short, listens]);
  const { stop, ended, consumer } = await world.start({ drainMs: 5_000 });
  const shorts = await world.enqueue('short', 3);
  const longs = await world.enqueue('listens', 3);
  await world.clock.advanceBy(500);
  stop();
  const claims: unknown[] = [];
  world.broker.plan = (call, _queue, request) => {
    if (call === 'cycle' && typeof request === 'object' && request !== null && 'claim' in request)
      claims.push(request);
    return undefined;
  };
  const after = await world.enqueue('short', 3);
  await world.clock.advanceBy(4_000);
  assert.deepEqual(await world.states(shorts), { succeeded: 3 });
  assert.equal(consumer.ready, false);
  await world.clock.advanceBy(2_000);
  assert.equal(await ended, 'signal');
  assert.deepEqual(await world.states([...longs, ...after]), { pending: 6 });
  const run = await world.broker.queue('default').runs.get(longs[0] ?? '');
  assert.equal(run?.attempt, 0);
  assert.deepEqual(claims, []);
});

test('runs given back at shutdown are done by another consumer', async () => {
  let first = true;
  const once = defineTask({
    name: 'once',
    run: ({ signal }) => {
      if (!first) return Promise.resolve();
      first = false;
      return new Promise<void>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    },
  });
  await using world = new ConsumerWorld([once]);
  const one = await world.start({ drainMs: 100 });
  const [id = ''] = await world.enqueue('once');
  await world.clock.advanceBy(100);
  one.stop();
  await world.start();
  await world.clock.advanceBy(1_000);
  const run = await world.broker.queue('default').runs.get(id);
  assert.deepEqual([run?.state, run?.attempt], ['succeeded', 1]);
});

test('shutdown ends in time although the broker answers nothing', async () => {
  await using world = new ConsumerWorld([listens]);
  const { stop, ended } = await world.start({ drainMs: 3_000 });
  await world.enqueue('listens', 3);
  await world.clock.advanceBy(500);
  world.broker.plan = () => 'hang';
  stop();
  const startMs = world.clock.now();
  let endMs = Infinity;
  void ended.then(() => (endMs = world.clock.now()));
  await world.clock.advanceBy(10_000);
  assert.ok(endMs - startMs <= 8_000, `took ${endMs - startMs} ms`);
});

test('a consumer told to stop before it could register ends', async () => {
  await using world = new ConsumerWorld([noop]);
  world.broker.plan = () => 'before';
  const { stop, ended } = await world.start();
  stop();
  await world.clock.advanceBy(3_000);
  assert.equal(await ended, 'signal');
});

test('a consumer whose signal had aborted before claims nothing', async () => {
  await using world = new ConsumerWorld([noop]);
  const ids = await world.enqueue('noop', 3);
  const { stop, ended } = await world.start();
  await world.clock.advanceBy(500);
  stop();
  stop();
  await world.clock.advanceBy(3_000);
  assert.equal(await ended, 'signal');
  assert.deepEqual(await world.states(ids), { succeeded: 3 });
});

test('a claim that was under way when the stop came: its runs go back, and no body begins', async () => {
  let begun = 0;
  const counted = defineTask({ name: 'counted', run: () => void (begun += 1) });
  await using world = new ConsumerWorld([counted]);
  const { stop, ended } = await world.start();
  world.broker.plan = (call, _queue, request) => {
    if (call === 'cycle' && JSON.stringify(request).includes('"claim"')) stop();
    return undefined;
  };
  const ids = await world.enqueue('counted', 20);
  await world.clock.advanceBy(1_000);
  assert.equal(await ended, 'signal');
  assert.equal(begun, 0);
  assert.deepEqual(await world.states(ids), { pending: 20 });
});
