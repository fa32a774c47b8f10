import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StopError } from '../../../src/consumer/stop-error.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import { ConsumerWorld } from '../../support/consumer-world.ts';
import type { FaultyCall } from '../../support/faulty-broker.ts';

const bodies: string[] = [];
const counted = defineTask({
  name: 'counted',
  run: async ({ run }) => {
    bodies.push(run.id);
    await Promise.resolve();
  },
});

/** Repeatable "random" numbers: a failing test fails again. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('a claim whose reply was lost is noticed at once: its runs are released and done', async () => {
  await using world = new ConsumerWorld([counted]);
  const { seen } = await world.start();
  let lose = true;
  world.broker.plan = (call, _queue, request) => {
    const claims = call === 'cycle' && JSON.stringify(request).includes('"claim"');
    if (!claims || !lose) return undefined;
    lose = false;
    return 'after';
  };
  const ids = await world.enqueue('counted', 300);
  await world.clock.advanceBy(1_000);
  assert.equal(lose, false);
  assert.deepEqual(await world.states(ids), { succeeded: 300 });
  assert.equal((await world.broker.queue('default').runs.get('r1'))?.attempt, 1, 'no attempt was used');
  assert.deepEqual(seen.lost, []);
});

test('a settle whose reply was lost is not sent again, and not counted as a lost lease', async () => {
  await using world = new ConsumerWorld([counted]);
  const { seen } = await world.start();
  const ids = await world.enqueue('counted', 5);
  let lost = 0;
  world.broker.plan = (call, _queue, request) => {
    if (call !== 'cycle' || !JSON.stringify(request).includes('succeeded') || lost > 0) return undefined;
    lost += 1;
    return 'after';
  };
  await world.clock.advanceBy(1_000);
  assert.equal(lost, 1);
  assert.deepEqual(await world.states(ids), { succeeded: 5 });
  assert.deepEqual(seen.lost, []);
  assert.equal(seen.finished.length, 5, 'no body ran twice');
});

test('a settle that did not arrive is sent again once the broker says that the run is still held', async () => {
  await using world = new ConsumerWorld([counted]);
  const { seen } = await world.start();
  let lost = 0;
  world.broker.plan = (call, _queue, request) => {
    if (call !== 'cycle' || !JSON.stringify(request).includes('succeeded') || lost > 2) return undefined;
    lost += 1;
    return lost === 2 ? 'refused' : 'before';
  };
  const ids = await world.enqueue('counted', 5);
  await world.clock.advanceBy(3_000);
  assert.equal(lost, 3);
  assert.deepEqual(await world.states(ids), { succeeded: 5 });
  assert.equal(seen.finished.length, 5);
  assert.equal(seen.answers['settled'], 5);
});

test('with a third of all calls failing in every way, 1,000 runs end exactly once and nothing grows', async () => {
  await using world = new ConsumerWorld([counted]);
  const { seen, consumer } = await world.start();
  const other = await world.start();
  const random = dice(7);
  const breakable = new Set<FaultyCall>(['cycle', 'held', 'renew', 'promote', 'recover']);
  world.broker.plan = (call) => {
    if (!breakable.has(call) || random() > 1 / 3) return undefined;
    const which = random();
    return which < 0.4 ? 'before' : which < 0.8 ? 'after' : 'refused';
  };
  const ids = await world.enqueue('counted', 1_000);
  await world.until(async () => (await world.states(ids))['succeeded'] === 1_000, 600_000);
  await world.clock.advanceBy(30_000);
  const stats = await world.broker.queue('default').inspect.stats();
  assert.deepEqual([stats.running, stats.pending, stats.delayed, stats.retainedSucceeded], [0, 0, 0, 1_000]);
  assert.equal(consumer.running, 0);
  assert.ok((seen.answers['settled'] ?? other.seen.answers['settled']) !== undefined);
});

test('a run whose lease was lost is aborted, its settle is refused, and another consumer finishes it', async () => {
  const stops: unknown[] = [];
  let slow = true;
  const task = defineTask({
    name: 'task',
    timeout: '10m',
    run: ({ signal }) => {
      if (!slow) return Promise.resolve();
      slow = false;
      return new Promise<void>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          stops.push(signal.reason);
          reject(signal.reason as Error);
        });
      });
    },
  });
  await using world = new ConsumerWorld([task]);
  const one = await world.start();
  const [id = ''] = await world.enqueue('task');
  await world.clock.advanceBy(200);
  await world.start();
  // The first consumer's process seems frozen to the broker: its incarnation is ended under its hands.
  const [held] = (await world.broker.queue('default').inspect.consumers()).filter((info) => info.held === 1);
  await world.broker.queue('default').work.leave(held?.incarnation ?? '');
  await world.until(() => stops.length === 1, 15_000);
  const [stop] = stops;
  assert.ok(stop instanceof StopError && stop.kind === 'lease-lost' && stop.code === 'LEASE_LOST');
  await world.clock.advanceBy(1_000);
  assert.equal(await world.stateOf(id), 'succeeded');
  assert.deepEqual(one.seen.lost, [id]);
  assert.equal(one.seen.finished[0]?.outcome.kind, 'lost');
  assert.equal(one.consumer.ready, true, 'it registered anew');
  const more = await world.enqueue('task', 10);
  await world.clock.advanceBy(1_000);
  assert.deepEqual(await world.states(more), { succeeded: 10 });
});

test('the runs of a consumer that goes silent are back with another within 15 s', async () => {
  let first = true;
  const task = defineTask({
    name: 'task',
    timeout: '10m',
    run: () => {
      if (!first) return Promise.resolve();
      first = false;
      return new Promise<void>(() => undefined);
    },
  });
  await using world = new ConsumerWorld([task]);
  await world.start();
  const [id = ''] = await world.enqueue('task');
  await world.clock.advanceBy(200);
  const [dead] = await world.broker.queue('default').inspect.consumers();
  await world.start();
  await world.clock.advanceBy(5_000);
  // From here on nothing of the first consumer arrives any more.
  world.broker.plan = (call, _queue, request) =>
    JSON.stringify(request ?? '').includes(dead?.incarnation ?? '-') && call !== 'register'
      ? 'hang'
      : undefined;
  await world.until(async () => (await world.stateOf(id)) === 'succeeded', 15_000);
});

test('settlements without an answer for two leases, while renewals have one, make the process unfit to live', async () => {
  await using world = new ConsumerWorld([counted]);
  const { consumer } = await world.start();
  world.broker.plan = (call, _queue, request) =>
    call === 'cycle' && JSON.stringify(request).includes('succeeded') ? 'hang' : undefined;
  await world.enqueue('counted');
  await world.clock.advanceBy(15_000);
  assert.equal(consumer.live, true);
  await world.clock.advanceBy(10_000);
  assert.equal(consumer.live, false);
});

test('a broker that is away leaves the process fit to live: a restart would throw away what the bodies did', async () => {
  await using world = new ConsumerWorld([counted]);
  const { consumer } = await world.start();
  await world.enqueue('counted');
  world.broker.plan = (call) => (call === 'cycle' ? 'hang' : 'before');
  for (let minute = 0; minute < 5; minute += 1) {
    await world.clock.advanceBy(60_000);
    assert.equal(consumer.live, true);
  }
});

test('a broker that is away for a minute delays the runs and loses none', async () => {
  await using world = new ConsumerWorld([counted]);
  const { consumer } = await world.start();
  world.broker.plan = () => 'before';
  const ids = await world.enqueue('counted', 200);
  await world.clock.advanceBy(60_000);
  const calls = [...world.broker.calls.values()].reduce((sum, count) => sum + count, 0);
  assert.ok(calls < 1_000, `${calls} calls in a minute without an answer`);
  world.broker.plan = () => undefined;
  await world.until(async () => (await world.states(ids))['succeeded'] === 200, 5_000);
  assert.equal(consumer.ready, true);
});

test('a run that was taken away while its consumer lives is aborted at the next comparison', async () => {
  const stops: unknown[] = [];
  let first = true;
  const task = defineTask({
    name: 'task',
    timeout: '10m',
    run: ({ signal }) => {
      if (!first) return Promise.resolve();
      first = false;
      return new Promise<void>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          stops.push(signal.reason);
          reject(signal.reason as Error);
        });
      });
    },
  });
  await using world = new ConsumerWorld([task]);
  const { seen } = await world.start();
  const [id = ''] = await world.enqueue('task');
  await world.clock.advanceBy(200);
  const { work, inspect } = world.broker.queue('default');
  const incarnation = (await inspect.consumers())[0]?.incarnation ?? '';
  const [run] = (await work.held(incarnation)).runs;
  await work.cycle({ incarnation, settle: [{ id, token: run?.token ?? '', outcome: { kind: 'released' } }] });
  await world.until(() => stops.length === 1, 11_000);
  await world.clock.advanceBy(1_000);
  const [stop] = stops;
  assert.ok(stop instanceof StopError && stop.kind === 'lease-lost');
  assert.deepEqual(seen.lost, [id]);
  assert.equal(await world.stateOf(id), 'succeeded');
});

test('a consumer whose slots are all busy, and that knows of no more work, waits without calling', async () => {
  const long = defineTask({
    name: 'long',
    timeout: '10m',
    run: async (): Promise<void> => {
      await world.clock.sleep(60_000);
    },
  });
  await using world = new ConsumerWorld([counted, long]);
  await world.start({ ioConcurrency: 2, drainMs: 0 });
  // Short runs first, so that it would claim ahead.
  await world.enqueue('counted', 50);
  await world.clock.advanceBy(1_000);
  await world.enqueue('long', 2);
  await world.clock.advanceBy(1_000);
  world.broker.calls.clear();
  // A loop that spins would never let time pass: it is let go after a while, and counted.
  world.broker.plan = () => ((world.broker.calls.get('cycle') ?? 0) > 1_000 ? 'hang' : undefined);
  await world.clock.advanceBy(30_000);
  const calls = world.broker.calls.get('cycle') ?? 0;
  assert.ok(calls <= 10, `${calls} calls in 30 s`);
});
