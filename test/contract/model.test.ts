/**
 * The memory broker is the model of the Lua: whatever is asked of both in whatever order, they answer alike. Here without
 * the passage of time (promotion, expiry and retention are the suite's), which two clocks would see differently.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { createMemoryBroker } from '../../src/broker/memory/memory-broker.ts';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import type { RedisBroker } from '../../src/broker/redis/redis-broker.ts';
import { VirtualClock } from '../../src/runtime/virtual-clock.ts';
import { RedisServer } from '../support/redis-server.ts';
import { MoveCheck } from './model-moves.ts';
import { Side, UIDS, type PlanKind } from './model-side.ts';
import { steps, type Step } from './model-steps.ts';

const PLANS = Number(process.env['TIDEMILL_TEST_PLANS'] ?? 60);
/** `TIDEMILL_TEST_SEED=n` repeats what a failure printed. */
const SEED = process.env['TIDEMILL_TEST_SEED'];

describe('the model', () => {
  let server: RedisServer;
  let redis: RedisBroker;
  before(async () => {
    server = await RedisServer.start();
    redis = await connectRedis({ url: server.url });
  });
  after(async () => {
    await redis[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const check = (kind: PlanKind): Promise<void> =>
    fc.assert(
      // Without bias: fast-check's own would give most steps the least values, and plans would be alike.
      fc.asyncProperty(fc.noBias(steps), async (plan) => {
        await server.flushAll();
        await compare(redis, kind, plan);
      }),
      { numRuns: PLANS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
    );

  test('the memory broker and Redis hand out, settle and fire alike, in the same order', () =>
    check('order'));
  test('the memory broker and Redis cancel and replace alike', () => check('cancel'));
});

async function compare(redis: RedisBroker, kind: PlanKind, plan: readonly Step[]): Promise<void> {
  const clock = new VirtualClock(await redis.now());
  await using memory = createMemoryBroker({ clock });
  const real = new Side(redis, kind, (ms) => sleep(ms));
  const model = new Side(memory, kind, (ms) => clock.advanceBy(ms));
  const adoptedAtMs = new Map<string, number>();
  const moves = new MoveCheck();
  await real.begin();
  await model.begin();
  for (const [index, step] of plan.entries()) {
    const what = `step ${index}: ${JSON.stringify(step)}`;
    const answer = await real.take(step, adoptedAtMs);
    // The model's clock stands where the clock of Redis stood when it adopted: both count slots from the same instant.
    const adopted =
      step.verb === 'adopt' ? (await real.queue.schedules.states([UIDS[step.uid]!]))[0] : undefined;
    if (adopted !== undefined) {
      await clock.advanceTo(adopted.notBeforeMs);
      adoptedAtMs.set(adopted.uid, adopted.notBeforeMs);
    }
    assert.deepEqual(answer, await model.take(step, adoptedAtMs), what);
    // On Redis a lane holds ids of cancelled runs until a claim steps over them: it may promise more than there is.
    assert.ok(real.saidMore || !model.saidMore, `more is ready, as the model knows, after ${what}`);
    const seen = await visible(real);
    moves.check(seen.states, step);
    // What both show alike is legal in both, or in neither.
    assert.deepEqual(seen, await visible(model), `what can be seen after ${what}`);
    if (adopted === undefined) await clock.advanceTo(await redis.now());
  }
}

/** All that can be seen of a queue, less what two clocks and two ways to count bytes make different. */
async function visible({ queue }: Side) {
  const { retainedBytes: _bytes, oldestPendingAgeMs: _age, ...stats } = await queue.inspect.stats();
  const states = await queue.schedules.states(UIDS);
  const { runs } = await queue.inspect.runs({ limit: 1_000 });
  return {
    stats,
    tasks: await queue.inspect.tasks(),
    schedules: states.map(
      (state) => state && withoutTimes({ ...state, lastRun: withoutTimes(state.lastRun) }),
    ),
    logs: await Promise.all(
      UIDS.map(async (uid) => (await queue.schedules.decisions(uid, { limit: 99 })).map(untimed)),
    ),
    eras: await Promise.all(UIDS.map(async (uid) => (await queue.schedules.eras(uid)).map(withoutTimes))),
    states: new Map(runs.map(({ id, state }) => [id, state])),
    runs: runs.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(withoutTimes),
  };
}

const OWN_TIMES = [
  ...[
    'enqueuedAtMs',
    'startedAtMs',
    'endedAtMs',
    'dueAtMs',
    'lastSucceededAtMs',
    'lastFailedAtMs',
    'decidedAtMs',
  ],
  ...['untilMs'],
];

/** That there is an instant counts, not which. */
function withoutTimes(record: object | undefined): object {
  const fields = Object.entries(record ?? {});
  return Object.fromEntries(
    fields.map(([name, value]) => [name, OWN_TIMES.includes(name) ? typeof value : value]),
  );
}

/** A run by hand stands in the log at the instant of its decision. */
function untimed(record: { readonly request?: string }): object {
  return withoutTimes(record.request === undefined ? record : { ...record, fromMs: 0, toMs: 0 });
}
