import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CpuExecutor, ExecuteRequest } from '../../../src/consumer/executor.ts';
import { defineApp } from '../../../src/task/app.ts';
import { openApp } from '../../../src/task/app.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import type { AttemptResult } from '../../../src/task/invoke.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { ConsumerWorld } from '../../support/consumer-world.ts';

const heavy = defineTask({
  name: 'heavy',
  cpuBound: true,
  timeout: '10s',
  retry: { attempts: 1 },
  run: () => undefined,
});
const light = defineTask({ name: 'light', run: () => undefined });

/** A pool that hands its requests to the test. */
class ScriptedPool implements CpuExecutor {
  ready = true;
  readonly requests: ExecuteRequest[] = [];
  readonly #answer: (request: ExecuteRequest) => Promise<AttemptResult>;

  constructor(answer: (request: ExecuteRequest) => Promise<AttemptResult>) {
    this.#answer = answer;
  }

  execute(request: ExecuteRequest): Promise<AttemptResult> {
    this.requests.push(request);
    return this.#answer(request);
  }
}

/** Its runs succeed after `runMs`. */
const lastingPool = (world: ConsumerWorld, runMs: number): ScriptedPool =>
  new ScriptedPool(async ({ started }) => {
    started();
    await world.clock.sleep(runMs);
    return { kind: 'succeeded' };
  });

test('CPU-bound runs go to the pool, never more than it has slots, and none ahead of a free one', async () => {
  let now = 0;
  let most = 0;
  await using world = new ConsumerWorld([heavy, light]);
  const pool = new ScriptedPool(async ({ started }) => {
    started();
    now += 1;
    most = Math.max(most, now);
    await world.clock.sleep(5);
    now -= 1;
    return { kind: 'succeeded' };
  });
  await world.start({ cpuExecutor: pool, cpuConcurrency: 2 });
  const ids = [...(await world.enqueue('heavy', 40)), ...(await world.enqueue('light', 40))];
  const held: number[] = [];
  await world.until(async () => {
    held.push(
      (await world.broker.queue('default').inspect.tasks()).find((stats) => stats.task === 'heavy')
        ?.running ?? 0,
    );
    return (await world.states(ids))['succeeded'] === 80;
  }, 5_000);
  assert.equal(most, 2);
  assert.ok(Math.max(...held) <= 2);
  assert.ok(pool.requests.every(({ task }) => task.name === 'heavy'));
});

test('CPU-bound runs that come one at a time begin at once, although the only child was busy when their consumer began to wait', async () => {
  await using world = new ConsumerWorld([heavy, light]);
  const pool = lastingPool(world, 5);
  await world.start({ queues: ['one', 'two'], cpuExecutor: pool, cpuConcurrency: 1 });
  for (const queue of ['one', 'two', 'one', 'one', 'two', 'two', 'one']) {
    const [id = ''] = await world.enqueue('heavy', 1, { queue });
    await world.clock.advanceBy(20);
    assert.equal(await world.stateOf(id, queue), 'succeeded', `run ${pool.requests.length}`);
  }
});

test('a claim that waits while the only child is busy makes way, when that is free, for one that asks for its runs', async () => {
  await using world = new ConsumerWorld([heavy, light]);
  const pool = lastingPool(world, 1_000);
  const { work } = world.broker.queue('default');
  const wait = work.claimWhenWoken.bind(work);
  const asked: number[] = [];
  work.claimWhenWoken = (...request) => {
    asked.push(request[1].claim.cpu);
    return wait(...request);
  };
  await world.start({ cpuExecutor: pool, cpuConcurrency: 1 });
  await world.enqueue('heavy');
  await world.clock.advanceBy(1_500);
  assert.deepEqual(asked, [1, 0, 1]);
});

test('while no child starts, CPU-bound runs stay in the queue and others go on', async () => {
  await using world = new ConsumerWorld([heavy, light]);
  const pool = new ScriptedPool(async () => ({ kind: 'succeeded' }));
  pool.ready = false;
  await world.start({ cpuExecutor: pool, cpuConcurrency: 2 });
  const waiting = await world.enqueue('heavy', 3);
  const others = await world.enqueue('light', 3);
  await world.clock.advanceBy(2_000);
  assert.deepEqual(await world.states([...waiting, ...others]), { pending: 3, succeeded: 3 });
  pool.ready = true;
  await world.clock.advanceBy(6_000);
  assert.deepEqual(await world.states(waiting), { succeeded: 3 });
});

test('a run whose child did not start goes back with no attempt used', async () => {
  await using world = new ConsumerWorld([heavy]);
  let broken = true;
  const pool = new ScriptedPool(async () => {
    if (broken) throw new Error('the child did not start');
    return { kind: 'succeeded' };
  });
  await world.start({ cpuExecutor: pool, cpuConcurrency: 1 });
  const [id = ''] = await world.enqueue('heavy');
  await world.clock.advanceBy(1_000);
  assert.equal(await world.stateOf(id), 'delayed');
  broken = false;
  await world.clock.advanceBy(6_000);
  const run = await world.broker.queue('default').runs.get(id);
  assert.deepEqual([run?.state, run?.attempt], ['succeeded', 1]);
});

test('waiting for a child does not count against the timeout', async () => {
  await using world = new ConsumerWorld([heavy]);
  const pool = new ScriptedPool(async ({ started }) => {
    await world.clock.sleep(8_000);
    started();
    await world.clock.sleep(8_000);
    return { kind: 'succeeded' };
  });
  await world.start({ cpuExecutor: pool, cpuConcurrency: 1 });
  const ids = await world.enqueue('heavy');
  await world.clock.advanceBy(17_000);
  assert.deepEqual(await world.states(ids), { succeeded: 1 });
});

test('a child has its kill grace before its slot counts as leaked', async () => {
  await using world = new ConsumerWorld([heavy]);
  const pool = new ScriptedPool(
    ({ signal, started }) =>
      new Promise((resolve) => {
        started();
        signal.addEventListener('abort', () => {
          const error = { reason: 'Killed', name: 'ChildExit', message: 'SIGKILL after 5 s' } as const;
          world.clock.after(5_200, () => {
            resolve({ kind: 'failed', error, retry: 'policy' });
          });
        });
      }),
  );
  const { seen } = await world.start({ cpuExecutor: pool, cpuConcurrency: 1 });
  const [id = ''] = await world.enqueue('heavy');
  await world.clock.advanceBy(17_000);
  const run = await world.broker.queue('default').runs.get(id);
  assert.deepEqual([run?.state, run?.error?.reason], ['failed', 'Timeout']);
  assert.deepEqual(seen.leaks, []);
});

test('onFailure of the app is told of a timeout and of a dead child, once each', async () => {
  const told: string[] = [];
  const app = defineApp({
    onFailure: ({ task, error, final }) => {
      const reason =
        typeof error === 'object' && error !== null && 'reason' in error ? String(error.reason) : 'none';
      told.push(`${task.name} ${reason} ${final}`);
    },
  });
  const hangs = defineTask({ name: 'hangs', timeout: '1s', run: () => new Promise<void>(() => undefined) });
  await using world = new ConsumerWorld([heavy, hangs]);
  const pool = new ScriptedPool(async () => {
    const error = { reason: 'HeapOutOfMemory', name: 'ChildExit', message: 'heap' } as const;
    return { kind: 'failed', error, retry: 'policy' };
  });
  await world.start({ app: await openApp(app, { log: silentLog }), cpuExecutor: pool, cpuConcurrency: 1 });
  await world.enqueue('heavy');
  await world.enqueue('hangs');
  await world.clock.advanceBy(4_000);
  assert.deepEqual(told.sort(), ['hangs Timeout true', 'heavy HeapOutOfMemory true']);
});
