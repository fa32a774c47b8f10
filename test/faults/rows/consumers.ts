/** Rows 1, 2, 22 and 42: consumers that are killed, frozen, poisoned, or told to stop. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RandomSource } from '../../support/random.ts';
import type { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';
import { defineRow } from '../row.ts';
import { inChunks, killAndRecover, QUEUE, World } from '../world.ts';

const PROMISED_RECOVERY_MS = 15_000;
const CONCURRENCY = 50;
const flags = ['--concurrency', String(CONCURRENCY)];
const CHUNK = 20_000;

async function enqueueMany(world: World, runs: number, ms: number): Promise<readonly string[]> {
  const ids: string[] = [];
  while (ids.length < runs)
    ids.push(...(await world.enqueue('work', Math.min(CHUNK, runs - ids.length), { ms }, ids.length)));
  return ids;
}

export const killedConsumers = defineRow({
  row: 1,
  fault: 'a consumer dies',
  injection: 'kill -9 of one of four consumers under load, again and again, each replaced',
  promise: 'no run is lost or settled twice, and what a dead consumer held is back within 15 s',
  short: { runs: 8_000, ms: 60, gapMs: 700 },
  long: { runs: 1_000_000, ms: 20, gapMs: 700 },
  async run({ runs, ms, gapMs }, { build }) {
    await using world = await World.start(build);
    const random = new RandomSource(1);
    const consumers: TidemillProcess[] = await Promise.all([1, 2, 3, 4].map(() => world.consumer({ flags })));
    const ids = await enqueueMany(world, runs, ms);
    const recoveries: Promise<number>[] = [];
    const replacements: Promise<unknown>[] = [];
    while ((await world.stats()).pending > 0) {
      const victim = random.pick(consumers);
      if (victim !== undefined) {
        consumers.splice(consumers.indexOf(victim), 1);
        recoveries.push(killAndRecover(world, victim));
        replacements.push(world.consumer({ flags }).then((started) => consumers.push(started)));
      }
      await sleep(gapMs);
      await until('three are left', () => consumers.length >= 3, { deadlineMs: 120_000 });
    }
    await Promise.all(replacements);
    const recoveredMs = await Promise.all(recoveries);
    const account = await world.account(ids, 300_000);
    return { ...account, kills: recoveries.length, slowestRecoveryMs: Math.max(0, ...recoveredMs) };
  },
  accept: {
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'some consumers were killed': ({ kills }) => kills >= 3,
    'bodies begin again only where a killed consumer held them': ({ extraExecutions, kills }) =>
      extraExecutions <= kills * CONCURRENCY,
    'the runs of each are back within 15 s': ({ slowestRecoveryMs }) =>
      slowestRecoveryMs <= PROMISED_RECOVERY_MS,
  },
});

export const frozenConsumer = defineRow({
  row: 2,
  fault: 'a consumer freezes past its lease, and wakes up',
  injection: 'SIGSTOP of a consumer that holds runs, SIGCONT after the given time',
  promise: 'what it reports when it is back is refused, and no run ends twice',
  waits: true,
  short: { runs: 20, frozenMs: 16_000 },
  long: { runs: 50, frozenMs: 29_000 },
  async run({ runs, frozenMs }, { build }) {
    await using world = await World.start(build);
    const frozen = await world.consumer({ flags });
    // Longer than another consumer takes to start: it must be there when the first one freezes, and hold none of them.
    const ids = await world.enqueue('work', runs, { ms: 12_000 });
    await until('it holds them all', () => world.executions() === runs);
    await world.consumer({ flags });
    frozen.signal('SIGSTOP');
    const frozenAt = performance.now();
    let firstTakenMs = Infinity;
    await until(
      'it has been frozen for long enough',
      () => {
        const passedMs = performance.now() - frozenAt;
        if (world.executions() > runs) firstTakenMs = Math.min(firstTakenMs, passedMs);
        return passedMs >= frozenMs;
      },
      { deadlineMs: frozenMs + 10_000 },
    );
    frozen.signal('SIGCONT');
    await frozen.line(/lease/i, 30_000);
    for (const id of ids) await world.client.cancel(id, { queue: QUEUE });
    const account = await world.account(ids);
    return { ...account, firstTakenMs: Math.round(firstTakenMs) };
  },
  accept: {
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'at least one began once more, and none a third time': ({ extraExecutions, runs }) =>
      extraExecutions > 0 && extraExecutions <= runs,
    'none began elsewhere before the lease could be over (10 s, less the 2.5 s since its last renewal)': ({
      firstTakenMs,
    }) => firstTakenMs >= 7_500,
    'the first began elsewhere within 15 s': ({ firstTakenMs }) => firstTakenMs <= PROMISED_RECOVERY_MS,
  },
});

export const poisonedRun = defineRow({
  row: 22,
  fault: 'a run that kills its process each time',
  injection:
    'a task that sends SIGKILL to its own consumer, among runs that do no harm; dead consumers are replaced',
  promise: 'it is dead-lettered after three deaths as the only suspect; no innocent run is; the others go on',
  waits: true,
  short: { runs: 3_000, poisons: 1 },
  long: { runs: 50_000, poisons: 4 },
  async run({ runs, poisons }, { build }) {
    await using world = await World.start(build);
    const consumers: TidemillProcess[] = await Promise.all([1, 2, 3].map(() => world.consumer({ flags })));
    const innocent = await world.enqueue('work', runs, { ms: 100 });
    const poison = await world.enqueue('poison', poisons);
    let deaths = 0;
    let stopped = false;
    const keepers = consumers.map(async (first) => {
      let mine = first;
      while (true) {
        await mine.exited;
        if (stopped) return;
        deaths += 1;
        mine = await world.consumer({ flags });
      }
    });
    const account = await world.account([...innocent, ...poison], 300_000);
    stopped = true;
    const failedOf = async (ids: readonly string[]): Promise<number> => {
      const records = await inChunks(ids, (id) => world.client.get(id, { queue: QUEUE }));
      return records.filter((record) => record?.error?.reason === 'TooManyDeliveries').length;
    };
    const [poisonDeadLettered, innocentDeadLettered] = [await failedOf(poison), await failedOf(innocent)];
    for (const { pid } of await world.consumers()) process.kill(pid, 'SIGKILL');
    await Promise.all(keepers);
    return { ...account, deaths, poisonDeadLettered, innocentDeadLettered };
  },
  accept: {
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'each poisoned run is dead-lettered': ({ poisonDeadLettered }, { poisons }) =>
      poisonDeadLettered === poisons,
    'no innocent run is dead-lettered': ({ innocentDeadLettered }) => innocentDeadLettered === 0,
    'it took four deaths at most: one among neighbours, three alone': ({ deaths }, { poisons }) =>
      deaths >= 3 * poisons && deaths <= 4 * poisons,
  },
});

export const drainedConsumers = defineRow({
  row: 42,
  fault: 'pods are told to stop under load',
  injection: 'SIGTERM to one consumer after the other under load, each replaced',
  promise: 'exit 0 within the grace, no run is lost, none runs twice if the grace suffices',
  short: { stops: 5 },
  long: { stops: 100 },
  async run({ stops }, { build }) {
    await using world = await World.start(build);
    const consumers = [await world.consumer({ flags }), await world.consumer({ flags })];
    const ids: string[] = [];
    let [slowestExitMs, badExits] = [0, 0];
    for (let stop = 0; stop < stops; stop += 1) {
      ids.push(...(await world.enqueue('work', 1_000, { ms: 50 }, ids.length)));
      const target = world.executions() + 100;
      await until('enough of them began', () => world.executions() >= target);
      const leaving = consumers.shift();
      leaving?.signal('SIGTERM');
      const startMs = performance.now();
      const exit = await leaving?.exited;
      slowestExitMs = Math.max(slowestExitMs, Math.round(performance.now() - startMs));
      if (exit?.code !== 0) badExits += 1;
      consumers.push(await world.consumer({ flags }));
    }
    const account = await world.account(ids);
    return { ...account, slowestExitMs, badExits };
  },
  accept: {
    'no run is lost': ({ lost }) => lost === 0,
    'no run is settled twice': ({ settledTwice }) => settledTwice === 0,
    'no body begins twice': ({ extraExecutions }) => extraExecutions === 0,
    'each exits with 0': ({ badExits }) => badExits === 0,
    'each is gone within 5 s': ({ slowestExitMs }) => slowestExitMs <= 5_000,
  },
});
