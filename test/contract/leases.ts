/** Contract: a consumer that dies gives its runs back, one that lives loses none, and what killed processes is found out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  consumerOf,
  FAILURE,
  LEASE_MS,
  numbered,
  recoverFrom,
  request,
  until,
  type ConsumerSketch,
  type CreateHarness,
  type Harness,
} from './harness.ts';

export function describeLeases(createHarness: CreateHarness): void {
  describe('leases', () => {
    test('the runs of a silent consumer come back as suspects, and its late settle is refused', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const dead = await consumerOf(queue);
      const alive = await consumerOf(queue);
      await queue.runs.enqueue(numbered('run', 3));
      const taken = await dead.claim();
      const recovered = await recoverFrom(harness, dead, [alive]);
      assert.deepEqual(recovered, { returned: 3, deadLettered: [] });
      assert.deepEqual(await dead.settle(taken), ['unknown', 'unknown', 'unknown']);
      assert.equal((await dead.cycle({ io: 5 })).lease, 'gone');
      assert.deepEqual(await queue.work.renew(dead.incarnation), { lease: 'gone', cancellations: [] });
      assert.deepEqual(await queue.work.held(dead.incarnation), { lease: 'gone', runs: [] });
      const again = await alive.claimOne();
      assert.equal(again.suspect, true);
      assert.equal(again.record.attempt, 2);
      assert.equal(again.record.deaths, 0);
    });

    test('a frozen consumer that thaws after recovery cannot settle what another runs now', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const frozen = await consumerOf(queue);
      const alive = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      const stale = await frozen.claimOne();
      await recoverFrom(harness, frozen, [alive]);
      const current = await alive.claimOne();
      assert.deepEqual(await frozen.settle([stale], { kind: 'failed', error: FAILURE }), ['unknown']);
      assert.deepEqual(await alive.settle([current], { kind: 'succeeded', result: '1' }), ['settled']);
      assert.equal((await queue.runs.get('a'))?.result, '1');
    });

    test('expired is not dead: one that renews before a recovery pass goes on', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const late = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      const held = await late.claimOne();
      await harness.passTime(LEASE_MS * 1.5);
      assert.equal((await queue.work.renew(late.incarnation)).lease, 'held');
      assert.deepEqual((await queue.work.recover()).ended, []);
      assert.deepEqual(await late.settle([held]), ['settled']);
    });

    test('every claim renews the lease', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [busy, dead] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue(numbered('run', 1));
      await dead.claimOne();
      await until(harness, 'the silent one is ended', async () => {
        assert.equal((await busy.cycle()).lease, 'held');
        return (await queue.work.recover()).ended.includes(dead.incarnation);
      });
      assert.equal((await busy.cycle()).lease, 'held');
    });

    test('a broker that was away longer than the lease judges nobody', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      const held = await consumer.claimOne();
      await queue.work.recover();
      await harness.passTime(LEASE_MS * 2);
      const first = await queue.work.recover();
      assert.equal(first.amnesty, true);
      assert.deepEqual(first.ended, []);
      assert.deepEqual((await queue.work.recover()).ended, []);
      assert.deepEqual(await consumer.settle([held]), ['settled']);
    });

    test('one who stays silent after an amnesty is ended all the same', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const dead = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      await dead.claimOne();
      await queue.work.recover();
      await harness.passTime(LEASE_MS * 2);
      assert.equal((await queue.work.recover()).amnesty, true);
      assert.equal((await recoverFrom(harness, dead)).returned, 1);
    });

    test('passes that come late, from a blocked event loop whose heartbeat goes on, end the dead all the same', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [blocked, dead] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue([request('a')]);
      await dead.claimOne();
      const ended: string[] = [];
      for (let pass = 0; pass < 3; pass += 1) {
        ended.push(...(await queue.work.recover()).ended);
        for (let beat = 0; beat < 8; beat += 1) {
          await harness.passTime(LEASE_MS / 8);
          await blocked.queue.work.renew(blocked.incarnation);
        }
      }
      assert.deepEqual(ended, [dead.incarnation]);
    });

    test('a dead consumer with a shorter lease than all that live, the last to register, is ended', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const alive = await consumerOf(queue, { leaseMs: 4 * LEASE_MS });
      const dead = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      await dead.claimOne();
      const ended: string[] = [];
      for (let pass = 0; pass < 4; pass += 1) {
        await alive.queue.work.renew(alive.incarnation);
        ended.push(...(await queue.work.recover()).ended);
        await harness.passTime(LEASE_MS);
      }
      assert.deepEqual(ended, [dead.incarnation]);
    });

    test('many runs come back in bounded passes, all of them', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const dead = await consumerOf(queue);
      await queue.runs.enqueue(numbered('run', 2_500));
      for (let claim = 0; claim < 5; claim += 1) assert.equal((await dead.claim(500)).length, 500);
      assert.equal((await recoverFrom(harness, dead)).returned, 2_500);
      const stats = await queue.inspect.stats();
      assert.equal(stats.pending, 2_500);
      assert.equal(stats.running, 0);
    });

    test('recovery gives the limit back that dead consumers held', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const sketch: ConsumerSketch = { tasks: [{ name: 'job', maxConcurrency: 1 }] };
      const [dead, alive] = [await consumerOf(queue, sketch), await consumerOf(queue, sketch)];
      await queue.runs.enqueue([request('a'), request('b')]);
      await dead.claimOne();
      assert.deepEqual(await alive.claimIds(), []);
      await recoverFrom(harness, dead, [alive]);
      const first = await alive.claimOne();
      assert.deepEqual(await alive.claimIds(), []);
      await alive.settle([first]);
      const second = await alive.claimOne();
      assert.deepEqual([first.record.id, second.record.id].sort(), ['a', 'b']);
    });

    test('runs whose claim reply was lost are found by held, and go back with no attempt used', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const consumer = await consumerOf(queue);
      await queue.runs.enqueue(numbered('run', 3));
      const known = await consumer.claimOne();
      await consumer.claim(2); // its reply is lost
      const { lease, runs } = await queue.work.held(consumer.incarnation);
      assert.equal(lease, 'held');
      assert.equal(runs.length, 3);
      const lost = runs.filter(({ id }) => id !== known.record.id);
      const settle = lost.map(({ id, token }) => ({ id, token, outcome: { kind: 'released' } as const }));
      const reply = await queue.work.cycle({ incarnation: consumer.incarnation, settle });
      assert.deepEqual(reply.settled, ['settled', 'settled']);
      const again = await consumer.claim();
      assert.deepEqual(again.map(({ record }) => record.id).sort(), ['run-1', 'run-2']);
      assert.deepEqual(
        again.map(({ record }) => record.attempt),
        [1, 1],
      );
      assert.deepEqual(await consumer.settle([known]), ['settled']);
    });

    test('a consumer that leaves gives back what it holds, with no attempt used and no suspicion', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [leaver, other] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue(numbered('run', 3));
      const taken = await leaver.claim();
      await queue.work.leave(leaver.incarnation);
      assert.deepEqual(await leaver.settle(taken), ['unknown', 'unknown', 'unknown']);
      const again = await until(harness, 'the runs are back', async () => {
        await queue.work.recover();
        const claimed = await other.claim();
        return claimed.length === 3 && claimed;
      });
      assert.deepEqual(again.map(({ record }) => record.id).sort(), ['run-0', 'run-1', 'run-2']);
      for (const { record, suspect } of again) {
        assert.equal(record.attempt, 1);
        assert.equal(suspect, false);
      }
      assert.deepEqual(
        (await queue.inspect.consumers()).map(({ incarnation }) => incarnation),
        [other.incarnation],
      );
    });

    test('a consumer that never registered, or registers again, is told where it stands', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await queue.runs.enqueue([request('a')]);
      const consumer = await consumerOf(queue);
      const held = await consumer.claimOne();
      await consumer.register();
      assert.deepEqual(await consumer.settle([held]), ['settled']);
      const stranger = await queue.work.cycle({
        ...{ incarnation: 'ffffffffffffffffffffffff', claim: { io: 1, cpu: 1 } },
        settle: [{ id: 'a', token: held.token, outcome: { kind: 'succeeded' } }],
      });
      assert.equal(stranger.lease, 'gone');
      assert.deepEqual(stranger.settled, ['unknown']);
    });

    test('a cancelled run of a dead consumer ends instead of coming back', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const dead = await consumerOf(queue);
      await queue.runs.enqueue([request('a')]);
      await dead.claimOne();
      await queue.runs.cancel(['a'], 'not needed');
      await recoverFrom(harness, dead);
      const record = await queue.runs.get('a');
      assert.equal(record?.state, 'cancelled');
      assert.equal(record.cancelReason, 'not needed');
    });
  });

  describe('poison', () => {
    test('a consumer holds at most one suspect beside its other runs', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [dead, alive] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue(numbered('run', 3));
      await dead.claim();
      await recoverFrom(harness, dead, [alive]);
      await queue.runs.enqueue([request('fresh')]);
      const claimed = await alive.claim();
      assert.equal(claimed.filter(({ suspect }) => suspect).length, 1);
      assert.ok(claimed.some(({ record }) => record.id === 'fresh'));
      assert.deepEqual(await alive.claimIds(), []);
      await alive.settle(claimed);
      assert.deepEqual(
        (await alive.claim()).map(({ suspect }) => suspect),
        [true],
      );
    });

    test('a suspect that was put off is one when its time has come, beside runs that are none', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [dead, alive] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue([request('doubtful')]);
      await dead.claim();
      await recoverFrom(harness, dead, [alive]);
      await alive.settle([await alive.claimOne()], { kind: 'released', delayMs: 50 });
      await queue.runs.enqueue(numbered('plain', 2, { delayMs: 50 }));
      await harness.passTime(60);
      assert.equal((await queue.work.promote()).promoted, 3);
      const claimed = await alive.claim();
      assert.deepEqual(
        new Map(claimed.map(({ record, suspect }) => [record.id, suspect])),
        new Map([['doubtful', true], ...['plain-0', 'plain-1'].map((id) => [id, false] as const)]),
      );
    });

    test('a run that kills its process is dead-lettered, and its innocent neighbours never are', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await queue.runs.enqueue([...numbered('good', 4), request('poison')]);
      const deadLettered: string[] = [];
      const done: string[] = [];
      let kills = 0;
      // Each process takes all that it is given; the poison ends it before it can settle anything.
      while (deadLettered.length === 0) {
        assert.ok(kills < 12, 'the poison must be found out');
        const consumer = await consumerOf(queue);
        for (;;) {
          const claimed = await consumer.claim();
          if (claimed.some(({ record }) => record.id === 'poison')) break;
          assert.ok(claimed.length > 0, 'poison or a neighbour was expected');
          await consumer.settle(claimed);
          done.push(...claimed.map(({ record }) => record.id));
        }
        kills += 1;
        deadLettered.push(...(await recoverFrom(harness, consumer)).deadLettered);
      }
      assert.deepEqual(deadLettered, ['poison']);
      assert.equal(kills, 4, 'once with its neighbours, then three times as the only suspect');
      const record = await queue.runs.get('poison');
      assert.equal(record?.state, 'failed');
      assert.equal(record.error?.reason, 'TooManyDeliveries');
      assert.equal(record.deaths, 3);
      done.push(...(await (await consumerOf(queue)).drain()));
      assert.deepEqual(done.sort(), ['good-0', 'good-1', 'good-2', 'good-3']);
    });

    test('a scheduled run that kills its process is dead-lettered like any other', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      await queue.runs.enqueue([request('uid-1@2026-01-01T00:00:00.000Z')]);
      const fates: string[] = [];
      for (let kills = 0; kills < 3; kills += 1) {
        const consumer = await consumerOf(queue, { settings: { maxDeliveries: 2 } });
        await consumer.claimOne();
        fates.push(...(await recoverFrom(harness, consumer)).deadLettered);
      }
      assert.deepEqual(fates, ['uid-1@2026-01-01T00:00:00.000Z']);
    });

    test('a suspect that is released stays one, and one whose attempt ended is cleared', async () => {
      await using harness = await createHarness();
      const queue = harness.broker.queue('work');
      const [dead, alive] = [await consumerOf(queue), await consumerOf(queue)];
      await queue.runs.enqueue([request('a')]);
      await dead.claimOne();
      await recoverFrom(harness, dead, [alive]);
      await alive.settle([await alive.claimOne()], { kind: 'released' });
      const suspect = await alive.claimOne();
      assert.equal(suspect.suspect, true);
      await alive.settle([suspect], { kind: 'retry', delayMs: 0, error: FAILURE });
      await queue.work.promote();
      assert.equal((await alive.claimOne()).suspect, false);
    });

    test('a redriven dead letter is judged anew', async () => {
      await using harness: Harness = await createHarness();
      const queue = harness.broker.queue('work');
      await queue.runs.enqueue([request('a')]);
      for (let kills = 0; kills < 2; kills += 1) {
        const consumer = await consumerOf(queue, { settings: { maxDeliveries: 1 } });
        await consumer.claimOne();
        await recoverFrom(harness, consumer);
      }
      assert.deepEqual(await queue.runs.redrive(['a']), ['redriven']);
      const claimed = await (await consumerOf(queue)).claimOne();
      assert.equal(claimed.suspect, false);
      assert.equal(claimed.record.deaths, 0);
      assert.equal(claimed.record.attempt, 1);
    });
  });
}
