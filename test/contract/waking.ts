/** Contract: idle consumers hear of work at once, none too many, and none too late. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CycleReply } from '../../src/broker/broker.ts';
import {
  consumerOf,
  numbered,
  recoverFrom,
  request,
  until,
  type CreateHarness,
  type Harness,
  type TestConsumer,
} from './harness.ts';

/** Longer than any test may take: who wakes earlier was woken. */
const MAX_WAIT_MS = 30_000;

/** Consumers that found nothing and wait; stops waiting at the end of the test. */
class Waiters implements Disposable {
  readonly #controller = new AbortController();
  woken = 0;

  async add(consumer: TestConsumer): Promise<void> {
    const { wakeCursor, moreReady } = await consumer.cycle({ io: 1 });
    assert.equal(moreReady, false);
    this.addAt(consumer, wakeCursor);
  }

  addAt(consumer: TestConsumer, cursor: string): void {
    void consumer.queue.work.waitForWork(cursor, MAX_WAIT_MS, this.#controller.signal).then(() => {
      if (!this.#controller.signal.aborted) this.woken += 1;
    });
  }

  wakes(harness: Harness, count: number): Promise<unknown> {
    return until(harness, `${count} consumers are woken`, async () => this.woken >= count, 10);
  }

  [Symbol.dispose](): void {
    this.#controller.abort();
  }
}

/** A claim that waits for what comes, and the means to call it off. */
function waitingClaim(
  { incarnation, queue }: TestConsumer,
  { wakeCursor }: CycleReply,
  maxWaitMs = MAX_WAIT_MS,
): { readonly reply: Promise<CycleReply | undefined>; readonly callOff: () => void } {
  const controller = new AbortController();
  const request = { incarnation, claim: { io: 2, cpu: 0 } };
  const reply = queue.work.claimWhenWoken(wakeCursor, request, maxWaitMs, controller.signal);
  return { reply, callOff: () => controller.abort() };
}

export function describeWaking(createHarness: CreateHarness): void {
  describe('waking', () => {
    test('an idle consumer hears of a new run', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      using waiters = new Waiters();
      await waiters.add(await consumerOf(queue));
      await harness.passTime(30);
      assert.equal(waiters.woken, 0);
      await queue.runs.enqueue([request('a')]);
      await waiters.wakes(harness, 1);
    });

    test('a run that came between the empty claim and the wait is not slept over', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const { wakeCursor } = await consumer.cycle({ io: 1 });
      await queue.runs.enqueue([request('a')]);
      using waiters = new Waiters();
      waiters.addAt(consumer, wakeCursor);
      await waiters.wakes(harness, 1);
    });

    test('one run does not wake the herd', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      using waiters = new Waiters();
      for (let index = 0; index < 20; index += 1) await waiters.add(await consumerOf(queue));
      await harness.passTime(30);
      await queue.runs.enqueue([request('a')]);
      await waiters.wakes(harness, 1);
      await harness.passTime(150);
      assert.ok(waiters.woken <= 2, `${waiters.woken} of 20 woke for one run`);
    });

    test('as many wake as there is work for', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      using waiters = new Waiters();
      for (let index = 0; index < 6; index += 1) await waiters.add(await consumerOf(queue));
      await harness.passTime(30);
      await queue.runs.enqueue(numbered('run', 6));
      await waiters.wakes(harness, 6);
    });

    test('a consumer that cannot run the task does not eat the wake-up of one that can', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      using bystanders = new Waiters();
      using waiters = new Waiters();
      for (let index = 0; index < 3; index += 1)
        await bystanders.add(await consumerOf(queue, { tasks: ['other'] }));
      await waiters.add(await consumerOf(queue, { tasks: ['job'] }));
      await harness.passTime(30);
      await queue.runs.enqueue([request('a')]);
      await waiters.wakes(harness, 1);
    });

    test('an earlier due time wakes someone to look again', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await queue.runs.enqueue([request('far', { delayMs: 100_000 })]);
      using waiters = new Waiters();
      await waiters.add(await consumerOf(queue));
      await harness.passTime(30);
      await queue.runs.enqueue([request('near', { delayMs: 1_000 })]);
      await waiters.wakes(harness, 1);
    });

    test('a settle that makes room under a limit wakes someone', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const sketch = { tasks: [{ name: 'job', maxConcurrency: 1 }] };
      const [busy, idle] = [await consumerOf(queue, sketch), await consumerOf(queue, sketch)];
      await queue.runs.enqueue(numbered('run', 2));
      const held = await busy.claimOne();
      using waiters = new Waiters();
      await waiters.add(idle);
      await harness.passTime(30);
      assert.equal(waiters.woken, 0);
      await busy.settle([held]);
      await waiters.wakes(harness, 1);
    });

    test('resuming a task, and a queue, wakes someone', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.inspect.setTaskPaused('job', true);
      await queue.runs.enqueue(numbered('run', 2));
      using waiters = new Waiters();
      await waiters.add(consumer);
      await harness.passTime(30);
      await queue.inspect.setTaskPaused('job', false);
      await waiters.wakes(harness, 1);
      await queue.inspect.setQueuePaused(true);
      await waiters.add(consumer);
      await harness.passTime(30);
      await queue.inspect.setQueuePaused(false);
      await waiters.wakes(harness, 2);
    });

    test('a claim that waits is answered with the runs that come, as many as were asked for', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const claiming = waitingClaim(consumer, await consumer.cycle({ io: 2 }));
      await harness.passTime(30);
      await queue.runs.enqueue(numbered('run', 3));
      const reply = await claiming.reply;
      assert.ok(reply);
      assert.deepEqual(
        reply.claimed.map(({ record }) => record.id),
        ['run-0', 'run-1'],
      );
      assert.equal(reply.moreReady, true);
      assert.deepEqual(await consumer.settle(reply.claimed), ['settled', 'settled']);
    });

    test('a claim that waited in vain is answered, and its consumer is woken as before', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const idle = await consumer.cycle({ io: 1 });
      const first = waitingClaim(consumer, idle, 100);
      await harness.passTime(150);
      const empty = await first.reply;
      assert.ok(empty);
      assert.deepEqual([empty.claimed, empty.lease], [[], 'held']);
      const second = waitingClaim(consumer, empty);
      await harness.passTime(30);
      await queue.runs.enqueue([request('a')]);
      assert.equal((await second.reply)?.claimed.length, 1);
    });

    test('a claim that is called off takes nothing, and the next one is not called off with it', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const claiming = waitingClaim(consumer, await consumer.cycle({ io: 1 }));
      await harness.passTime(30);
      claiming.callOff();
      assert.equal(await claiming.reply, undefined);
      const next = waitingClaim(consumer, await consumer.cycle({ io: 1 }));
      await harness.passTime(30);
      await queue.runs.enqueue([request('a')]);
      assert.equal((await next.reply)?.claimed.length, 1);
      const atOnce = waitingClaim(consumer, await consumer.cycle({ io: 1 }));
      atOnce.callOff();
      assert.equal(await atOnce.reply, undefined);
    });

    test('a claim that waited is no sign of life: it renews no lease; and one that was called off counts as no run', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const idle = await consumer.cycle({ io: 1 });
      const facts = async () => (await queue.inspect.consumers())[0];
      const before = await facts();
      const first = waitingClaim(consumer, idle, 100);
      await harness.passTime(150);
      assert.ok(await first.reply);
      const second = waitingClaim(consumer, idle);
      await harness.passTime(30);
      second.callOff();
      assert.equal(await second.reply, undefined);
      assert.deepEqual(await facts(), before);
    });

    test('a claim that waits for an incarnation that was ended is given up with it', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const claiming = waitingClaim(consumer, await consumer.cycle({ io: 1 }));
      await harness.passTime(30);
      await recoverFrom(harness, consumer);
      claiming.callOff();
      assert.equal(await claiming.reply, undefined);
      await queue.runs.enqueue([request('a')]);
      assert.deepEqual(await (await consumerOf(queue)).claimIds(), ['a']);
    });

    test('a wait ends at its longest time and at an abort, and never rejects', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      const { wakeCursor } = await consumer.cycle({ io: 1 });
      const controller = new AbortController();
      let ended = false;
      void queue.work.waitForWork(wakeCursor, 200, controller.signal).then(() => (ended = true));
      await until(harness, 'the wait ends by itself', async () => ended, 20);
      const aborted = queue.work.waitForWork(
        (await consumer.cycle({ io: 1 })).wakeCursor,
        MAX_WAIT_MS,
        controller.signal,
      );
      controller.abort();
      await aborted;
    });
  });
}
