/** Contract: delay, expiry, and how long ended runs are kept. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { consumerOf, FAILURE, numbered, request, until, type CreateHarness } from './harness.ts';

export function describeTime(createHarness: CreateHarness): void {
  describe('delay and expiry', () => {
    test('a delayed run is promoted once, when it is due and not before', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const runAtMs = (await harness.broker.now()) + 300;
      await queue.runs.enqueue([request('by-delay', { delayMs: 200 }), request('by-instant', { runAtMs })]);
      const record = await queue.runs.get('by-instant');
      assert.equal(record?.state, 'delayed');
      assert.equal(record.dueAtMs, runAtMs);
      const early = await queue.work.promote();
      assert.equal(early.promoted, 0);
      assert.equal(early.nextDueAtMs, (await queue.runs.get('by-delay'))?.dueAtMs);
      assert.deepEqual(await consumer.claimIds(), []);
      await harness.passTime(310);
      assert.equal((await queue.work.promote()).promoted, 2);
      assert.equal((await queue.work.promote()).promoted, 0);
      assert.deepEqual([...(await consumer.drain())].sort(), ['by-delay', 'by-instant']);
    });

    test('an instant in the past means now', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('past', { runAtMs: 1 })]);
      assert.deepEqual(await consumer.claimIds(), ['past']);
    });

    test('many due runs are promoted in bounded chunks, all of them', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await queue.runs.enqueue(numbered('run', 2_500, { delayMs: 100 }));
      await harness.passTime(110);
      let promoted = 0;
      let calls = 0;
      for (let more = true; more; calls += 1) {
        const reply = await queue.work.promote();
        promoted += reply.promoted;
        more = reply.more;
      }
      assert.equal(promoted, 2_500);
      assert.ok(calls > 1, 'one call must not hold the broker for all of them');
    });

    test('a run that nobody claimed in time ends as expired, while pending and while delayed', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const startMs = await harness.broker.now();
      await queue.runs.enqueue([
        request('pending', { expiresInMs: 150 }),
        request('lasting', { expiresInMs: 60_000 }),
        request('delayed', { delayMs: 100, expiresInMs: 150 }),
      ]);
      const expiresAtMs = (await queue.runs.get('delayed'))?.expiresAtMs;
      assert.ok(expiresAtMs !== undefined && expiresAtMs >= startMs + 250);
      await harness.passTime(300);
      assert.equal((await queue.work.promote()).expired, 2);
      assert.equal((await queue.runs.get('pending'))?.state, 'expired');
      assert.equal((await queue.runs.get('delayed'))?.state, 'expired');
      assert.deepEqual(await consumer.claimIds(), ['lasting']);
    });

    test('an expired run is not handed out although nobody has promoted since', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('old', { expiresInMs: 50 }), request('new')]);
      await harness.passTime(60);
      assert.deepEqual(await consumer.claimIds(), ['new']);
      assert.equal((await queue.runs.get('old'))?.state, 'expired');
    });

    test('a run that was begun in time does not expire while it runs or waits for a retry', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a', { expiresInMs: 100 })]);
      const claimed = await consumer.claimOne();
      await harness.passTime(120);
      assert.equal((await queue.work.promote()).expired, 0);
      await consumer.settle([claimed], { kind: 'retry', delayMs: 10, error: FAILURE });
      await harness.passTime(20);
      await queue.work.promote();
      assert.equal((await consumer.claimOne()).record.attempt, 2);
    });

    test('a released run that never began an attempt expires like any other', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a', { expiresInMs: 100 })]);
      await consumer.settle([await consumer.claimOne()], { kind: 'released' });
      await harness.passTime(110);
      await queue.work.promote();
      assert.equal((await queue.runs.get('a'))?.state, 'expired');
    });
  });

  describe('retention', () => {
    test('an id is free again when its record is past its age, successes and failures apart', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const settings = { retainSucceededMs: 100, retainFailedMs: 60_000 };
      const consumer = await consumerOf(queue, { settings });
      await queue.runs.enqueue([request('good'), request('bad')]);
      const [good, bad] = await consumer.claim();
      await consumer.settle([good!]);
      await consumer.settle([bad!], { kind: 'failed', error: FAILURE });
      await harness.passTime(120);
      await until(harness, 'the success is dropped', async () => {
        await queue.work.promote();
        return (await queue.runs.get('good')) === undefined;
      });
      assert.equal((await queue.runs.get('bad'))?.state, 'failed');
      assert.deepEqual(await queue.runs.enqueue([request('good'), request('bad')]), [
        'enqueued',
        'duplicate',
      ]);
    });

    test('ended runs are dropped oldest first to keep the byte budget, and failures have one of their own', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const settings = { retainSucceededBytes: 50_000, retainFailedBytes: 1_000_000 };
      const consumer = await consumerOf(queue, { settings });
      await queue.runs.enqueue([request('bad')]);
      await consumer.settle(await consumer.claim(), { kind: 'failed', error: FAILURE });
      const result = JSON.stringify('x'.repeat(10_000));
      await queue.runs.enqueue(numbered('run', 20));
      assert.equal((await consumer.drain({ kind: 'succeeded', result })).length, 20);
      await until(harness, 'the queue is within its budget', async () => {
        await queue.work.promote();
        return (await queue.inspect.stats()).retainedBytes < 52_000;
      });
      const { retainedSucceeded, retainedFailed } = await queue.inspect.stats();
      assert.ok(retainedSucceeded >= 3 && retainedSucceeded <= 5, `kept ${retainedSucceeded}`);
      assert.equal(retainedFailed, 1);
      assert.equal((await queue.runs.get('run-19'))?.state, 'succeeded');
      assert.equal(await queue.runs.get('run-0'), undefined);
      assert.equal((await queue.runs.get('bad'))?.state, 'failed');
    });
  });
}
