/** A controller whose watch lost history, or whose API server was set back in time: it converges to what the API server says. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
import type { DecisionRecord, Era } from '../../../src/task/schedule-state.ts';
import { slotsOf } from '../../support/slot-account.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet, QUEUE } from './controllers.ts';
import { metricOf } from './metrics-of.ts';

const CONVERGED_MS = 60_000;
/** Writes between snapshot and restore: more than an API server makes by itself while it starts. */
const FILLERS = 80;
/** Of each generation, by the second that its edit writes. */
const INTERVALS: Readonly<Record<number, string>> = { 1: '300ms', 2: '500ms', 3: '700ms' };

function spec(generation: number): object {
  const policy = { concurrencyPolicy: 'Allow', missedRunPolicy: 'All', queue: QUEUE };
  return { task: 'tick', every: INTERVALS[generation], ...policy };
}

describe('a watch that lost history', () => {
  let fleet: ControllerFleet;
  let controller: Controller;
  before(async () => {
    fleet = await ControllerFleet.start();
    controller = await fleet.controller();
    await fleet.leads(controller);
  });
  afterEach(async () => {
    controller.wire.mode = 'pass';
    await fleet.kubectl('delete', 'st', '--all', '--wait=false');
  });
  after(() => fleet[Symbol.asyncDispose]());

  test('etcd compacted and the API server restarted: changes and deletions of meanwhile are found by a list', async (t) => {
    await fleet.apply({ kept: spec(1), edited: spec(1), deleted: spec(1), replaced: spec(1) });
    const uids = await fleet.uids();
    const settledMs = await fleet.broker.now();
    await fleet.settled([...uids.values()], settledMs);
    const goneBefore = await restarts(controller, 'gone');
    controller.wire.mode = 'refuse';
    controller.wire.cut();
    await fleet.apply({ edited: spec(2), created: spec(1) });
    await fleet.kubectl('delete', 'st', '--wait=false', 'deleted', 'replaced');
    await fleet.apply({ replaced: spec(1) });
    await fleet.plane.etcd.compact();
    await fleet.plane.apiServer.restart();
    controller.wire.mode = 'pass';

    const beganMs = performance.now();
    const now = await fleet.uids();
    await inForce({ of: uids, edited: 2, deleted: 'withdrawn', replaced: 'withdrawn', kept: 1 });
    await inForce({ of: now, created: 1, replaced: 1 });
    t.diagnostic(`all changes were in force after ${Math.round(performance.now() - beganMs)} ms`);
    assert.equal((await restarts(controller, 'gone')) - goneBefore, 1, 'the watch was answered 410, once');
    await account(t, new Set([...uids.values(), ...now.values()]), () => settledMs);
  });

  test('etcd restored to an older snapshot: what the API server says now is adopted, be it older', async (t) => {
    await fleet.apply({ kept: spec(1), edited: spec(1), deleted: spec(1) });
    const uids = await fleet.uids();
    const settledMs = await fleet.broker.now();
    await fleet.settled([...uids.values()], settledMs);
    const snapshot = await fleet.plane.etcd.snapshot();
    await fleet.apply({ edited: spec(2), created: spec(1) });
    await fleet.kubectl('delete', 'st', '--wait=false', 'deleted');
    const created = new Map([['created', await fleet.uidOf('created')]]);
    await inForce({ of: uids, edited: 2, deleted: 'withdrawn' });
    const createdUntilMs = await fleet.broker.now();
    await fleet.settled([...created.values()], createdUntilMs);
    await fleet.plane.apply(
      Array.from({ length: FILLERS }, (_, index) => ({
        ...{ apiVersion: 'v1', kind: 'ConfigMap' },
        metadata: { name: `filler-${index}`, namespace: fleet.namespace },
      })),
    );
    await fleet.plane.etcd.restore(snapshot);

    const beganMs = performance.now();
    await inForce({ of: uids, kept: 1, edited: 1, deleted: 1 });
    await inForce({ of: created, created: 'withdrawn' });
    t.diagnostic(`converged ${Math.round(performance.now() - beganMs)} ms after the restore`);
    const restored = await fleet.uids();
    assert.deepEqual([...restored.entries()].sort(), [...uids.entries()].sort());
    const erasOf = async (name: string): Promise<readonly Era[]> =>
      fleet.queue.schedules.eras(restored.get(name) ?? '');
    const generations = (eras: readonly Era[]): readonly number[] => eras.map(({ generation }) => generation);
    assert.deepEqual(generations(await erasOf('edited')), [1, 2, 1], 'the older generation, by force');
    const [before, since] = await erasOf('deleted');
    assert.ok(before?.untilMs !== undefined && since !== undefined);
    assert.ok(since.fromMs > before.untilMs, 'deleted, and there again');

    // The generation that the restore took back is given to another spec.
    await fleet.apply({ edited: spec(3) });
    await until('the second spec of that generation is in force', async () => {
      const eras = await erasOf('edited');
      return generations(eras).length === 4 && eras.at(-1)?.generation === 2;
    });
    await fleet.settled([...restored.values()], (await fleet.broker.now()) + 2_000);
    await account(t, new Set([...uids.values(), ...created.values()]), (uid) =>
      uid === created.get('created') ? createdUntilMs : settledMs,
    );
    await until('the status tells of the generation', async () => {
      const { metadata, status } = await fleet.object('edited');
      return status?.observedGeneration === metadata.generation;
    });
  });

  const restarts = (of: Controller, reason: string): Promise<number> =>
    metricOf(of, 'tidemill_informer_restarts_total', { reason });

  /** Waits until Redis knows the objects of these uids so: by their generation, or withdrawn. */
  async function inForce({
    of: uids,
    ...wanted
  }: { readonly of: ReadonlyMap<string, string> } & Readonly<Record<string, unknown>>): Promise<void> {
    const names = Object.keys(wanted);
    let seen = '';
    await until(
      'Redis knows the objects as they are',
      async () => {
        const states = await fleet.queue.schedules.states(names.map((name) => uids.get(name) ?? ''));
        const now = states.map((state) => (state?.withdrawn ? 'withdrawn' : state?.generation));
        seen = names.map((name, index) => `${name} ${String(now[index])}`).join(', ');
        return names.every((name, index) => now[index] === wanted[name]);
      },
      {
        deadlineMs: CONVERGED_MS,
        describe: () =>
          `${seen}\n${controller.process.lines
            .slice(-40)
            .map((line) => line.slice(0, 260))
            .join('\n')}`,
      },
    );
  }

  /**
   * Each era decided each of its slots, once; and outside the eras nothing was decided.
   *
   * @param existedUntilMs when an object that was deleted existed for certain: it fires no more once a list told of its
   * end, and a sweep ends its era some seconds later
   */
  async function account(
    t: TestContext,
    uids: ReadonlySet<string>,
    existedUntilMs: (uid: string) => number,
  ): Promise<void> {
    const sum = { slots: 0, undecided: 0, doubled: 0, outside: 0 };
    const untilMs = await fleet.broker.now();
    for (const uid of uids) {
      const [state] = await fleet.queue.schedules.states([uid]);
      if (state?.withdrawn !== true) await fleet.settled([uid], untilMs);
      const eras = await fleet.queue.schedules.eras(uid);
      const records = await fleet.queue.schedules.decisions(uid, { limit: 1_000 });
      const own = accountOf(eras, records, untilMs, existedUntilMs(uid));
      sum.slots += own.slots;
      sum.undecided += own.undecided;
      sum.doubled += own.doubled;
      sum.outside += own.outside;
    }
    const states = await fleet.queue.schedules.states([...uids]);
    const fired = states.reduce((total, state) => total + (state?.fired ?? 0), 0);
    const runs = states.reduce((total, state) => total + (state?.active ?? 0), 0);
    t.diagnostic(`${JSON.stringify(sum)}; fired ${fired}, runs ${runs}`);
    assert.deepEqual({ ...sum, slots: 0 }, { slots: 0, undecided: 0, doubled: 0, outside: 0 });
    assert.equal(runs, fired, 'each slot that fired has one run');
  }
});

/** Slots of the eras of one schedule, and what became of them. The last ones of a deleted object may be undecided. */
function accountOf(
  eras: readonly Era[],
  records: readonly DecisionRecord[],
  untilMs: number,
  existedUntilMs: number,
): {
  readonly slots: number;
  readonly undecided: number;
  readonly doubled: number;
  readonly outside: number;
} {
  let slots = 0;
  let undecided = 0;
  let most = 0;
  for (const [index, era] of eras.entries()) {
    const interval = intervalOf(era);
    const endMs = Math.min(era.untilMs ?? untilMs, untilMs);
    const next = eras[index + 1];
    const isWithdrawn = era.untilMs !== undefined && next?.fromMs !== era.untilMs;
    const all = slotsOf(interval, era.fromMs, endMs);
    const certain = isWithdrawn ? slotsOf(interval, era.fromMs, Math.min(endMs, existedUntilMs)) : all;
    const times = certain.map((ms) => timesDecided(records, era.generation, ms));
    slots += certain.length;
    undecided += times.filter((count) => count === 0).length;
    most += all.length;
  }
  const before = records.filter(({ fromMs }) => fromMs < untilMs);
  const decided = before.reduce((sum, { count }) => sum + count, 0);
  const last = before.at(-1);
  const beyond = last === undefined ? 0 : slotsAfter(eras.at(-1), last, untilMs);
  return {
    slots,
    undecided,
    doubled: Math.max(0, decided - beyond - most),
    outside: outsideOf(eras, records),
  };
}

const intervalOf = ({ spec: text }: Era): string => {
  const [, every] = /"every":"([^"]+)"/.exec(text) ?? [];
  assert.ok(every !== undefined, text);
  return every;
};

const timesDecided = (records: readonly DecisionRecord[], generation: number, ms: number): number =>
  records.filter((record) => record.generation === generation && record.fromMs <= ms && ms <= record.toMs)
    .length;

/** Slots that the last record holds beyond the end of the account. */
function slotsAfter(era: Era | undefined, { toMs }: DecisionRecord, untilMs: number): number {
  return era === undefined || toMs < untilMs ? 0 : slotsOf(intervalOf(era), untilMs, toMs + 1).length;
}

/** Records that begin or end in no era of their generation. */
function outsideOf(eras: readonly Era[], records: readonly DecisionRecord[]): number {
  const isInside = (generation: number, ms: number): boolean =>
    eras.some(
      (era) =>
        era.generation === generation && era.fromMs <= ms && ms < (era.untilMs ?? Number.POSITIVE_INFINITY),
    );
  return records.filter(
    ({ generation, fromMs, toMs }) => !isInside(generation, fromMs) || !isInside(generation, toMs),
  ).length;
}
