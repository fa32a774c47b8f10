import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineTask } from '../../../src/task/define-task.ts';
import { NonRetryableError } from '../../../src/runtime/errors.ts';
import { ConsumerWorld } from '../../support/consumer-world.ts';

const noop = defineTask({ name: 'noop', run: () => 'done' });

test('runs that wait before the start and runs that come later all succeed, with their results stored', async () => {
  await using world = new ConsumerWorld([noop]);
  const early = await world.enqueue('noop', 300);
  const { consumer, seen } = await world.start();
  const late = await world.enqueue('noop', 300);
  await world.clock.advanceBy(1_000);
  assert.deepEqual(await world.states([...early, ...late]), { succeeded: 600 });
  assert.equal((await world.broker.queue('default').runs.get('r1'))?.result, '"done"');
  assert.equal(seen.finished.length, 600);
  assert.equal(seen.answers['settled'], 600);
  assert.equal(consumer.ready, true);
  assert.equal(consumer.live, true);
});

test('a run that fails is tried again after its back-off, and is a dead letter once its attempts are used up', async () => {
  const flaky = defineTask({
    name: 'flaky',
    retry: { attempts: 3, backoff: '4s' },
    run: ({ run }) => {
      if (run.attempt < 3) throw new Error(`attempt ${run.attempt}`);
    },
  });
  const broken = defineTask({
    name: 'broken',
    retry: { attempts: 2, backoff: '4s' },
    run: () => {
      throw new Error('always');
    },
  });
  await using world = new ConsumerWorld([flaky, broken]);
  const { seen } = await world.start();
  const [first = ''] = await world.enqueue('flaky');
  const [second = ''] = await world.enqueue('broken');
  await world.clock.advanceBy(500);
  assert.equal(await world.stateOf(first), 'delayed');
  // random() is 0.5 here, so the back-off of 4 s is 2 s after the first failure and 4 s after the second.
  await world.clock.advanceBy(7_000);
  assert.deepEqual(await world.states([first, second]), { succeeded: 1, failed: 1 });
  const attempts = seen.finished.filter((event) => event.task === 'flaky').map(({ outcome }) => outcome.kind);
  assert.deepEqual(attempts, ['retry', 'retry', 'succeeded']);
  assert.deepEqual(seen.deadLetters, [{ runId: second, reason: 'Error' }]);
});

test('NonRetryableError ends a run at once, and abort() ends it as cancelled', async () => {
  const fatal = defineTask({
    name: 'fatal',
    retry: { attempts: 5 },
    run: () => {
      throw new NonRetryableError('no use');
    },
  });
  const aborts = defineTask({
    name: 'aborts',
    retry: { attempts: 5 },
    run: ({ abort }) => abort('nothing to do'),
  });
  await using world = new ConsumerWorld([fatal, aborts]);
  await world.start();
  const [first = ''] = await world.enqueue('fatal');
  const [second = ''] = await world.enqueue('aborts');
  await world.clock.advanceBy(500);
  const { runs } = world.broker.queue('default');
  assert.equal((await runs.get(first))?.error?.reason, 'NonRetryable');
  const cancelled = await runs.get(second);
  assert.deepEqual([cancelled?.state, cancelled?.cancelReason], ['cancelled', 'nothing to do']);
});

test('a child run is enqueued by its parent and runs as well', async () => {
  const parent = defineTask({
    name: 'parent',
    run: async ({ enqueue }) => (await enqueue(noop)).id,
  });
  await using world = new ConsumerWorld([noop, parent]);
  await world.start();
  const [id = ''] = await world.enqueue('parent');
  await world.clock.advanceBy(500);
  const result = (await world.broker.queue('default').runs.get(id))?.result ?? '""';
  const childId: unknown = JSON.parse(result);
  assert.equal(typeof childId, 'string');
  assert.equal(await world.stateOf(String(childId)), 'succeeded');
});

test('a delayed run starts when it is due, not at the next long poll', async () => {
  await using world = new ConsumerWorld([noop]);
  const { seen } = await world.start();
  const startMs = world.clock.now();
  await world.enqueue('noop', 1, { delayMs: 1_234 });
  await world.until(() => seen.finished.length === 1, 3_000);
  assert.ok(world.clock.now() - startMs <= 1_400, `took ${world.clock.now() - startMs} ms`);
});

test('params that do not parse and records that cannot be read end their own run and stop nothing', async () => {
  await using world = new ConsumerWorld([noop]);
  const { seen } = await world.start();
  const bad = await world.enqueue('noop', 1, { params: '{"unexpected":' });
  // The contract forbids such a record, but a queue is written by other builds, and by other hands.
  const timeoutMs = JSON.parse('"soon"') as number;
  const odd = await world.enqueue('noop', 1, { options: { source: 'api', timeoutMs } });
  const good = await world.enqueue('noop', 10);
  await world.clock.advanceBy(2_000);
  assert.deepEqual(await world.states([...good, ...bad, ...odd]), { succeeded: 10, failed: 2 });
  const reasons = seen.deadLetters.map(({ reason }) => reason).sort();
  assert.deepEqual(reasons, ['InvalidParams', 'MalformedRecord']);
});

test('the limit of a task holds over two consumers', async () => {
  let now = 0;
  let most = 0;
  const limited = defineTask({
    name: 'limited',
    maxConcurrency: 3,
    run: async () => {
      now += 1;
      most = Math.max(most, now);
      await world.clock.sleep(100);
      now -= 1;
    },
  });
  await using world = new ConsumerWorld([limited]);
  await world.start();
  await world.start();
  const ids = await world.enqueue('limited', 30);
  await world.until(async () => (await world.states(ids))['succeeded'] === 30, 10_000);
  assert.equal(most, 3);
});

test('two queues share the slots evenly while both have work, and one alone gets them all', async () => {
  const running = { a: 0, b: 0 };
  const busy = defineTask({
    name: 'busy',
    run: async ({ run }) => {
      const queue = run.queue === 'a' ? 'a' : 'b';
      running[queue] += 1;
      await world.clock.sleep(1_000);
      running[queue] -= 1;
    },
  });
  await using world = new ConsumerWorld([busy]);
  await world.enqueue('busy', 100, { queue: 'a' });
  await world.start({ queues: ['a', 'b'], ioConcurrency: 10 });
  assert.deepEqual(running, { a: 10, b: 0 });
  const inB = await world.enqueue('busy', 10, { queue: 'b' });
  await world.clock.advanceBy(1_500);
  assert.deepEqual(running, { a: 5, b: 5 });
  await world.until(async () => (await world.states(inB, 'b'))['succeeded'] === 10, 5_000);
  await world.clock.advanceBy(1_500);
  assert.deepEqual(running, { a: 10, b: 0 });
});

test('one slot serves two queues in turns', async () => {
  const order: string[] = [];
  const quick = defineTask({
    name: 'quick',
    run: async ({ run }) => {
      order.push(run.queue);
      await world.clock.sleep(100);
    },
  });
  await using world = new ConsumerWorld([quick]);
  await world.enqueue('quick', 10, { queue: 'a' });
  await world.enqueue('quick', 10, { queue: 'b' });
  await world.start({ queues: ['a', 'b'], ioConcurrency: 1 });
  await world.until(() => order.length === 20, 30_000);
  const firstTen = order.slice(0, 10).filter((queue) => queue === 'a').length;
  assert.ok(firstTen >= 3 && firstTen <= 7, order.join(''));
});
