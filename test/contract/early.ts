/** Contract: runs that are handed out a moment before they are due, to a consumer that waits with them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EARLY_CLAIM_MS, type Queue } from '../../src/broker/broker.ts';
import type { RunState } from '../../src/task/run.ts';
import {
  consumerOf,
  request,
  type CreateHarness,
  type Harness,
  type TestConsumer,
  until,
} from './harness.ts';

/** Leaves as much time as there is before the runs are due. */
const DELAY_MS = EARLY_CLAIM_MS - 10;
const MOST_TRIES = 10;

/** Steps that count only when they were done before the runs were due; on a machine that stood still, they are done again. */
async function beforeDue(
  createHarness: CreateHarness,
  steps: (queue: Queue, harness: Harness) => Promise<() => void>,
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    await using harness = await createHarness();
    const dueMs = (await harness.broker.now()) + DELAY_MS;
    const check = await steps(harness.broker.queue('work'), harness);
    if ((await harness.broker.now()) < dueMs) {
      check();
      return;
    }
    assert.ok(tries < MOST_TRIES, 'this machine is too slow for this test');
  }
}

async function claimEarly(consumer: TestConsumer, early = 10, io = 10): Promise<readonly string[]> {
  const reply = await consumer.cycle({ io, early });
  assert.equal(reply.claimError, undefined);
  return reply.claimed.map(({ record }) => record.id);
}

const soon = (id: string, more: Parameters<typeof request>[1] = {}): ReturnType<typeof request> =>
  request(id, { delayMs: DELAY_MS, ...more });

const statesOf = (queue: Queue, ids: readonly string[]): Promise<readonly (RunState | undefined)[]> =>
  Promise.all(ids.map(async (id) => (await queue.runs.get(id))?.state));

export function describeEarly(createHarness: CreateHarness): void {
  describe('handing out early', () => {
    test('a run that is due soon goes to a claim that asks for it, and counts as started when it is due', () =>
      beforeDue(createHarness, async (queue) => {
        const consumer = await consumerOf(queue);
        await queue.runs.enqueue([soon('soon'), request('later', { delayMs: 10_000 })]);
        const without = await consumer.claimIds();
        const { claimed } = await consumer.cycle({ io: 1, early: 10 });
        const { pending, delayed, running } = await queue.inspect.stats();
        return () => {
          assert.deepEqual(without, []);
          assert.deepEqual(
            claimed.map(({ record }) => [record.id, record.state, record.attempt]),
            [['soon', 'running', 1]],
          );
          assert.equal(claimed[0]?.record.startedAtMs, claimed[0]?.record.dueAtMs);
          assert.deepEqual([pending, delayed, running], [0, 1, 1]);
        };
      }));

    test('no more than were asked for, the first due first, then by id; the rest is promoted in time', async () => {
      await beforeDue(createHarness, async (queue, harness) => {
        const consumer = await consumerOf(queue);
        const runAtMs = (await harness.broker.now()) + DELAY_MS;
        const at = (id: string, ms: number): ReturnType<typeof request> => request(id, { runAtMs: ms });
        await queue.runs.enqueue([
          at('c', runAtMs),
          at('b', runAtMs),
          at('a', runAtMs + 1),
          at('d', runAtMs - 1),
        ]);
        const claimed = [await claimEarly(consumer, 3, 1), await claimEarly(consumer, 0)];
        return () => assert.deepEqual(claimed, [['d', 'b', 'c'], []]);
      });
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([soon('a'), soon('b')]);
      assert.equal((await claimEarly(consumer, 1)).length, 1);
      await harness.passTime(DELAY_MS + 10);
      assert.equal((await queue.work.promote()).promoted, 1);
    });

    test('what is ready goes first: nothing early while anything else waits that the consumer could run', () =>
      beforeDue(createHarness, async (queue) => {
        const consumer = await consumerOf(queue);
        await queue.runs.enqueue([request('ready-1'), soon('soon'), request('ready-2')]);
        const claimed = [await claimEarly(consumer, 10, 1), await claimEarly(consumer, 10, 10)];
        return () => assert.deepEqual(claimed, [['ready-1'], ['ready-2', 'soon']]);
      }));

    test('nothing early of a task that has a limit, is CPU-bound, is paused, or is not known to the consumer', () =>
      beforeDue(createHarness, async (queue) => {
        const consumer = await consumerOf(queue, {
          tasks: ['job', 'stopped', { name: 'few', maxConcurrency: 5 }, { name: 'heavy', executor: 'cpu' }],
        });
        await consumerOf(queue, { tasks: ['other'], builtAtMs: 2_000 });
        await queue.inspect.setTaskPaused('stopped', true);
        await queue.runs.enqueue(
          ['stopped', 'few', 'heavy', 'other', 'job'].map((task) => soon(`of-${task}`, { task })),
        );
        const claimed = await claimEarly(consumer);
        await queue.inspect.setQueuePaused(true);
        await queue.runs.enqueue([soon('while-paused')]);
        const whilePaused = await claimEarly(consumer);
        return () => assert.deepEqual([claimed, whilePaused], [['of-job'], []]);
      }));

    test('a retry waits where it is: only a run that nobody has begun is handed out early', () =>
      beforeDue(createHarness, async (queue) => {
        const consumer = await consumerOf(queue);
        await queue.runs.enqueue([request('again')]);
        const error = { reason: 'Error', name: 'Error', message: 'it broke' } as const;
        await consumer.settle(await consumer.claim(), { kind: 'retry', delayMs: DELAY_MS, error });
        const claimed = await claimEarly(consumer);
        return () => assert.deepEqual(claimed, []);
      }));

    test('what comes back before it is due waits for that, whether it was released or its consumer left', () =>
      beforeDue(createHarness, async (queue) => {
        const consumer = await consumerOf(queue);
        await queue.runs.enqueue([soon('released'), soon('left')]);
        const dueBefore = (await queue.runs.get('released'))?.dueAtMs;
        const { claimed } = await consumer.cycle({ io: 1, early: 10 });
        const isReleased = ({ record }: { record: { id: string } }): boolean => record.id === 'released';
        await consumer.settle(claimed.filter(isReleased), { kind: 'released' });
        await queue.work.leave(consumer.incarnation);
        const [record, states] = [
          await queue.runs.get('released'),
          await statesOf(queue, ['released', 'left']),
        ];
        const next = await consumerOf(queue);
        const [early, ready] = [await next.cycle({ io: 1, early: 10 }), await next.claimIds()];
        return () => {
          assert.deepEqual(states, ['delayed', 'delayed']);
          assert.deepEqual([record?.dueAtMs, record?.attempt], [dueBefore, 0]);
          assert.deepEqual(early.claimed.map(({ record: { id, attempt } }) => [id, attempt]).toSorted(), [
            ['left', 1],
            ['released', 1],
          ]);
          assert.deepEqual(ready, []);
        };
      }));

    test('a run that was handed out early does not expire, and can be cancelled', async () => {
      await beforeDue(createHarness, async (queue) => {
        const consumer = await consumerOf(queue);
        await queue.runs.enqueue([soon('a', { expiresInMs: 1 })]);
        const { claimed } = await consumer.cycle({ io: 1, early: 10 });
        const answer = await queue.runs.cancel(['a'], 'because');
        const { cancellations } = await consumer.cycle();
        return () => {
          assert.deepEqual(
            claimed.map(({ record }) => record.id),
            ['a'],
          );
          assert.deepEqual([answer, cancellations], [['requested'], [{ id: 'a', reason: 'because' }]]);
        };
      });
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await until(harness, 'a run is handed out before it is due', async () => {
        await queue.runs.enqueue([soon('a', { expiresInMs: 1 })]);
        return (await claimEarly(consumer)).length === 1;
      });
      assert.equal((await queue.work.promote()).nextDueAtMs, undefined, 'nobody need look after it');
      await harness.passTime(DELAY_MS + 20);
      assert.equal((await queue.work.promote()).expired, 0);
      assert.deepEqual(await statesOf(queue, ['a']), ['running']);
    });

    test('an idle consumer hears of a run that is due soon, although another is due before it', () =>
      beforeDue(createHarness, async (queue, harness) => {
        const consumer = await consumerOf(queue, { tasks: ['job', { name: 'few', maxConcurrency: 1 }] });
        await queue.runs.enqueue([request('first', { task: 'few', delayMs: DELAY_MS - 30 })]);
        const { wakeCursor } = await consumer.cycle({ io: 1, early: 10 });
        const { incarnation } = consumer;
        const calledOff = new AbortController();
        const claim = { io: 1, cpu: 0, early: 10 };
        const waiting = queue.work.claimWhenWoken(
          wakeCursor,
          { incarnation, claim },
          30_000,
          calledOff.signal,
        );
        await harness.passTime(10);
        await queue.runs.enqueue([soon('second')]);
        const late = harness.passTime(60).then(() => undefined);
        const reply = await Promise.race([waiting, late]);
        calledOff.abort();
        await waiting;
        return () =>
          assert.deepEqual(
            reply?.claimed.map(({ record }) => record.id),
            ['second'],
          );
      }));
  });
}
