/**
 * Controllers that are frozen, or cut off from the API server, while objects change: none of them fires by the old spec
 * once another one has acted on the new.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Era } from '../../../src/task/schedule-state.ts';
import { slotAccount, sumOf } from '../../support/slot-account.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet, QUEUE } from './controllers.ts';
import { metricOf, slotsThat } from './metrics-of.ts';

/** What becomes of an object meanwhile; the last two before another controller has taken over. */
const CHANGES = ['suspended', 'edited', 'deleted', 'recreated', 'deleted-early', 'recreated-early'] as const;
type Change = (typeof CHANGES)[number];
const COPIES = 2;
/** How the API server is lost to a controller that goes on leading. */
const CUTS = ['refuse', 'half-open', 'freeze'] as const;

const OLD_EVERY = '250ms';
const NEW_EVERY = '400ms';
const OLD = spec(OLD_EVERY, 'old');
const NEW = spec(NEW_EVERY, 'new');
/** From a change until it is acted on in Redis. */
const ACTED_WITHIN_MS = 40_000;

function spec(every: string, by: 'old' | 'new'): object {
  return {
    ...{ task: 'tick', every, params: { by }, queue: QUEUE },
    ...{ concurrencyPolicy: 'Allow', missedRunPolicy: 'All', maxCatchUp: 100 },
  };
}

function namesOf(...changes: readonly Change[]): readonly string[] {
  return changes.flatMap((change) => Array.from({ length: COPIES }, (_, index) => `${change}-${index}`));
}
const changeOf = (name: string): Change => {
  const change = CHANGES.find((candidate) => namesOf(candidate).includes(name));
  assert.ok(change !== undefined, name);
  return change;
};

/** One object from its first spec to what came after. */
interface Story {
  readonly name: string;
  readonly uid: string;
  /** When the broker learnt of the change: nothing may come from the old spec after it. */
  readonly actedMs: number;
  readonly eras: readonly Era[];
}

describe('controllers with an old spec', () => {
  let fleet: ControllerFleet;
  before(async () => {
    fleet = await ControllerFleet.start();
  });
  after(() => fleet[Symbol.asyncDispose]());

  test('two frozen and three cut off in different ways fire nothing by it after another has acted on the new one', async (t) => {
    const frozen = await fleet.controller();
    await fleet.leads(frozen);
    // The others hold Leases of their own, so that they lead all at once and no Lease ever stops them: what is left is the
    // fence in Redis.
    const [healthy, frozenAlone, ...cutOff] = await Promise.all([
      fleet.controller(),
      fleet.controller([], { lease: 'frozen' }),
      ...CUTS.map((cut) => fleet.controller([], { lease: `cut-${cut}` })),
    ]);
    const alone = [frozenAlone, ...cutOff];
    await Promise.all(alone.map((controller) => fleet.leads(controller)));
    await fleet.apply(Object.fromEntries(namesOf(...CHANGES).map((name) => [name, OLD])));
    const uids = await fleet.uids();
    await fleet.settled([...uids.values()], await fleet.broker.now());
    for (const controller of [frozen, ...alone])
      await until(
        'the controller fires',
        async () => (await slotsThat(controller, 'fired', 'duplicate')) > 0,
      );

    for (const { process } of [frozen, frozenAlone]) process.signal('SIGSTOP');
    // Or it could hear of the changes before it fires, and there would be nothing to refuse.
    frozenAlone.wire.mode = 'freeze';
    for (const [index, cut] of CUTS.entries()) lose(cutOff[index], cut);
    await remove(...namesOf('deleted-early', 'recreated-early'));
    await fleet.apply(Object.fromEntries(namesOf('recreated-early').map((name) => [name, NEW])));
    await fleet.leads(healthy);
    for (const controller of cutOff) await goesOn(controller);

    await change(t, uids);
    for (const controller of cutOff) await isRefused(controller, uids.size);
    const reborn = await fleet.uids();
    await firesAnew(reborn);

    for (const { process } of [frozen, frozenAlone]) process.signal('SIGCONT');
    await isRefused(frozenAlone, uids.size);
    for (const { wire } of alone) {
      wire.mode = 'pass';
      wire.cut();
    }
    await frozen.process.line(/another controller leads now/);
    for (const controller of alone) await seesTheNew(controller);
    await firesAnew(reborn);
    await verify(t, uids, reborn);
    const refused = await Promise.all(
      [frozen, ...alone].map((controller) => slotsThat(controller, 'refused')),
    );
    t.diagnostic(
      `refused by Redis: frozen ${refused.slice(0, 2).join(', ')}, cut off ${refused.slice(2).join(', ')}`,
    );
  });

  /** It has tried to fire by what it knew, and was told. */
  async function isRefused(controller: Controller, atLeast: number): Promise<void> {
    await until(
      'the controller was told that its specs are old',
      async () => (await slotsThat(controller, 'refused')) >= atLeast,
    );
  }

  function lose(controller: Controller | undefined, cut: (typeof CUTS)[number]): void {
    assert.ok(controller !== undefined);
    controller.wire.mode = cut;
    if (cut === 'refuse') controller.wire.cut();
  }

  async function goesOn(controller: Controller): Promise<void> {
    const before = await slotsThat(controller, 'fired', 'duplicate');
    await until(
      'the controller goes on firing from its cache',
      async () => (await slotsThat(controller, 'fired', 'duplicate')) > before,
    );
  }

  async function remove(...names: readonly string[]): Promise<void> {
    await fleet.kubectl('delete', 'st', '--wait=false', ...names);
  }

  async function change(t: TestContext, uids: ReadonlyMap<string, string>): Promise<void> {
    const beganMs = performance.now();
    await fleet.apply({
      ...Object.fromEntries(namesOf('edited').map((name) => [name, NEW])),
      ...Object.fromEntries(namesOf('suspended').map((name) => [name, { ...OLD, suspend: true }])),
    });
    await remove(...namesOf('deleted', 'recreated'));
    await fleet.apply(Object.fromEntries(namesOf('recreated').map((name) => [name, NEW])));
    let behind: readonly string[] = [];
    await until(
      'another controller has acted on every change',
      async () => {
        const states = await fleet.queue.schedules.states([...uids.values()]);
        behind = [...uids.keys()].filter((_, index) => {
          const state = states[index];
          return state === undefined || (state.generation === 1 && !state.withdrawn);
        });
        return behind.length === 0;
      },
      { deadlineMs: ACTED_WITHIN_MS, describe: () => `not: ${behind.join(', ')}` },
    );
    t.diagnostic(`all changes were acted on after ${Math.round(performance.now() - beganMs)} ms`);
  }

  /** Objects of the new spec are decided for a while from now. */
  async function firesAnew(reborn: ReadonlyMap<string, string>): Promise<void> {
    const active = [...reborn].filter(([name]) => changeOf(name) !== 'suspended').map(([, uid]) => uid);
    await fleet.settled(active, (await fleet.broker.now()) + 5_000);
  }

  async function seesTheNew(controller: Controller): Promise<void> {
    const wanted = { active: 3 * COPIES, suspended: COPIES, stalled: 0, completed: 0 };
    let seen: Readonly<Record<string, number>> = {};
    await until(
      'the controller sees the objects as they are',
      async () => {
        const counts = Object.keys(wanted).map(async (state): Promise<[string, number]> => [
          state,
          await metricOf(controller, 'tidemill_schedules', { state }),
        ]);
        seen = Object.fromEntries(await Promise.all(counts));
        return isDeepStrictEqual(seen, wanted);
      },
      {
        deadlineMs: 60_000,
        describe: () => `${JSON.stringify(seen)}\n${controller.process.lines.slice(-5).join('\n')}`,
      },
    );
  }

  async function storyOf(name: string, uid: string): Promise<Story> {
    const eras = await fleet.queue.schedules.eras(uid);
    const actedMs = eras[1]?.fromMs ?? eras[0]?.untilMs;
    assert.ok(actedMs !== undefined, `${name} was acted on`);
    return { name, uid, actedMs, eras };
  }

  /** Runs and decisions that came from the first spec after the broker knew better. */
  async function lateFires({ uid, actedMs }: Story): Promise<number> {
    const page = await fleet.queue.inspect.runs({ scheduleUid: uid, limit: 10_000 });
    assert.ok(page.complete, `all runs of ${uid} were read`);
    const late = page.runs.filter(
      ({ params, enqueuedAtMs }) => params.includes('"old"') && enqueuedAtMs > actedMs,
    );
    const decisions = await fleet.queue.schedules.decisions(uid, { fromMs: actedMs, limit: 1_000 });
    return late.length + decisions.filter(({ generation }) => generation === 1).length;
  }

  async function verify(
    t: TestContext,
    uids: ReadonlyMap<string, string>,
    reborn: ReadonlyMap<string, string>,
  ): Promise<void> {
    const untilMs = await fleet.broker.now();
    const stories = await Promise.all([...uids].map(([name, uid]) => storyOf(name, uid)));
    const late = await Promise.all(stories.map(lateFires));
    for (const [index, { name, eras }] of stories.entries()) {
      assert.equal(late[index], 0, `${name}: by the old spec`);
      const known = eras.map(({ generation, suspended }) => `${generation}${suspended ? ' suspended' : ''}`);
      const isEdit = reborn.get(name) === uids.get(name);
      const expected = isEdit ? ['1', changeOf(name) === 'suspended' ? '2 suspended' : '2'] : ['1'];
      assert.deepEqual(known, expected, `${name}: no spec came back`);
    }
    const states = await fleet.queue.schedules.states(stories.map(({ uid }) => uid));
    for (const [index, { name }] of stories.entries())
      assert.equal(states[index]?.withdrawn, reborn.get(name) !== uids.get(name), name);
    assert.deepEqual(
      [...reborn.keys()].sort(),
      [...namesOf(...CHANGES.filter((kind) => !kind.startsWith('deleted')))].sort(),
    );

    const ofOld = await Promise.all(
      stories.map(({ uid, actedMs, eras: [first] }) => {
        assert.ok(first !== undefined);
        const span = { generation: 1, fromMs: first.fromMs, untilMs: actedMs };
        return slotAccount(fleet.queue, uid, OLD_EVERY, span);
      }),
    );
    const ofNew = await Promise.all(
      [...reborn]
        .filter(([name]) => changeOf(name) !== 'suspended')
        .map(async ([, uid]) => {
          const era = (await fleet.queue.schedules.eras(uid)).at(-1);
          assert.ok(era !== undefined);
          await fleet.settled([uid], untilMs);
          const span = { generation: era.generation, fromMs: era.fromMs, untilMs };
          return await slotAccount(fleet.queue, uid, NEW_EVERY, span);
        }),
    );
    const before = sumOf(ofOld);
    const since = sumOf(ofNew);
    t.diagnostic(
      `by the old spec after the new one: ${late.reduce((sum, count) => sum + count, 0)}; before it ${JSON.stringify(before)}; since ${JSON.stringify(since)}`,
    );
    assert.equal(before.doubled + since.doubled, 0, 'no slot is decided twice');
    assert.equal(since.undecided, 0, 'no slot of the new spec is without a decision');
  }
});
