/** Row 44: the present build and one that is newer work on one Redis, while each takes the place of the other. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_PREFIX, queueKeys } from '../../../src/broker/redis/keys.ts';
import type { BuildCopy } from '../../support/build-copy.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { NEW_FIELD, NEW_VALUE, nextBuild } from '../next-build.ts';
import { RawRedis } from '../raw-redis.ts';
import { defineRow } from '../row.ts';
import { decidedOnce, schedulesOf } from '../schedules.ts';
import { inChunks, QUEUE, World } from '../world.ts';

const PRODUCER = join(import.meta.dirname, '../../fixtures/faults/producer.ts');
const EVERY = '500ms';
const IDS_AT_ONCE = 500;
const keys = queueKeys(DEFAULT_PREFIX, QUEUE);

type Side = 'present' | 'next';
const other = (side: Side): Side => (side === 'present' ? 'next' : 'present');

/** Two processes of each kind; one after the other is replaced by one of the other build. */
class Fleet implements AsyncDisposable {
  readonly #world: World;
  readonly #builds: Readonly<Record<Side, BuildCopy>>;
  readonly #folder: string;
  readonly #producers = new AsyncDisposableStack();
  readonly #sideOfPid = new Map<number, Side>();
  readonly #acked: { readonly side: Side; readonly file: string }[] = [];
  readonly #members: {
    side: Side;
    process: TidemillProcess;
    readonly start: (side: Side) => Promise<TidemillProcess>;
  }[] = [];
  replacements = 0;
  badExits = 0;

  constructor(world: World, builds: Readonly<Record<Side, BuildCopy>>, folder: string) {
    this.#world = world;
    this.#builds = builds;
    this.#folder = folder;
  }

  /** How many processes there are at a time. */
  get size(): number {
    return this.#members.length;
  }

  /** The newer build leads and writes first, so that the present one meets what it has written. */
  async start(): Promise<void> {
    const consumer = (side: Side): Promise<TidemillProcess> =>
      this.#world.consumer({ build: this.#builds[side], flags: ['--concurrency', '20'] });
    const scheduler = (side: Side): Promise<TidemillProcess> =>
      this.#world.scheduler(this.#folder, { build: this.#builds[side] });
    const producer = (side: Side): Promise<TidemillProcess> => this.#produce(side);
    for (const start of [scheduler, consumer, producer])
      for (const side of ['next', 'present'] as const)
        this.#members.push({ side, process: this.#noted(side, await start(side)), start });
  }

  /** Replaces the process whose turn it is; the new one is there before the next has its turn. */
  async replaceOne(): Promise<void> {
    const member = this.#members[this.replacements % this.#members.length];
    assert.ok(member !== undefined);
    await this.#stop(member.process);
    member.side = other(member.side);
    member.process = this.#noted(member.side, await member.start(member.side));
    this.replacements += 1;
  }

  async stopProducers(): Promise<void> {
    const producers = this.#members.filter(({ process }) => process.lines.includes('producing'));
    for (const { process } of producers) await this.#stop(process);
  }

  /** Ids of acknowledged runs, by the build that enqueued them. */
  acknowledged(side: Side): readonly string[] {
    const files = this.#acked.filter((acked) => acked.side === side && existsSync(acked.file));
    return files.flatMap(({ file }) => readFileSync(file, 'utf8').split('\n').filter(Boolean));
  }

  /** Which build has begun the run, in order. */
  beginnersOf(ledger: string): ReadonlyMap<string, readonly Side[]> {
    const sides = new Map<string, Side[]>();
    for (const line of readFileSync(ledger, 'utf8').split('\n')) {
      const [event, id, , pid] = line.split(' ');
      const side = this.#sideOfPid.get(Number(pid));
      if (event !== 'begin' || id === undefined || side === undefined) continue;
      sides.set(id, [...(sides.get(id) ?? []), side]);
    }
    return sides;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producers[Symbol.asyncDispose]();
  }

  async #stop(process: TidemillProcess): Promise<void> {
    process.signal('SIGTERM');
    if ((await process.exited).code !== 0) this.badExits += 1;
  }

  #noted(side: Side, process: TidemillProcess): TidemillProcess {
    this.#sideOfPid.set(process.pid, side);
    return process;
  }

  async #produce(side: Side): Promise<TidemillProcess> {
    const name = `producer-${this.#acked.length}`;
    const file = join(this.#world.folder, name);
    this.#acked.push({ side, file });
    const entry = this.#builds[side].add(PRODUCER);
    const process = new TidemillProcess([this.#world.redis.url, name, file], {}, entry);
    this.#producers.use(process);
    await process.line(/^producing$/);
    return process;
  }
}

/** What became of all that was enqueued, and by which build. */
async function runsOf(world: World, fleet: Fleet) {
  const [byPresent, byNext] = [fleet.acknowledged('present'), fleet.acknowledged('next')];
  const ids = [...byPresent, ...byNext];
  await world.drained(60_000);
  const { runs } = world.broker.queue(QUEUE);
  const succeeded = (await inChunks(ids, (id) => runs.get(id))).filter((run) => run?.state === 'succeeded');
  const begun = fleet.beginnersOf(world.ledger);
  const times = (id: string): number => begun.get(id)?.length ?? 0;
  return {
    ...{ runs: ids.length, lost: ids.length - succeeded.length },
    begunOnceTooOften: ids.filter((id) => times(id) > (id.includes('stumble') ? 2 : 1)).length,
    olderRanNewer: byNext.filter((id) => begun.get(id)?.includes('present')).length,
    newerRanOlder: byPresent.filter((id) => begun.get(id)?.includes('next')).length,
    retriedByTheOther: ids.filter((id) => new Set(begun.get(id)).size === 2).length,
  };
}

/** In how many runs, schedules and queues that the newer build has written its field is gone. */
async function fieldsLost(world: World, fleet: Fleet, uids: readonly string[]): Promise<number> {
  using raw = new RawRedis(world.redis.port);
  const { client } = raw;
  const ids = fleet.acknowledged('next');
  const kept = await Promise.all([
    ...uids.map((uid) => client.hget(keys.schedule(uid), NEW_FIELD)),
    client.hget(keys.meta, NEW_FIELD),
  ]);
  let lost = kept.filter((value) => value !== NEW_VALUE).length;
  for (let start = 0; start < ids.length; start += IDS_AT_ONCE) {
    const texts = await client.hmget(keys.runs, ...ids.slice(start, start + IDS_AT_ONCE));
    lost += texts.filter((text) => text?.includes(`"${NEW_FIELD}":"${NEW_VALUE}"`) !== true).length;
  }
  return lost;
}

export const twoBuilds = defineRow({
  row: 44,
  fault: 'two builds work on one Redis',
  injection:
    'the present build, and a copy that says it is a later version and writes one more field into runs, schedules, consumers and queue: consumers, schedulers and producers of both, each in turn replaced by one of the other build, under load',
  promise:
    'no run is lost or runs twice, no slot is decided twice, and fields that a build does not know stay',
  short: { lengthMs: 10_000, schedules: 10 },
  long: { lengthMs: 600_000, schedules: 100 },
  async run({ lengthMs, schedules }, { build: present }) {
    using next = nextBuild();
    await using world = await World.start(present);
    const { folder, uids, timings } = schedulesOf(world, schedules, EVERY);
    await using fleet = new Fleet(world, { present, next }, folder);
    await fleet.start();
    const fromMs = (await world.broker.now()) + 2_000;
    await world.decided(uids, fromMs);
    const startMs = performance.now();
    while (performance.now() - startMs < lengthMs || fleet.replacements < fleet.size)
      await fleet.replaceOne();
    await fleet.stopProducers();
    const untilMs = await world.broker.now();
    await world.decided(uids, untilMs);
    return {
      ...{ replacements: fleet.replacements, badExits: fleet.badExits },
      ...(await runsOf(world, fleet)),
      ...(await world.slots(timings, { fromMs, untilMs })),
      fieldsLost: await fieldsLost(world, fleet, uids),
    };
  },
  accept: {
    'each was replaced at least once': ({ replacements }) => replacements >= 6,
    'each that was told to stop ended with 0': ({ badExits }) => badExits === 0,
    'no run is lost': ({ lost, runs }) => runs > 0 && lost === 0,
    'no body begins once too often': ({ begunOnceTooOften }) => begunOnceTooOften === 0,
    'each build ran what the other had enqueued, and retried what the other had begun': ({
      olderRanNewer,
      newerRanOlder,
      retriedByTheOther,
    }) => olderRanNewer > 0 && newerRanOlder > 0 && retriedByTheOther > 0,
    'each slot has one decision': (figures) => decidedOnce(figures),
    'no field is lost that only the newer build knows': ({ fieldsLost }) => fieldsLost === 0,
  },
});
