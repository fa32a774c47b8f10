/** Row 16: a Redis Cluster whose master dies, and whose slot moves under load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_PREFIX, queueKeys } from '../../../src/broker/redis/keys.ts';
import { ClusterGroup } from '../../support/redis-cluster.ts';
import { until } from '../../support/until.ts';
import { defineRow } from '../row.ts';
import { COMPARED_EVERY_MS, decidedOnce, EACH_SLOT } from '../schedules.ts';
import { EXPOSED_MS, Stream } from '../stream.ts';
import { QUEUE, World } from '../world.ts';

const EVERY = '500ms';
const SPEC = `task: tick, every: ${EVERY}, ${EACH_SLOT}`;
/** Between two keys, so that clients meet each state of a slot that is on its way. */
const PAUSE_MS = 100;
const CONCURRENCY = 50;
const flags = ['--redis-cluster', 'true'];

function begunTwice(world: World): number {
  const begun = world.begun();
  return begun.length - new Set(begun).size;
}

const linesWith = (texts: readonly string[], word: string): number =>
  texts.filter((text) => text.includes(word)).length;

export const clusterMoves = defineRow({
  row: 16,
  fault: 'a master of a Redis Cluster is killed, a slot is moved',
  injection:
    'three masters with a replica each, under load: kill -9 of the master of our slot; then the slot is moved to another master, key by key (CLUSTER SETSLOT, MIGRATE)',
  promise:
    'claims go on within 15 s; slots are decided once; runs enqueued by hand in the last moments of the master may be lost, and are counted; a slot on its way is answered TRYAGAIN as a whole, and loses nothing',
  waits: true,
  short: { times: 1 },
  long: { times: 10 },
  async run({ times }, { build }) {
    await using group = await ClusterGroup.start();
    const { first } = group;
    await using world = await World.on(first, build, { url: first.url, cluster: true });
    const slot = await group.slotOf(queueKeys(DEFAULT_PREFIX, QUEUE).meta);
    const uid = world.uid('job');
    const processes = [
      await world.consumer({ flags: [...flags, '--concurrency', String(CONCURRENCY)] }),
      await world.scheduler(world.schedules('jobs', [['job', SPEC]]), { flags }),
    ];
    const fromMs = (await world.broker.now()) + 2_000;
    await world.decided([uid], fromMs + 1_000);
    const stream = new Stream(world.client, 'work', { ms: 5 });
    let [exposed, slowestResumeMs, slowestResumeAfterMoveMs, keysMoved, failedByMoves] = [0, 0, 0, 0, 0];
    const underLoad = async (runs: number): Promise<void> => {
      const target = stream.acknowledged + runs;
      await until('the load runs', () => stream.acknowledged >= target);
    };
    const resumedSince = async (sinceMs: number): Promise<number> => {
      const begun = world.executions();
      await until('runs begin again', () => world.executions() > begun + 50, { deadlineMs: 60_000 });
      return Math.round(performance.now() - sinceMs);
    };
    for (let time = 0; time < times; time += 1) {
      await underLoad(300);
      await group.replicated(slot);
      const master = await group.masterOf(slot);
      const before = stream.acknowledged;
      await master?.kill();
      const killedAt = performance.now();
      await until('the window is over', () => performance.now() - killedAt >= EXPOSED_MS);
      exposed += stream.acknowledged - before;
      slowestResumeMs = Math.max(slowestResumeMs, await resumedSince(killedAt));
      await master?.restart();
      await underLoad(100);
      const failedBefore = stream.failed;
      keysMoved += await group.move(slot, () => sleep(PAUSE_MS));
      failedByMoves += stream.failed - failedBefore;
      slowestResumeAfterMoveMs = Math.max(slowestResumeAfterMoveMs, await resumedSince(performance.now()));
    }
    const ids = await stream.stop();
    await world.drained(120_000);
    const untilMs = await world.broker.now();
    await world.decided([uid], untilMs, COMPARED_EVERY_MS + 30_000);
    const told = [...processes.flatMap(({ lines }) => lines), ...stream.said];
    return {
      ...{ runs: ids.length, lost: await world.lost(ids), exposed, slowestResumeMs },
      ...{ keysMoved, failedByMoves, slowestResumeAfterMoveMs, longestGapMs: stream.longestGapMs },
      extraExecutions: begunTwice(world),
      crossSlots: linesWith(told, 'CROSSSLOT'),
      halfRun: linesWith(told, 'non local key'),
      ...(await world.slots([[uid, EVERY]], { fromMs, untilMs })),
    };
  },
  accept: {
    'no call ever spans two slots (CROSSSLOT)': ({ crossSlots }) => crossSlots === 0,
    'no transition begins where a part of the queue has gone': ({ halfRun }) => halfRun === 0,
    'runs begin again within 15 s': ({ slowestResumeMs }) => slowestResumeMs <= 15_000,
    'no more is lost than was acknowledged in 1.5 s': ({ lost, exposed }) => lost <= exposed,
    'a move is met by calls that fail, and runs begin again within 15 s of its end': ({
      keysMoved,
      failedByMoves,
      slowestResumeAfterMoveMs,
    }) => keysMoved > 0 && failedByMoves > 0 && slowestResumeAfterMoveMs <= 15_000,
    'bodies begin again only where a lost master had heard of their end': ({ extraExecutions }, { times }) =>
      extraExecutions <= times * CONCURRENCY,
    'each slot of the schedule has one decision': (figures) => decidedOnce(figures),
  },
});
