/** Contract: which runs a consumer is handed, and in which proportion. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { consumerOf, numbered, request, type CreateHarness, type TestConsumer } from './harness.ts';

/** Claims and settles in small bites, and counts what came by a key. */
async function take(
  consumer: TestConsumer,
  runs: number,
  bite: number,
  keyOf: (id: string) => string,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (let taken = 0; taken < runs;) {
    const claimed = await consumer.claim(bite);
    if (claimed.length === 0) break;
    taken += claimed.length;
    for (const { record } of claimed) counts.set(keyOf(record.id), (counts.get(keyOf(record.id)) ?? 0) + 1);
    await consumer.settle(claimed);
  }
  return counts;
}

const prefixOf = (id: string): string => id.slice(0, id.lastIndexOf('-'));

function assertBetween(value: number | undefined, least: number, most: number, what: string): void {
  assert.ok(
    value !== undefined && value >= least && value <= most,
    `${what}: expected ${least} to ${most}, got ${value ?? 0}`,
  );
}

export function describeClaiming(createHarness: CreateHarness): void {
  describe('claiming', () => {
    test('runs of a lane are handed out oldest first, once, in their first attempt', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue(numbered('run', 5));
      const claimed = await consumer.claim(3);
      assert.deepEqual(
        claimed.map(({ record }) => record.id),
        ['run-0', 'run-1', 'run-2'],
      );
      for (const { record, suspect } of claimed) {
        assert.equal(record.state, 'running');
        assert.equal(record.attempt, 1);
        assert.equal(record.incarnation, consumer.incarnation);
        assert.ok(record.startedAtMs !== undefined);
        assert.equal(suspect, false);
      }
      assert.deepEqual(await consumer.claimIds(), ['run-3', 'run-4']);
      assert.deepEqual(await consumer.claimIds(), []);
    });

    test('each executor has a budget of its own, and no slots means no runs', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { tasks: ['job', { name: 'heavy', executor: 'cpu' }] });
      await queue.runs.enqueue([...numbered('io', 3), ...numbered('cpu', 3, { task: 'heavy' })]);
      assert.deepEqual(await consumer.claimIds(0, 0), []);
      assert.deepEqual(await consumer.claimIds(0, 2), ['cpu-0', 'cpu-1']);
      assert.deepEqual([...(await consumer.claimIds(1, 1))].sort(), ['cpu-2', 'io-0']);
    });

    test('a consumer is handed only tasks that it knows', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await queue.runs.enqueue([...numbered('job', 2), ...numbered('other', 2, { task: 'other' })]);
      const narrow = await consumerOf(queue, { tasks: ['other'] });
      const reply = await narrow.cycle({ io: 10 });
      assert.deepEqual(
        reply.claimed.map(({ record }) => record.id),
        ['other-0', 'other-1'],
      );
      assert.equal(reply.moreReady, false);
      const wide = await consumerOf(queue, { tasks: ['job', 'other'], builtAtMs: 2_000 });
      assert.deepEqual(await wide.claimIds(), ['job-0', 'job-1']);
    });

    test('runs of a task that nobody knew wait for the consumer that does', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const early = await consumerOf(queue, { tasks: ['job'] });
      await queue.runs.enqueue([request('unknown', { task: 'newcomer' })]);
      assert.deepEqual(await early.claimIds(), []);
      const late = await consumerOf(queue, { tasks: ['newcomer'] });
      assert.deepEqual(await late.claimIds(), ['unknown']);
    });

    test('moreReady tells whether another claim would find something', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue(numbered('run', 3));
      assert.equal((await consumer.cycle({ io: 2 })).moreReady, true);
      assert.equal((await consumer.cycle({ io: 2 })).moreReady, false);
    });

    test('high, medium and low are taken in the proportion 100 : 10 : 1 while all three wait', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      for (const [priority, count] of [
        ['low', 60],
        ['medium', 300],
        ['high', 1_200],
      ] as const) {
        await queue.runs.enqueue(numbered(priority, count, { priority }));
      }
      const counts = await take(consumer, 1_110, 10, prefixOf);
      assertBetween(counts.get('high'), 960, 1_040, 'high');
      assertBetween(counts.get('medium'), 80, 120, 'medium');
      assertBetween(counts.get('low'), 5, 20, 'low');
    });

    test('a task with a short line is not kept waiting by one with a long line', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { tasks: ['flood', 'trickle'] });
      await queue.runs.enqueue(numbered('flood', 500, { task: 'flood' }));
      await take(consumer, 100, 10, prefixOf);
      await queue.runs.enqueue(numbered('trickle', 20, { task: 'trickle' }));
      const counts = await take(consumer, 60, 10, prefixOf);
      assertBetween(counts.get('trickle'), 20, 20, 'trickle');
    });

    test('a lane that one pool has served far ahead is not starved in another pool', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const first = await consumerOf(queue, { tasks: ['shared'] });
      await queue.runs.enqueue([
        ...numbered('shared', 1_500, { task: 'shared' }),
        ...numbered('own', 400, { task: 'own' }),
      ]);
      const second = await consumerOf(queue, { tasks: ['own', 'shared'], builtAtMs: 2_000 });
      await take(first, 1_200, 100, prefixOf);
      await queue.work.leave(first.incarnation);
      const counts = await take(second, 300, 10, prefixOf);
      assertBetween(counts.get('shared'), 80, 200, 'shared');
      assertBetween(counts.get('own'), 100, 220, 'own');
    });
  });

  describe('limits and pauses', () => {
    test('maxConcurrency holds over all consumers of the queue, and a settle makes room', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const sketch = { tasks: [{ name: 'job', maxConcurrency: 2 }] };
      const [one, two] = [await consumerOf(queue, sketch), await consumerOf(queue, sketch)];
      await queue.runs.enqueue(numbered('run', 5));
      const first = await one.claimOne();
      assert.deepEqual(await two.claimIds(), ['run-1']);
      const reply = await one.cycle({ io: 10 });
      assert.deepEqual(reply.claimed, []);
      assert.equal(reply.moreReady, false);
      await one.settle([first]);
      assert.deepEqual(await two.claimIds(), ['run-2']);
    });

    test('a limited task does not hold up its neighbours', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { tasks: [{ name: 'narrow', maxConcurrency: 1 }, 'job'] });
      await queue.runs.enqueue([...numbered('narrow', 3, { task: 'narrow' }), ...numbered('job', 3)]);
      assert.deepEqual([...(await consumer.claimIds())].sort(), ['job-0', 'job-1', 'job-2', 'narrow-0']);
    });

    test('a limit raised while the task is saturated lets its lane in again', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const old = await consumerOf(queue, { tasks: [{ name: 'job', maxConcurrency: 1 }], builtAtMs: 1_000 });
      await queue.runs.enqueue(numbered('run', 4));
      assert.deepEqual(await old.claimIds(), ['run-0']);
      const next = await consumerOf(queue, { tasks: [{ name: 'job', maxConcurrency: 3 }], builtAtMs: 2_000 });
      assert.deepEqual(await next.claimIds(), ['run-1', 'run-2']);
    });

    test('with two manifests alive the newest build decides, and the older one when it has left', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const newer = await consumerOf(queue, {
        tasks: [{ name: 'job', maxConcurrency: 1 }],
        builtAtMs: 2_000,
      });
      const older = await consumerOf(queue, { tasks: ['job'], builtAtMs: 1_000 });
      await queue.runs.enqueue(numbered('run', 5));
      assert.deepEqual(await older.claimIds(), ['run-0']);
      await queue.work.leave(newer.incarnation);
      assert.deepEqual(await older.claimIds(), ['run-1', 'run-2', 'run-3', 'run-4']);
    });

    test('a paused task is not handed out, and its lane comes in again when it is resumed', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { tasks: ['job', 'other'] });
      await queue.runs.enqueue([...numbered('job', 2), ...numbered('other', 1, { task: 'other' })]);
      await queue.inspect.setTaskPaused('job', true);
      const reply = await consumer.cycle({ io: 10 });
      assert.deepEqual(
        reply.claimed.map(({ record }) => record.id),
        ['other-0'],
      );
      assert.equal(reply.moreReady, false);
      await queue.runs.enqueue([request('job-2')]);
      assert.deepEqual(await consumer.claimIds(), []);
      await queue.inspect.setTaskPaused('job', false);
      assert.deepEqual(await consumer.claimIds(), ['job-0', 'job-1', 'job-2']);
    });

    test('a task that was paused while saturated comes in again', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { tasks: [{ name: 'job', maxConcurrency: 1 }] });
      await queue.runs.enqueue(numbered('run', 3));
      const held = await consumer.claimOne();
      await queue.inspect.setTaskPaused('job', true);
      await consumer.settle([held]);
      assert.deepEqual(await consumer.claimIds(), []);
      await queue.inspect.setTaskPaused('job', false);
      assert.deepEqual(await consumer.claimIds(), ['run-1']);
    });

    test('a paused queue hands out nothing, but takes and settles runs', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a'), request('b')]);
      const held = await consumer.claimOne();
      await queue.inspect.setQueuePaused(true);
      assert.deepEqual(await queue.runs.enqueue([request('c')]), ['enqueued']);
      const reply = await consumer.cycle({ io: 10 });
      assert.deepEqual(reply.claimed, []);
      assert.equal(reply.moreReady, false);
      assert.deepEqual(await consumer.settle([held]), ['settled']);
      await queue.inspect.setQueuePaused(false);
      assert.deepEqual(await consumer.drain(), ['b', 'c']);
    });
  });
}
