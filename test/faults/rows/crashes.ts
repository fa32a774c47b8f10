/** Row 32: a process is killed at each of the transitions that it asks for, and another takes over. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { scriptSource, SCRIPT_NAMES } from '../../../src/broker/redis/scripts.ts';
import type { BuildCopy } from '../../support/build-copy.ts';
import type { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';
import { CrashProxy, type CrashPoint } from '../crash-proxy.ts';
import { dateBack } from '../date-back.ts';
import { copyAll, endState } from '../end-state.ts';
import { RawRedis } from '../raw-redis.ts';
import { defineRow } from '../row.ts';
import { allAdopted, EACH_SLOT } from '../schedules.ts';
import { NAMESPACE, QUEUE, World } from '../world.ts';

const DAY_MS = 24 * 3_600_000;
/** Three slots of these are owed, and no other falls due while the row runs, unless a week ends in it. */
const EVERY = '168h';
const OWED_MS = 21 * DAY_MS;
const POINTS_AT_ONCE = 4;
const DEADLINE_MS = 240_000;

/** The same work for a process that dies and for one that does not. */
interface Scenario {
  /** Makes what Redis holds in the beginning. */
  readonly prepare: (world: World) => Promise<void>;
  /** Starts the process that does the work, by that way to Redis. */
  readonly start: (world: World, url: string, prepared: World) => TidemillProcess;
  readonly isDone: (world: World) => Promise<boolean>;
  /** Whether nothing is left of one that was there before. */
  readonly hasTakenOver: (world: World, process: TidemillProcess) => Promise<boolean>;
}

const NAMES = ['one', 'two', 'edited', 'gone'];
const spec = (task: string): string => `task: ${task}, every: ${EVERY}, ${EACH_SLOT}`;

/** Owed slots, an edit, an object that is gone, and a run by hand: all that a scheduler writes, in one start. */
const scheduler: Scenario = {
  async prepare(world) {
    const before = world.schedules(
      'before',
      NAMES.map((name) => [name, spec('tick')] as const),
    );
    const process = await world.scheduler(before);
    const uids = NAMES.map((name) => world.uid(name));
    const { schedules } = world.broker.queue(QUEUE);
    await allAdopted(world, NAMES.length);
    process.signal('SIGTERM');
    await process.exited;
    using raw = new RawRedis(world.redis.port);
    await dateBack(raw.client, uids, (await world.broker.now()) - OWED_MS);
    await schedules.request(world.uid('one'), { request: 'by-hand' });
    world.schedules('after', [
      ['one', spec('tick')],
      ['two', spec('tick')],
      ['edited', spec('work')],
    ]);
  },
  start: (world, url, { folder }) =>
    world.process('scheduler', [join(folder, 'after'), '--namespace', NAMESPACE], { url }),
  hasTakenOver: (_world, { lines }) =>
    Promise.resolve(lines.some((line) => line.includes('this scheduler leads now'))),
  async isDone(world) {
    const { schedules } = world.broker.queue(QUEUE);
    const states = await schedules.states(NAMES.map((name) => world.uid(name)));
    const [one, two, edited, gone] = states;
    const nowMs = await world.broker.now();
    const isCurrent = (watermarkMs = 0): boolean => watermarkMs > nowMs - 7 * DAY_MS;
    return (
      [one, two, edited].every((state) => isCurrent(state?.watermarkMs)) &&
      edited?.generation !== one?.generation &&
      gone?.withdrawn === true &&
      (await schedules.requested('default', 10)).length === 0
    );
  },
};

const RUNS = 6;

/** Runs at once and later, and one that fails at first: claims, settlements, a retry and promotions. */
const consumer: Scenario = {
  async prepare(world) {
    await world.enqueue('work', RUNS, { ms: 20 });
    await world.client.enqueue('stumble', {}, { id: 'stumble-0' });
    await world.client.enqueue('work', { ms: 20 }, { id: 'later-0', delay: '500ms' });
  },
  start: (world, url) => world.startConsumer({ url, flags: ['--concurrency', '2'] }),
  async hasTakenOver(world, { pid }) {
    const consumers = await world.consumers();
    return consumers.length === 1 && consumers[0]?.pid === pid;
  },
  async isDone(world) {
    const { pending, delayed, running, retainedSucceeded } = await world.stats();
    return pending + delayed + running === 0 && retainedSucceeded >= RUNS + 2;
  },
};

interface History {
  readonly state: readonly string[];
  readonly transitions: number;
  readonly wasKilled: boolean;
}

class Crashes {
  readonly #build: BuildCopy;
  readonly #scenario: Scenario;
  readonly #prepared: World;

  constructor(build: BuildCopy, scenario: Scenario, prepared: World) {
    this.#build = build;
    this.#scenario = scenario;
    this.#prepared = prepared;
  }

  /** The work from its beginning; after a kill by a process that takes over. Both stop in order when they have done it. */
  async history(point?: CrashPoint): Promise<History> {
    await using world = await World.start(this.#build);
    await copyAll(this.#prepared.redis.port, world.redis.port);
    // Else the first call of each script would be asked for twice, and the points would be other ones than the writes.
    for (const name of SCRIPT_NAMES) await world.redis.command('SCRIPT', 'LOAD', scriptSource(name));
    await using proxy = await CrashProxy.start(world.redis.port, point);
    const first = await this.#work(world, proxy.url, () => proxy.isReached);
    // Its last transitions are those of an orderly stop.
    if (!proxy.isReached) first.signal('SIGTERM');
    await Promise.race([proxy.reached, first.exited]);
    if (proxy.isReached) {
      first.signal('SIGKILL');
      await first.exited;
      const second = await this.#work(world, world.redis.url);
      second.signal('SIGTERM');
      assert.equal((await second.exited).code, 0, second.lines.join('\n'));
    }
    return {
      state: await endState(world.redis.port),
      transitions: proxy.transitions,
      wasKilled: proxy.isReached,
    };
  }

  /** A process does what is left to do, or until `isOver`. One that ends by itself is started again, as Kubernetes would do. */
  async #work(world: World, url: string, isOver = (): boolean => false): Promise<TidemillProcess> {
    const { start, isDone, hasTakenOver } = this.#scenario;
    let process = start(world, url, this.#prepared);
    const look = async (): Promise<boolean> => {
      if (isOver()) return true;
      if (!process.running) process = start(world, url, this.#prepared);
      return (await isDone(world)) && (await hasTakenOver(world, process));
    };
    await until('the work is done', () => look().catch(() => false), { deadlineMs: DEADLINE_MS });
    return process;
  }
}

interface Differences {
  readonly transitions: number;
  readonly kills: number;
  readonly otherEndStates: number;
  /** What is other, for whoever looks into it. */
  readonly told: readonly string[];
}

async function killAtEach(
  build: BuildCopy,
  scenario: Scenario,
  most: number,
  sides: number,
): Promise<Differences> {
  await using prepared = await World.start(build);
  await scenario.prepare(prepared);
  const crashes = new Crashes(build, scenario, prepared);
  const whole = await crashes.history();
  const points = Array.from({ length: Math.min(most, whole.transitions) }, (_, index): CrashPoint[] =>
    // Before a transition Redis is as after the one before it: of the short form only the first is killed before.
    sides === 2 || index === 0
      ? [
          { at: index + 1, side: 'before' },
          { at: index + 1, side: 'after' },
        ]
      : [{ at: index + 1, side: 'after' }],
  ).flat();
  let [kills, otherEndStates] = [0, 0];
  const told: string[] = [];
  const lane = async (): Promise<void> => {
    for (let point = points.shift(); point !== undefined; point = points.shift()) {
      const { at, side } = point;
      const { state, wasKilled } = await crashes.history(point);
      if (wasKilled) kills += 1;
      const other = [
        ...state.filter((line) => !whole.state.includes(line)).map((line) => `+ ${line}`),
        ...whole.state.filter((line) => !state.includes(line)).map((line) => `- ${line}`),
      ];
      if (other.length === 0) continue;
      otherEndStates += 1;
      told.push(`killed ${side} transition ${at}:`, ...other);
    }
  };
  await Promise.all(Array.from({ length: POINTS_AT_ONCE }, lane));
  return { transitions: whole.transitions, kills, otherEndStates, told };
}

export const crashesAnywhere = defineRow({
  row: 32,
  fault: 'a crash between any two writes',
  injection:
    'a proxy counts the transitions that a scheduler (owed slots, an edit, a deletion, a run by hand) and a consumer (runs at once, later, with a retry) ask Redis for, from start to stop, and each is killed with -9 at each of them; another does the rest',
  promise: 'whatever the point, Redis holds in the end what it holds without a crash',
  waits: true,
  short: { most: 9, sides: 1 },
  long: { most: 1_000, sides: 2 },
  async run({ most, sides }, { build }) {
    const [ofScheduler, ofConsumer] = await Promise.all([
      killAtEach(build, scheduler, most, sides),
      killAtEach(build, consumer, most, sides),
    ]);
    for (const line of [...ofScheduler.told, ...ofConsumer.told]) process.stderr.write(`  ${line}\n`);
    return {
      schedulerTransitions: ofScheduler.transitions,
      schedulerKills: ofScheduler.kills,
      schedulerOtherEnds: ofScheduler.otherEndStates,
      consumerTransitions: ofConsumer.transitions,
      consumerKills: ofConsumer.kills,
      consumerOtherEnds: ofConsumer.otherEndStates,
    };
  },
  accept: {
    'a scheduler was killed at least at ten points': ({ schedulerKills }) => schedulerKills >= 10,
    'a consumer too': ({ consumerKills }) => consumerKills >= 10,
    'after each death of a scheduler the end is the same': ({ schedulerOtherEnds }) =>
      schedulerOtherEnds === 0,
    'after each death of a consumer too': ({ consumerOtherEnds }) => consumerOtherEnds === 0,
  },
});
