/**
 * The memory broker is the model of the Lua: whatever is asked of both in whatever order, they answer alike. Here without
 * the passage of time (promotion, expiry and retention are the suite's), which two clocks would see differently.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Broker } from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory/memory-broker.ts';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { VirtualClock } from '../../src/runtime/virtual-clock.ts';
import { RedisServer } from '../support/redis-server.ts';
import { MoveCheck } from './model-moves.ts';
import { Side, UIDS, type PlanKind } from './model-side.ts';
import { LAST_DUE_MS, type Step, stepsUpTo } from './model-steps.ts';

export interface ModelOptions {
  /** Of the server. */
  readonly binary: string;
  readonly kind: PlanKind;
  readonly seed: number;
  /** Plans are drawn until so many steps were taken. */
  readonly steps: number;
  readonly mostStepsOfPlan: number;
  /** Leave out of a failing plan what does not matter. Default true. */
  readonly shrinks?: boolean;
}

export interface ModelRun {
  readonly plans: number;
  readonly steps: number;
}

const PLANS_AT_ONCE = 10;

/** @throws with the shrunk plan, when the two differ */
export async function runModel(options: ModelOptions): Promise<ModelRun> {
  const { binary, kind, seed, steps, mostStepsOfPlan, shrinks = true } = options;
  await using server = await RedisServer.start({ binary });
  await using redis = await connectRedis({ url: server.url });
  const taken = { plans: 0, steps: 0 };
  for (let round = 0; taken.steps < steps; round += 1) {
    await fc.assert(
      // Without bias: fast-check's own would give most steps the least values, and plans would be alike.
      fc.asyncProperty(fc.noBias(stepsUpTo(mostStepsOfPlan)), async (plan) => {
        await server.flushAll();
        taken.plans += 1;
        await compare(redis, kind, plan, () => (taken.steps += 1));
      }),
      { numRuns: PLANS_AT_ONCE, seed: seed + round, endOnFailure: !shrinks },
    );
  }
  return taken;
}

/** Takes every step on both, and compares every reply and all that can be seen. @param count - told of each step taken */
export async function compare(
  redis: Broker,
  kind: PlanKind,
  plan: readonly Step[],
  count: () => void = () => undefined,
): Promise<void> {
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
    count();
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
    // Whether a slot is due by the time it is fired must not depend on how fast this machine is.
    if (adopted !== undefined) await sleep(LAST_DUE_MS + 1);
    await clock.advanceTo(await redis.now());
  }
}

/** All that can be seen of a queue, less what two clocks and two ways to count bytes make different. */
async function visible({ queue }: Side) {
  const { inspect, schedules } = queue;
  const [counts, tasks, states, { runs }, ...decided] = await Promise.all([
    inspect.stats(),
    inspect.tasks(),
    schedules.states(UIDS),
    inspect.runs({ limit: 1_000 }),
    ...UIDS.map(async (uid) => ({
      log: (await schedules.decisions(uid, { limit: 99 })).map(untimed),
      eras: (await schedules.eras(uid)).map(withoutTimes),
    })),
  ]);
  // A run that was rejected is due within the time that a long plan takes: by which clock, is chance.
  const { retainedBytes: _bytes, oldestPendingAgeMs: _age, dueSoon: _due, ...stats } = counts;
  return {
    ...{ stats, tasks, decided },
    schedules: states.map(
      (state) => state && withoutTimes({ ...state, lastRun: withoutTimes(state.lastRun) }),
    ),
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
    'expiresAtMs',
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
