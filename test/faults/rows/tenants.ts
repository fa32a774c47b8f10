/** Row 45: one tenant floods its queue, or the queue that it shares; another goes on as before. */
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../../../bench/lib/statistics.ts';
import { QueueFullError } from '../../../src/client/client.ts';
import { defineRow } from '../row.ts';
import { QUEUE, World } from '../world.ts';

/** The queue of the tenant that floods; in the second part both share `QUEUE`. */
const FLOODED = 'flooded';
const BATCH = 500;
const EVERY_MS = 20;
const flags = ['--concurrency', '20'];

/** The other tenant: a run every now and then. @returns the wait of each, ms, by the clock of Redis */
class OtherTenant {
  readonly #world: World;
  readonly #prefix: string;
  readonly #ids: string[] = [];
  readonly #ended: Promise<void>;
  #stopped = false;
  refused = 0;

  constructor(world: World, prefix: string) {
    this.#world = world;
    this.#prefix = prefix;
    this.#ended = this.#run();
  }

  async stop(): Promise<readonly number[]> {
    this.#stopped = true;
    await this.#ended;
    const waits: number[] = [];
    for (const id of this.#ids) {
      const run = await this.#world.client.wait(id, { timeout: '2m' });
      waits.push((run.startedAtMs ?? Infinity) - run.enqueuedAtMs);
    }
    return waits;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const id = `${this.#prefix}-${this.#ids.length}`;
      try {
        this.#ids.push((await this.#world.client.enqueue('tick', {}, { id })).id);
      } catch (error) {
        if (!(error instanceof QueueFullError)) throw error;
        this.refused += 1;
      }
      await sleep(EVERY_MS);
    }
  }
}

interface Flood {
  readonly accepted: number;
  readonly refused: number;
}

async function flood(world: World, queue: string, prefix: string, runs: number): Promise<Flood> {
  let [accepted, refused] = [0, 0];
  for (let start = 0; start < runs; start += BATCH) {
    const items = Array.from({ length: Math.min(BATCH, runs - start) }, (_, index) => ({
      ...{ id: `${prefix}-${start + index}`, queue, params: { ms: 5 } },
    }));
    try {
      accepted += (await world.client.enqueueMany('work', items)).length;
    } catch (error) {
      if (!(error instanceof QueueFullError)) throw error;
      accepted += error.outcomes.filter((outcome) => outcome === 'enqueued').length;
      refused += error.outcomes.filter((outcome) => outcome === 'full').length;
    }
  }
  return { accepted, refused };
}

/** On an idle machine a wait is a few milliseconds: twice that is less than what two busy processes cost each other. */
const BEARABLE_MS = 50;

const SHARED_BEARABLE_MS = 2_000;

const isBearable = (beforeMs: number, duringMs: number): boolean =>
  duringMs <= Math.max(2 * beforeMs, BEARABLE_MS);

const p99 = (waits: readonly number[]): number => Math.round(percentile(waits, 0.99));

/** How long the other tenant waits while nothing else happens, and then while `disturb` lasts. */
async function waitsOf(
  world: World,
  prefix: string,
  quietMs: number,
  disturb: () => Promise<Flood>,
): Promise<Flood & { readonly before: number; readonly during: number; readonly othersRefused: number }> {
  const quiet = new OtherTenant(world, `${prefix}-quiet`);
  await sleep(quietMs);
  const before = await quiet.stop();
  const disturbed = new OtherTenant(world, `${prefix}-flooded`);
  const told = await disturb();
  const during = await disturbed.stop();
  return { ...told, before: p99(before), during: p99(during), othersRefused: disturbed.refused };
}

export const tenantFlood = defineRow({
  row: 45,
  fault: 'one tenant floods a queue',
  injection:
    'a tenant enqueues without end into a queue of its own that is bounded (`--max-pending`), then, below the bound, into the queue that it shares with another, whose runs wait in turns with its own',
  promise:
    'what is beyond the bound is refused as QUEUE_FULL; a tenant with a queue of its own is not refused and waits no longer than twice as long as before (or 50 ms); one that shares the queue is not behind all that came before it, since tasks take turns',
  short: { runs: 50_000, maxPending: 20_000, sharedRuns: 20_000, quietMs: 4_000 },
  long: { runs: 1_000_000, maxPending: 200_000, sharedRuns: 200_000, quietMs: 20_000 },
  async run({ runs, maxPending, sharedRuns, quietMs }, { build }) {
    await using world = await World.start(build);
    await world.consumer({ flags });
    await world.consumer({ queue: FLOODED, flags: ['--max-pending', String(maxPending)] });
    const own = await waitsOf(world, 'own', quietMs, () => flood(world, FLOODED, 'own', runs));
    const shared = await waitsOf(world, 'shared', quietMs, () => flood(world, QUEUE, 'shared', sharedRuns));
    return {
      ...{ runs, accepted: own.accepted, refused: own.refused, othersRefused: own.othersRefused },
      ...{ p99BeforeMs: own.before, p99DuringMs: own.during },
      ...{ sharedP99BeforeMs: shared.before, sharedP99DuringMs: shared.during },
    };
  },
  accept: {
    'what is beyond the bound is refused, and told': ({ refused, accepted, runs }) =>
      refused > 0 && accepted + refused === runs,
    'a tenant with a queue of its own is not refused': ({ othersRefused }) => othersRefused === 0,
    '99 of 100 of its runs wait no longer than twice as long as before, or 50 ms': ({
      p99BeforeMs,
      p99DuringMs,
    }) => isBearable(p99BeforeMs, p99DuringMs),
    'those of a tenant that shares the queue wait 2 s at most, and not for all that came before them': ({
      sharedP99BeforeMs,
      sharedP99DuringMs,
    }) => sharedP99BeforeMs <= SHARED_BEARABLE_MS && sharedP99DuringMs <= SHARED_BEARABLE_MS,
  },
});
