/** Rows 24 to 26, 36 and 37: the leading scheduler is killed, stopped, frozen; too much falls due at once. */
import { percentile } from '../../../bench/lib/statistics.ts';
import type { BuildCopy } from '../../support/build-copy.ts';
import type { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';
import { defineRow } from '../row.ts';
import { allAdopted, decidedOnce, schedulesOf } from '../schedules.ts';
import { QUEUE, World } from '../world.ts';

const TAKEOVER_MS = 18_000;
const MARGIN_MS = 2_000;

/** Whoever said last that it leads, of those that live. */
function leaderOf(schedulers: readonly TidemillProcess[]): TidemillProcess | undefined {
  return schedulers.find((scheduler) => {
    const word = scheduler.lines.findLast((line) => /this scheduler leads now|no longer leads/.test(line));
    return scheduler.running && word?.includes('leads now');
  });
}

const leading = (schedulers: readonly TidemillProcess[]): Promise<TidemillProcess> =>
  until('one leads', () => leaderOf(schedulers), { deadlineMs: 60_000 });

/** How many runs there are beside those of the slots that fired: a slot that was enqueued twice under two ids would show. */
async function firedAndWaiting(
  world: World,
  uids: readonly string[],
): Promise<{ readonly fired: number; readonly inQueue: number }> {
  const states = await world.broker.queue(QUEUE).schedules.states(uids);
  const fired = states.reduce((sum, state) => sum + (state?.fired ?? 0), 0);
  const { pending, delayed } = await world.stats();
  return { fired, inQueue: pending + delayed };
}

interface Leaders {
  readonly world: World;
  /** Those that were ever started. */
  readonly all: TidemillProcess[];
  readonly start: () => Promise<TidemillProcess>;
  /** Resolves when every schedule has decided all up to `atMs`, or to now. */
  readonly decided: (atMs?: number) => Promise<void>;
}

/** Two schedulers serve schedules while `disturb` lasts; then each slot of that time is looked at. */
async function underLeaders<F extends string>(
  build: BuildCopy,
  { schedules, every }: { readonly schedules: number; readonly every: string },
  disturb: (leaders: Leaders) => Promise<Readonly<Record<F, number>>>,
) {
  await using world = await World.start(build);
  const { folder, uids, timings } = schedulesOf(world, schedules, every);
  const start = (): Promise<TidemillProcess> => world.scheduler(folder);
  const decided = async (atMs?: number): Promise<void> =>
    world.decided(uids, atMs ?? (await world.broker.now()));
  const all = [await start(), await start()];
  await leading(all);
  const fromMs = (await world.broker.now()) + MARGIN_MS;
  await decided(fromMs + MARGIN_MS);
  const seen = await disturb({ world, all, start, decided });
  const untilMs = await world.broker.now();
  await decided(untilMs);
  const { slots, undecided, doubled } = await world.slots(timings, { fromMs, untilMs });
  for (const scheduler of all) scheduler.signal('SIGTERM');
  await Promise.all(all.map(({ exited }) => exited));
  return { ...seen, slots, undecided, doubled, ...(await firedAndWaiting(world, uids)) };
}

export const killedLeaders = defineRow({
  row: 24,
  fault: 'the leading scheduler is killed',
  injection: 'kill -9 of the leader, again and again, each replaced; schedules every second',
  promise: 'another leads within 18 s; each slot is decided once',
  waits: true,
  short: { schedules: 200, kills: 1 },
  long: { schedules: 1_000, kills: 180 },
  run: ({ schedules, kills }, { build }) =>
    underLeaders(build, { schedules, every: '1s' }, async ({ all, start, decided }) => {
      let slowestTakeoverMs = 0;
      for (let kill = 0; kill < kills; kill += 1) {
        const leader = await leading(all);
        leader.signal('SIGKILL');
        const killedAt = performance.now();
        await leader.exited;
        all.push(await start());
        await leading(all);
        slowestTakeoverMs = Math.max(slowestTakeoverMs, Math.round(performance.now() - killedAt));
        await decided();
      }
      return { kills, slowestTakeoverMs };
    }),
  accept: {
    'each slot has one decision': (figures) => decidedOnce(figures),
    'each slot that fired is one run': ({ fired, inQueue }) => fired === inQueue,
    'another leads within 18 s': ({ slowestTakeoverMs }) => slowestTakeoverMs <= TAKEOVER_MS,
  },
});

export const stoppedLeader = defineRow({
  row: 25,
  fault: 'the leading scheduler is told to stop',
  injection: 'SIGTERM to the leader, again and again, each replaced',
  promise: 'exit 0, another leads within 5 s, each slot is decided once',
  waits: true,
  short: { schedules: 50, stops: 2 },
  long: { schedules: 1_000, stops: 50 },
  run: ({ schedules, stops }, { build }) =>
    underLeaders(build, { schedules, every: '500ms' }, async ({ all, start }) => {
      let [slowestTakeoverMs, badExits] = [0, 0];
      for (let stop = 0; stop < stops; stop += 1) {
        const leader = await leading(all);
        leader.signal('SIGTERM');
        const stoppedAt = performance.now();
        if ((await leader.exited).code !== 0) badExits += 1;
        await leading(all);
        slowestTakeoverMs = Math.max(slowestTakeoverMs, Math.round(performance.now() - stoppedAt));
        all.push(await start());
      }
      return { stops, slowestTakeoverMs, badExits };
    }),
  accept: {
    'each slot has one decision': (figures) => decidedOnce(figures),
    'each slot that fired is one run': ({ fired, inQueue }) => fired === inQueue,
    'each exits with 0': ({ badExits }) => badExits === 0,
    'another leads within 5 s': ({ slowestTakeoverMs }) => slowestTakeoverMs <= 5_000,
  },
});

export const frozenLeader = defineRow({
  row: 26,
  fault: 'the leading scheduler freezes past its lease, and wakes up',
  injection: 'SIGSTOP of the leader until another leads, and SIGCONT, again and again',
  promise: 'what it sends then is a duplicate or stale: each slot is decided once',
  waits: true,
  short: { schedules: 100, freezes: 1 },
  long: { schedules: 1_000, freezes: 20 },
  run: ({ schedules, freezes }, { build }) =>
    underLeaders(build, { schedules, every: '500ms' }, async ({ world, all, decided }) => {
      let wokenUp = 0;
      for (let freeze = 0; freeze < freezes; freeze += 1) {
        const leader = await leading(all);
        leader.signal('SIGSTOP');
        await leading(all.filter((scheduler) => scheduler !== leader));
        await decided();
        leader.signal('SIGCONT');
        await leader.line(/no longer leads/, 30_000);
        wokenUp += 1;
        await decided((await world.broker.now()) + MARGIN_MS);
      }
      return { wokenUp };
    }),
  accept: {
    'each slot has one decision': (figures) => decidedOnce(figures),
    'each slot that fired is one run': ({ fired, inQueue }) => fired === inQueue,
    'each woke up': ({ wokenUp }, { freezes }) => wokenUp === freezes,
  },
});

export const herd = defineRow({
  row: 37,
  fault: 'thousands of schedules fall due in the same second',
  injection: 'schedules with the same slots, and a look at when the runs of one slot were enqueued',
  promise: '99 of 100 are enqueued within 2 s, and the last within 5 s',
  short: { schedules: 1_000, everyMs: 5_000 },
  long: { schedules: 10_000, everyMs: 10_000 },
  async run({ schedules, everyMs }, { build }) {
    await using world = await World.start(build);
    const { folder, uids } = schedulesOf(world, schedules, `${everyMs}ms`);
    const scheduler = await world.scheduler(folder);
    await leading([scheduler]);
    await allAdopted(world, schedules);
    // The first slot after the adoption may be of few; the next is of all.
    const slotMs = (Math.floor((await world.broker.now()) / everyMs) + 2) * everyMs;
    await world.decided(uids, slotMs, 3 * everyMs + 30_000);
    const runId = (uid: string): string => `${uid}@${new Date(slotMs).toISOString()}`;
    const { runs } = world.broker.queue(QUEUE);
    const records = await Promise.all(uids.map((uid) => runs.get(runId(uid))));
    const lateMs = records.flatMap((record) => (record === undefined ? [] : [record.enqueuedAtMs - slotMs]));
    return {
      schedules,
      enqueued: lateMs.length,
      p99Ms: percentile(lateMs, 0.99),
      lastMs: Math.max(...lateMs),
    };
  },
  accept: {
    'each has its run': ({ enqueued, schedules }) => enqueued === schedules,
    '99 of 100 within 2 s': ({ p99Ms }) => p99Ms <= 2_000,
    'the last within 5 s': ({ lastMs }) => lastMs <= 5_000,
  },
});
