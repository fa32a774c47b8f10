/** Rows 13 to 15: the master behind Sentinel is killed, replaced by plan, or frozen and back as a stale one. */
import type { BuildCopy } from '../../support/build-copy.ts';
import { SentinelGroup } from '../../support/sentinels.ts';
import type { SlotAccount } from '../../support/slot-account.ts';
import { until } from '../../support/until.ts';
import { defineRow } from '../row.ts';
import { COMPARED_EVERY_MS, decidedOnce, EACH_SLOT } from '../schedules.ts';
import { EXPOSED_MS, Stream } from '../stream.ts';
import { World } from '../world.ts';

const EVERY = '500ms';

interface Failover extends SlotAccount {
  readonly runs: number;
  /** Acknowledged runs that the new master does not know, or that never end. */
  readonly lost: number;
  /** Acknowledged in the window in which a failover may lose writes. */
  readonly exposed: number;
  readonly longestGapMs: number;
}

/** @param strike - what befalls the master; resolves when another one is the master */
async function failover(
  build: BuildCopy,
  times: number,
  strike: (group: SentinelGroup) => Promise<void>,
): Promise<Failover> {
  await using group = await SentinelGroup.start();
  const { url, sentinels } = group.address;
  const master = await until('there is a master', () => group.master());
  await using world = await World.on(master, build, { url, sentinels });
  const flags = ['--redis-sentinels', sentinels.nodes.join(','), '--redis-sentinel-name', sentinels.name];
  await world.consumer({ url: master.url, flags });
  const uid = world.uid('job');
  await world.scheduler(world.schedules('jobs', [['job', `task: tick, every: ${EVERY}, ${EACH_SLOT}`]]), {
    url: master.url,
    flags,
  });
  const fromMs = (await world.broker.now()) + 2_000;
  await world.decided([uid], fromMs + 1_000);
  const stream = new Stream(world.client, 'work', { ms: 5 });
  let exposed = 0;
  for (let time = 0; time < times; time += 1) {
    const target = stream.acknowledged + 500;
    await until('the load runs', () => stream.acknowledged >= target);
    await group.replicated();
    const [before, startedAt] = [stream.acknowledged, performance.now()];
    let within = before;
    const counting = until('the window is over', () => {
      within = stream.acknowledged;
      return performance.now() - startedAt >= EXPOSED_MS;
    });
    await strike(group);
    await counting;
    exposed += within - before;
    const resumed = stream.acknowledged;
    await until('enqueues are acknowledged again', () => stream.acknowledged > resumed + 100);
  }
  const ids = await stream.stop();
  await world.drained(120_000);
  const untilMs = await world.broker.now();
  await world.decided([uid], untilMs, COMPARED_EVERY_MS + 30_000);
  const lost = await world.lost(ids);
  const slots = await world.slots([[uid, EVERY]], { fromMs, untilMs });
  return { runs: ids.length, lost, exposed, longestGapMs: stream.longestGapMs, ...slots };
}

async function another(group: SentinelGroup, than: unknown): Promise<void> {
  await until('another is the master', async () => {
    const now = await group.master();
    return now !== undefined && now !== than;
  });
}

interface FailoverRow {
  readonly row: number;
  readonly fault: string;
  readonly injection: string;
  readonly promise: string;
  /** Longest time without an acknowledged enqueue. */
  readonly gapSeconds: number;
  readonly strike: (group: SentinelGroup) => Promise<void>;
}

const failoverRow = ({ gapSeconds, strike, ...words }: FailoverRow) =>
  defineRow<'times', keyof Failover>({
    ...words,
    waits: true,
    short: { times: 1 },
    long: { times: 10 },
    run: ({ times }, { build }) => failover(build, times, strike),
    accept: {
      'each slot has one decision': decidedOnce,
      'no more is lost than was acknowledged in 1.5 s': ({ lost, exposed }) => lost <= exposed,
      [`enqueues stand still for ${gapSeconds} s at most`]: ({ longestGapMs }) =>
        longestGapMs <= gapSeconds * 1_000,
    },
  });

export const killedMaster = failoverRow({
  row: 13,
  fault: 'the master behind Sentinel is killed',
  injection:
    'kill -9 of the master under load; the replica takes over, the old master comes back as a replica',
  promise: 'slots are decided once; runs enqueued by hand in the last moments may be lost, and are counted',
  gapSeconds: 10,
  async strike(group) {
    const master = await group.master();
    await master?.kill();
    await another(group, master);
    await master?.restart();
  },
});

export const plannedFailover = failoverRow({
  row: 14,
  fault: 'a planned failover',
  injection: 'SENTINEL FAILOVER under load',
  promise: 'slots are decided once; runs enqueued by hand in the window are lost, and are counted',
  gapSeconds: 10,
  strike: (group) => group.failover(),
});

export const staleMaster = failoverRow({
  row: 15,
  fault: 'a frozen master wakes up after another has taken over',
  injection: 'SIGSTOP of the master until the replica has taken over, SIGCONT, under load',
  promise: 'nobody stays with the old master; slots are decided once, what was lost by hand is counted',
  gapSeconds: 15,
  async strike(group) {
    const master = await group.master();
    master?.freeze();
    await another(group, master);
    master?.thaw();
  },
});
