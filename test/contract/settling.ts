/** Contract: how attempts end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { consumerOf, FAILURE, numbered, request, type CreateHarness } from './harness.ts';

export function describeSettling(createHarness: CreateHarness): void {
  describe('settling', () => {
    test('each outcome leaves the record that it promises', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('ok'), request('bad'), request('stopped')]);
      const [ok, bad, stopped] = await consumer.claim();
      const { settled } = await queue.work.cycle({
        incarnation: consumer.incarnation,
        settle: [
          { id: 'ok', token: ok!.token, outcome: { kind: 'succeeded', result: '[1, "\\n"]' } },
          {
            id: 'bad',
            token: bad!.token,
            outcome: { kind: 'failed', error: { ...FAILURE, stack: 'at line 1\nat line 2' } },
          },
          { id: 'stopped', token: stopped!.token, outcome: { kind: 'cancelled', reason: 'abort()' } },
        ],
      });
      assert.deepEqual(settled, ['settled', 'settled', 'settled']);
      const [one, two, three] = await Promise.all(['ok', 'bad', 'stopped'].map((id) => queue.runs.get(id)));
      assert.equal(one?.state, 'succeeded');
      assert.equal(one.result, '[1, "\\n"]');
      assert.equal(two?.state, 'failed');
      assert.deepEqual(two.error, { ...FAILURE, stack: 'at line 1\nat line 2' });
      assert.equal(three?.state, 'cancelled');
      assert.equal(three.cancelReason, 'abort()');
      for (const record of [one, two, three]) {
        assert.ok(
          record.startedAtMs !== undefined &&
            record.endedAtMs !== undefined &&
            record.endedAtMs >= record.startedAtMs,
        );
        assert.equal(record.attempt, 1);
        assert.equal(record.incarnation, consumer.incarnation);
      }
    });

    test('settles and a claim go in one call', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue, { tasks: [{ name: 'job', maxConcurrency: 1 }] });
      await queue.runs.enqueue([request('a'), request('b')]);
      const { record, token } = await consumer.claimOne();
      const reply = await queue.work.cycle({
        incarnation: consumer.incarnation,
        settle: [{ id: record.id, token, outcome: { kind: 'succeeded' } }],
        claim: { io: 5, cpu: 0 },
      });
      assert.deepEqual(reply.settled, ['settled']);
      assert.deepEqual(
        reply.claimed.map((claimed) => claimed.record.id),
        ['b'],
      );
    });

    test('a settle resent because its answer was lost is unknown and changes nothing', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      const claimed = await consumer.claim();
      assert.deepEqual(await consumer.settle(claimed, { kind: 'succeeded', result: '1' }), ['settled']);
      const before = await queue.runs.get('a');
      assert.deepEqual(await consumer.settle(claimed, { kind: 'failed', error: FAILURE }), ['unknown']);
      assert.deepEqual(await queue.runs.get('a'), before);
    });

    test('only the holder settles, and only the hand-out that it holds', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [holder, stranger] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue([request('a')]);
      const first = await holder.claimOne();
      assert.deepEqual(await stranger.settle([first]), ['unknown']);
      await holder.settle([first], { kind: 'released' });
      const second = await holder.claimOne();
      assert.notEqual(second.token, first.token);
      assert.deepEqual(await holder.settle([first]), ['unknown']);
      assert.deepEqual(await holder.settle([second]), ['settled']);
    });

    test('the answers of a batch are each for its own settlement', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a'), request('b')]);
      const [a, b] = await consumer.claim();
      const { settled } = await queue.work.cycle({
        incarnation: consumer.incarnation,
        settle: [
          { id: 'a', token: a!.token, outcome: { kind: 'succeeded' } },
          { id: 'nobody', token: '7', outcome: { kind: 'succeeded' } },
          { id: 'a', token: a!.token, outcome: { kind: 'succeeded' } },
          { id: 'b', token: b!.token, outcome: { kind: 'retry', delayMs: 5, error: FAILURE } },
        ],
      });
      assert.deepEqual(settled, ['settled', 'unknown', 'unknown', 'settled']);
    });

    test('a retry waits for its time and is the next attempt', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      const reply = await queue.work.cycle({
        incarnation: consumer.incarnation,
        settle: [
          {
            id: 'a',
            token: (await consumer.claimOne()).token,
            outcome: { kind: 'retry', delayMs: 150, error: FAILURE },
          },
        ],
        claim: { io: 5, cpu: 0 },
      });
      assert.deepEqual(reply.claimed, []);
      const waiting = await queue.runs.get('a');
      assert.equal(waiting?.state, 'delayed');
      assert.equal(waiting.attempt, 1);
      assert.deepEqual(waiting.error, FAILURE);
      assert.equal(reply.nextDueAtMs, waiting.dueAtMs);
      assert.equal((await queue.work.promote()).promoted, 0);
      await harness.passTime(160);
      assert.equal((await queue.work.promote()).promoted, 1);
      const again = await consumer.claimOne();
      assert.equal(again.record.attempt, 2);
      await consumer.settle([again]);
      const record = await queue.runs.get('a');
      assert.equal(record?.state, 'succeeded');
      assert.equal(record.error, undefined);
    });

    test('a released run goes back to the front of its lane with no attempt used', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a'), request('b')]);
      const first = await consumer.claimOne();
      assert.deepEqual(await consumer.settle([first], { kind: 'released' }), ['settled']);
      const back = await queue.runs.get('a');
      assert.equal(back?.state, 'pending');
      assert.equal(back.attempt, 0);
      const again = await consumer.claimOne();
      assert.equal(again.record.id, 'a');
      assert.equal(again.record.attempt, 1);
      assert.equal(again.suspect, false);
      assert.deepEqual(await consumer.settle([again], { kind: 'released', delayMs: 100 }), ['settled']);
      assert.deepEqual(await consumer.claimIds(), ['b']);
      await harness.passTime(110);
      await queue.work.promote();
      assert.equal((await consumer.claimOne()).record.attempt, 1);
    });

    test('several runs released together stand at the front in the order of their release', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue(numbered('run', 6));
      const held = await consumer.claim(4);
      await consumer.settle([...held.slice(1), ...held.slice(0, 1)], { kind: 'released' });
      assert.deepEqual(
        await consumer.claimIds(),
        [1, 2, 3, 0, 4, 5].map((number) => `run-${number}`),
      );
    });

    test('params that do not parse go back while another schema of the task is live', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const old = await consumerOf(queue, { tasks: [{ name: 'job', schemaHash: 'v1' }], builtAtMs: 1_000 });
      const next = await consumerOf(queue, { tasks: [{ name: 'job', schemaHash: 'v2' }], builtAtMs: 2_000 });
      await queue.runs.enqueue([request('a')]);
      const error = { ...FAILURE, reason: 'InvalidParams' } as const;
      assert.deepEqual(await old.settle([await old.claimOne()], { kind: 'rejected', error }), ['returned']);
      const back = await queue.runs.get('a');
      assert.ok(back?.state === 'pending' || back?.state === 'delayed');
      assert.equal(back.attempt, 0);
      await harness.passTime(1_100);
      await queue.work.promote();
      const again = await next.claimOne();
      assert.equal(again.record.attempt, 1);
      await queue.work.leave(old.incarnation);
      assert.deepEqual(await next.settle([again], { kind: 'rejected', error }), ['settled']);
      const failed = await queue.runs.get('a');
      assert.equal(failed?.state, 'failed');
      assert.deepEqual(failed.error, error);
    });

    test('params that do not parse fail when every live consumer has the same schema', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [one] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue([request('a')]);
      const error = { ...FAILURE, reason: 'InvalidParams' } as const;
      assert.deepEqual(await one.settle([await one.claimOne()], { kind: 'rejected', error }), ['settled']);
      assert.equal((await queue.runs.get('a'))?.state, 'failed');
    });
  });
}
