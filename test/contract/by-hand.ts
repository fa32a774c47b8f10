/** Runs by hand in the contract: the mailbox, what is refused or too late, and what must never fire. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FireEntry, MAILBOX_CAP, type Queue } from '../../src/broker/broker.ts';
import { triggerRunId } from '../../src/task/ids.ts';
import type { CreateHarness } from './harness.ts';
import { adopt, decisionsOf, Schedule, trigger, tryFire, UID } from './schedule-steps.ts';

const requestsOf = async (queue: Queue, install = 'tests'): Promise<readonly string[]> =>
  (await queue.schedules.requested(install, 1_000)).map(({ uid, request }) => `${uid} ${request}`);

const byHand = (request: string, more: Partial<Extract<FireEntry, { kind: 'trigger' }>>): FireEntry => ({
  ...{ kind: 'trigger', request },
  ...more,
});

export function describeByHand(createHarness: CreateHarness): void {
  describe('runs by hand', () => {
    test('a request waits with its params until it is fired, and is not taken a second time', async () => {
      await using harness = await createHarness();
      const { queue, fire } = await adopted(harness);
      const beforeMs = await harness.broker.now();
      const awkward = 'a "quoted" \n request';
      assert.equal(await queue.schedules.request(UID, { request: 'one', params: '{"n":\n1}' }), 'requested');
      await harness.passTime(5);
      assert.equal(await queue.schedules.request(UID, { request: awkward }), 'requested');
      assert.equal(await queue.schedules.request(UID, { request: 'one' }), 'duplicate');
      const [first, second] = await queue.schedules.requested('tests', 10);
      assert.ok(first !== undefined && first.requestedAtMs >= beforeMs);
      assert.ok(second !== undefined && second.requestedAtMs > first.requestedAtMs);
      assert.deepEqual(
        { ...first, requestedAtMs: 0 },
        { uid: UID, request: 'one', params: '{"n":\n1}', requestedAtMs: 0 },
      );
      assert.deepEqual({ ...second, requestedAtMs: 0 }, { uid: UID, request: awkward, requestedAtMs: 0 });
      assert.deepEqual(await fire([trigger('one')]), ['fired Triggered']);
      assert.deepEqual(await requestsOf(queue), [`${UID} ${awkward}`]);
      assert.equal(await queue.schedules.request(UID, { request: 'one' }), 'duplicate');
      assert.deepEqual(await fire([trigger('one'), trigger(awkward)]), ['duplicate', 'fired Triggered']);
      assert.deepEqual(await requestsOf(queue), []);
    });

    test('a request that was decided by annotation leaves the mailbox as a duplicate', async () => {
      await using harness = await createHarness();
      const { queue, fire } = await adopted(harness);
      await queue.schedules.request(UID, { request: 'one' });
      await fire([byHand('one', { refusal: 'InvalidParams' })]);
      assert.deepEqual(await requestsOf(queue), []);
    });

    test('only schedules in force take requests, and each install reads its own', async () => {
      await using harness = await createHarness();
      const { queue } = await adopted(harness);
      await adopt(queue, { uid: 'uid-2', install: 'others' });
      await queue.schedules.request(UID, { request: 'one' });
      await queue.schedules.request('uid-2', { request: 'two' });
      assert.equal(await queue.schedules.request('nobody', { request: 'one' }), 'unknown');
      assert.deepEqual(await requestsOf(queue), [`${UID} one`]);
      assert.deepEqual(await requestsOf(queue, 'others'), ['uid-2 two']);
      assert.deepEqual(await queue.schedules.requested('tests', 0), []);
      await queue.schedules.withdraw(['uid-2']);
      assert.deepEqual(await requestsOf(queue, 'others'), []);
      assert.equal(await queue.schedules.request('uid-2', { request: 'three' }), 'unknown');
      assert.deepEqual(await requestsOf(queue), [`${UID} one`]);
      await adopt(queue, { generation: 2, install: 'others' });
      assert.deepEqual(await requestsOf(queue, 'others'), [`${UID} one`]);
    });

    test('a mailbox holds so many requests and no more', async () => {
      await using harness = await createHarness();
      const { queue, fire } = await adopted(harness);
      for (let index = 0; index < MAILBOX_CAP; index += 1)
        assert.equal(await queue.schedules.request(UID, { request: `r${index}` }), 'requested');
      assert.equal(await queue.schedules.request(UID, { request: 'more' }), 'full');
      assert.equal((await queue.schedules.requested('tests', 7)).length, 7);
      await fire([trigger('r50')]);
      assert.equal(await queue.schedules.request(UID, { request: 'more' }), 'requested');
      assert.equal((await requestsOf(queue)).length, MAILBOX_CAP);
    });

    test('what must not run is recorded with its reason and remembered; too late comes first', async () => {
      await using harness = await createHarness();
      const { queue, fire } = await adopted(harness);
      const nowMs = await harness.broker.now();
      assert.deepEqual(
        await fire([
          byHand('params', { refusal: 'InvalidParams' }),
          byHand('queue', { refusal: 'QueueNotAllowed', notAfterMs: nowMs + 60_000 }),
          byHand('spec', { refusal: 'InvalidSchedule' }),
          byHand('late', { refusal: 'InvalidParams', notAfterMs: nowMs - 1 }),
          byHand('in time', { notAfterMs: nowMs + 60_000 }),
        ]),
        [
          'skipped InvalidParams',
          'skipped QueueNotAllowed',
          'skipped InvalidSchedule',
          'skipped DeadlineExceeded',
          'fired Triggered',
        ],
      );
      const records = await queue.schedules.decisions(UID, { limit: 100 });
      assert.deepEqual(
        records.map(({ request, decision, reason, count }) => `${request} ${decision} ${reason} ${count}`),
        [
          'params skipped InvalidParams 1',
          'queue skipped QueueNotAllowed 1',
          'spec skipped InvalidSchedule 1',
          'late skipped DeadlineExceeded 1',
          'in time fired Triggered 1',
        ],
      );
      assert.deepEqual(await fire([trigger('params'), trigger('late')]), ['duplicate', 'duplicate']);
      assert.equal((await queue.inspect.stats()).pending, 1);
    });

    test('a refused run replaces nothing', async () => {
      await using harness = await createHarness();
      const { queue } = await adopted(harness);
      await tryFire(queue, [trigger('one')]);
      await tryFire(queue, [byHand('two', { refusal: 'InvalidParams' })], { concurrencyPolicy: 'Replace' });
      assert.equal((await queue.runs.get(triggerRunId(UID, 'one')))?.state, 'pending');
    });

    test('a request that its adopter takes for handled never fires, where the schedule was unknown', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await adopt(queue, { handledRequest: 'from "git"' });
      const reply = await tryFire(queue, [trigger('from "git"'), trigger('new')]);
      assert.ok(reply.outcome === 'ok');
      assert.deepEqual(decisionsOf(reply.decisions), ['duplicate', 'fired Triggered']);
      assert.equal(await queue.schedules.request(UID, { request: 'from "git"' }), 'duplicate');
      await adopt(queue, { generation: 2, handledRequest: 'later' });
      const later = await tryFire(queue, [trigger('later')], { generation: 2 });
      assert.ok(later.outcome === 'ok');
      assert.deepEqual(decisionsOf(later.decisions), ['fired Triggered'], 'a known schedule heeds it not');
    });
  });
}

async function adopted(harness: Awaited<ReturnType<CreateHarness>>) {
  const schedule = await Schedule.adopted(harness);
  return {
    queue: schedule.queue,
    fire: async (entries: readonly FireEntry[]) => decisionsOf(await schedule.fire(entries)),
  };
}
