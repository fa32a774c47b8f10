/** Contract: what producers are promised. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { consumerOf, FAILURE, numbered, request, until, type CreateHarness } from './harness.ts';

export function describeEnqueueing(createHarness: CreateHarness): void {
  describe('enqueueing', () => {
    test('a run is kept as it was given, byte for byte', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const params = '{ "text": "line\\none", "big": 12345678901234567, "list": [], "ключ": "\u2028" }';
      const options = {
        source: 'api',
        timeoutMs: 5,
        retry: { attempts: 3, backoffMs: 10, maxBackoffMs: 20 },
        parentId: 'p',
        rootId: 'r',
      } as const;
      const startMs = await harness.broker.now();
      await queue.runs.enqueue([request('exact', { params, options, priority: 'high' })]);
      const record = await queue.runs.get('exact');
      assert.ok(record);
      const { enqueuedAtMs, ...rest } = record;
      const identity = { id: 'exact', queue: 'work', task: 'job', priority: 'high', params, options };
      assert.deepEqual(rest, { ...identity, state: 'pending', attempt: 0, deaths: 0 });
      assert.ok(enqueuedAtMs >= startMs && enqueuedAtMs <= (await harness.broker.now()));
    });

    test('an id that is pending, running or retained answers duplicate', async () => {
      await using harness = await createHarness();
      const { runs } = harness.broker.queue('work');
      const consumer = await consumerOf(harness.broker.queue('work'));
      assert.deepEqual(await runs.enqueue([request('once'), request('once')]), ['enqueued', 'duplicate']);
      const claimed = await consumer.claimOne();
      assert.deepEqual(await runs.enqueue([request('once')]), ['duplicate']);
      await consumer.settle([claimed]);
      assert.deepEqual(await runs.enqueue([request('once', { task: 'other' })]), ['duplicate']);
      assert.equal((await runs.get('once'))?.state, 'succeeded');
    });

    test('a batch resent because its answer was lost makes no second runs', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const batch = numbered('run', 20);
      await queue.runs.enqueue(batch);
      await queue.runs.enqueue(batch);
      const consumer = await consumerOf(queue);
      assert.deepEqual(
        await consumer.drain(),
        batch.map(({ id }) => id),
      );
    });

    test('a full queue refuses loudly, in the order of the batch, and takes runs again once there is room', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { settings: { maxPending: 3 } });
      assert.deepEqual(await queue.runs.enqueue([request('a'), request('b', { delayMs: 60_000 })]), [
        'enqueued',
        'enqueued',
      ]);
      const answers = await queue.runs.enqueue([request('c'), request('a'), request('d'), request('e')]);
      assert.deepEqual(answers, ['enqueued', 'duplicate', 'full', 'full']);
      assert.equal(await queue.runs.get('d'), undefined);
      await consumer.claimOne();
      assert.deepEqual(await queue.runs.enqueue([request('d'), request('e')]), ['enqueued', 'full']);
    });

    test('what comes back is not refused by a full queue', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { settings: { maxPending: 1 } });
      await queue.runs.enqueue([request('a')]);
      const claimed = await consumer.claimOne();
      await queue.runs.enqueue([request('b')]);
      assert.deepEqual(await consumer.settle([claimed], { kind: 'released' }), ['settled']);
      assert.deepEqual(await queue.runs.enqueue([request('c')]), ['full']);
      assert.deepEqual(await consumer.drain(), ['a', 'b']);
    });

    test('queues of one install do not see each other', async () => {
      await using harness = await createHarness();
      await harness.broker.queue('work').runs.enqueue([request('here')]);
      await harness.broker.queue('play').runs.enqueue([request('here')]);
      const consumer = await consumerOf(harness.broker.queue('play'));
      assert.deepEqual(await consumer.drain(), ['here']);
      assert.equal((await harness.broker.queue('work').runs.get('here'))?.state, 'pending');
      assert.deepEqual([...(await harness.broker.queueNames())].sort(), ['play', 'work']);
    });

    test('nothing known is not found, by any call', async () => {
      await using harness = await createHarness();
      const { runs } = harness.broker.queue('work');
      assert.equal(await runs.get('nobody'), undefined);
      assert.deepEqual(await runs.cancel(['nobody'], 'because'), ['not-found']);
      assert.deepEqual(await runs.redrive(['nobody']), ['not-found']);
      assert.equal(await runs.waitForEnd('nobody', { timeoutMs: 1_000 }), 'not-found');
    });
  });

  describe('cancelling', () => {
    test('a pending and a delayed run end at once, with the reason, and are never handed out', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('now'), request('later', { delayMs: 50 }), request('stays')]);
      assert.deepEqual(await queue.runs.cancel(['now', 'later'], 'no "need"'), ['cancelled', 'cancelled']);
      for (const id of ['now', 'later']) {
        const record = await queue.runs.get(id);
        assert.equal(record?.state, 'cancelled');
        assert.equal(record.cancelReason, 'no "need"');
        assert.ok(record.endedAtMs !== undefined);
      }
      await harness.passTime(60);
      await queue.work.promote();
      assert.deepEqual(await consumer.drain(), ['stays']);
      assert.deepEqual(await queue.runs.cancel(['now', 'stays'], 'again'), ['ended', 'ended']);
    });

    test('a running run is named to its consumer, by claim and by heartbeat, until it is settled', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [holder, other] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue([request('long')]);
      const claimed = await holder.claimOne();
      assert.deepEqual(await queue.runs.cancel(['long'], 'stop it'), ['requested']);
      const expected = [{ id: 'long', reason: 'stop it' }];
      assert.deepEqual((await holder.cycle()).cancellations, expected);
      assert.deepEqual((await queue.work.renew(holder.incarnation)).cancellations, expected);
      assert.deepEqual((await other.cycle()).cancellations, []);
      assert.deepEqual(await holder.settle([claimed], { kind: 'cancelled', reason: 'stop it' }), ['settled']);
      assert.deepEqual((await holder.cycle()).cancellations, []);
      assert.equal((await queue.runs.get('long'))?.state, 'cancelled');
    });

    test('a run whose cancellation was asked for is not retried nor given back, but may still succeed', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('retried'), request('released'), request('done')]);
      const [retried, released, done] = await consumer.claim();
      await queue.runs.cancel(['retried', 'released', 'done'], 'enough');
      await consumer.settle([retried!], { kind: 'retry', delayMs: 0, error: FAILURE });
      await consumer.settle([released!], { kind: 'released' });
      await consumer.settle([done!]);
      const states = await Promise.all(
        ['retried', 'released', 'done'].map(async (id) => (await queue.runs.get(id))?.state),
      );
      assert.deepEqual(states, ['cancelled', 'cancelled', 'succeeded']);
      assert.equal((await queue.runs.get('retried'))?.cancelReason, 'enough');
      assert.deepEqual(await consumer.claimIds(), []);
    });
  });

  describe('redriving', () => {
    test('a run that failed and was redriven again and again is counted among the failed once, or not at all', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const failures = async (): Promise<number> => (await queue.inspect.stats()).retainedFailed;
      const claimAndFail = async (): Promise<void> => {
        await consumer.settle([await consumer.claimOne()], { kind: 'failed', error: FAILURE });
      };
      await queue.runs.enqueue([request('again'), request('other')]);
      await claimAndFail();
      await claimAndFail();
      for (let time = 0; time < 3; time += 1) {
        await queue.runs.redrive(['again']);
        assert.equal(await failures(), 1);
        await claimAndFail();
        assert.equal(await failures(), 2);
      }
    });

    test('failures that leave by the byte budget leave the count right, redriven ones among them', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { settings: { retainFailedBytes: 2_000 } });
      const claimAndFail = async (): Promise<void> => {
        await consumer.settle([await consumer.claimOne()], { kind: 'failed', error: FAILURE });
      };
      for (const { id } of numbered('run', 40)) {
        await queue.runs.enqueue([request(id)]);
        await claimAndFail();
        assert.deepEqual(await queue.runs.redrive([id]), ['redriven']);
        await claimAndFail();
      }
      const { runs } = await queue.inspect.runs({ states: ['failed'], limit: 100 });
      assert.ok(runs.length > 1 && runs.length < 40, `${runs.length} are kept`);
      assert.equal((await queue.inspect.stats()).retainedFailed, runs.length);
    });

    test('a dead letter runs again as if new; anything else is refused', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('bad'), request('good')]);
      const [bad, good] = await consumer.claim();
      await consumer.settle([bad!], { kind: 'failed', error: FAILURE });
      await consumer.settle([good!]);
      assert.deepEqual(await queue.runs.redrive(['bad', 'good']), ['redriven', 'not-failed']);
      assert.deepEqual(await queue.runs.redrive(['bad']), ['not-failed']);
      const record = await queue.runs.get('bad');
      assert.equal(record?.state, 'pending');
      assert.equal(record.attempt, 0);
      const again = await consumer.claimOne();
      assert.equal(again.record.id, 'bad');
      assert.equal(again.record.attempt, 1);
      assert.equal(again.suspect, false);
      await consumer.settle([again], { kind: 'failed', error: FAILURE });
      assert.equal((await queue.inspect.stats()).retainedFailed, 1);
    });
  });

  describe('waiting for the end', () => {
    test('the record is given as the run ended, to one who waited and to one who came late', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('awaited')]);
      const waiting = queue.runs.waitForEnd('awaited', { timeoutMs: 10_000 });
      let answered = false;
      void waiting.then(() => (answered = true));
      const claimed = await consumer.claimOne();
      await consumer.settle([claimed], { kind: 'succeeded', result: '{"sum":3}' });
      await until(harness, 'the waiter is told', async () => answered, 10);
      const record = await waiting;
      assert.ok(record !== undefined && record !== 'not-found');
      assert.equal(record.state, 'succeeded');
      assert.equal(record.result, '{"sum":3}');
      assert.deepEqual(await queue.runs.waitForEnd('awaited', { timeoutMs: 10_000 }), record);
    });

    test('a wait ends empty-handed at its time-out and at an abort', async () => {
      await using harness = await createHarness();
      const { runs } = harness.broker.queue('work');
      await runs.enqueue([request('slow')]);
      const [timedOut] = await Promise.all([
        runs.waitForEnd('slow', { timeoutMs: 100 }),
        harness.passTime(150),
      ]);
      assert.equal(timedOut, undefined);
      const controller = new AbortController();
      const waiting = runs.waitForEnd('slow', { timeoutMs: 60_000, signal: controller.signal });
      controller.abort();
      assert.equal(await waiting, undefined);
    });
  });
}
