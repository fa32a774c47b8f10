/** Row 36: schedules that nobody served for hours are served again, all at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { percentile } from '../../../bench/lib/statistics.ts';
import { until } from '../../support/until.ts';
import { dateBack } from '../date-back.ts';
import { RawRedis } from '../raw-redis.ts';
import { defineRow } from '../row.ts';
import { allAdopted, schedulesOf } from '../schedules.ts';
import { inChunks, QUEUE, World } from '../world.ts';

const EVERY = '1m';
const EVERY_MS = 60_000;
const HOUR_MS = 3_600_000;
const LOOK_EVERY_MS = 10;

/** Asks Redis for a sign of life again and again. @returns how long each took, ms, once `isOver` */
async function latencies(client: Redis, isOver: () => boolean): Promise<readonly number[]> {
  const tookMs: number[] = [];
  while (!isOver()) {
    const sentAt = performance.now();
    await client.ping();
    tookMs.push(performance.now() - sentAt);
    await sleep(LOOK_EVERY_MS);
  }
  return tookMs;
}

/** Whose newest slot fired, and how many older ones did. */
async function catchUps(
  world: World,
  uids: readonly string[],
  newestMs: number,
): Promise<{ readonly caughtUp: number; readonly olderFired: number }> {
  const { schedules } = world.broker.queue(QUEUE);
  // A minute may have passed meanwhile: then its slot, which is on time, stands for the late ones.
  const decisions = await inChunks(uids, (uid) => schedules.decisions(uid, { limit: 1_000 }));
  const fired = decisions.map((records) => records.filter(({ decision }) => decision === 'fired'));
  return {
    caughtUp: fired.filter((records) => records.some(({ toMs }) => toMs >= newestMs)).length,
    olderFired: fired.flat().filter(({ fromMs }) => fromMs < newestMs).length,
  };
}

export const catchUpStorm = defineRow({
  row: 36,
  fault: 'thousands of schedules wake up after hours',
  injection:
    'schedules of every minute that a scheduler has adopted; it is stopped, what Redis holds of them is edited as if the last decision were six hours old, and a scheduler is started',
  promise:
    'each fires its newest slot and no other, Redis answers others meanwhile, and all is done within 5 min',
  short: { schedules: 1_000, hours: 6 },
  long: { schedules: 10_000, hours: 6 },
  async run({ schedules, hours }, { build }) {
    await using world = await World.start(build);
    const { folder, uids, timings } = schedulesOf(world, schedules, EVERY, 'concurrencyPolicy: Allow');
    const first = await world.scheduler(folder);
    await allAdopted(world, schedules);
    first.signal('SIGTERM');
    await first.exited;
    using raw = new RawRedis(world.redis.port);
    const { client } = raw;
    const stoppedMs = Math.floor(((await world.broker.now()) - hours * HOUR_MS) / EVERY_MS) * EVERY_MS;
    await dateBack(client, uids, stoppedMs);
    const begunMs = await world.broker.now();
    const newestMs = Math.floor(begunMs / EVERY_MS) * EVERY_MS;
    let isOver = false;
    const probing = latencies(client, () => isOver);
    await world.scheduler(folder);
    // The states of all of them are much to ask for: asked again and again, they would be what Redis is slow by.
    await until(
      'each has its run',
      async () => {
        const { pending, delayed } = await world.stats();
        return pending + delayed >= schedules;
      },
      { deadlineMs: 300_000 },
    ).finally(() => (isOver = true));
    await world.decided(uids, newestMs);
    const doneMs = (await world.broker.now()) - begunMs;
    const tookMs = await probing;
    return {
      schedules,
      ...(await catchUps(world, uids, newestMs)),
      ...(await world.slots(timings, { fromMs: stoppedMs + 1, untilMs: newestMs + 1 })),
      doneMs,
      redisP99Ms: Math.ceil(percentile(tookMs, 0.99)),
      redisWorstMs: Math.ceil(Math.max(...tookMs)),
    };
  },
  accept: {
    'each fires its newest slot': ({ caughtUp, schedules }) => caughtUp === schedules,
    'and no older one': ({ olderFired }) => olderFired === 0,
    'each slot of the six hours has one decision': ({ slots, undecided, doubled }, { schedules, hours }) =>
      slots === schedules * hours * 60 && undecided === 0 && doubled === 0,
    'of others who ask Redis meanwhile 99 of 100 are answered within 50 ms': ({ redisP99Ms }) =>
      redisP99Ms <= 50,
    'all is done within 5 min': ({ doneMs }) => doneMs <= 300_000,
  },
});
