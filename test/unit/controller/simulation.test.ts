/**
 * Hours of faults in seconds: three engines on one broker, with objects that come, change and go, and processes that
 * crash, freeze and lose their lines, all drawn from a seed that is printed. SIMULATION_SEED replays one,
 * SIMULATION_RUNS sets how many are drawn.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import type { ScheduledObject } from '../../../src/resource/scheduled-object.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { RandomSource } from '../../support/random.ts';
import { ScheduleLedger } from '../../support/schedule-ledger.ts';
import {
  type EngineHandle,
  Freezer,
  ObjectStore,
  type SchedulerFault,
  type SpecInput,
  START,
  startEngine,
} from '../../support/schedule-world.ts';

const ENGINES = 3;
const STEPS = 60;
/** A call takes at most this long, so an edit may cut off a slot that was due within it. */
const LONGEST_CALL_MS = 200;
const EDGE_MS = 3 * LONGEST_CALL_MS;
const RUNS = Number(process.env['SIMULATION_RUNS'] ?? 8);
const SEED = process.env['SIMULATION_SEED'];

interface Node {
  readonly freezer: Freezer;
  readonly handle: EngineHandle;
}

class Simulation {
  readonly clock = new VirtualClock(START);
  readonly store = new ObjectStore();
  readonly ledger = new ScheduleLedger(createMemoryBroker({ clock: this.clock }), this.clock);
  readonly specs = new Map<string, Map<number, ScheduledObject['spec']>>();
  readonly story: string[] = [];
  readonly #random: RandomSource;
  readonly #nodes: Node[] = [];
  readonly #crashed: Node[] = [];
  /** To an object that was deleted nothing is owed any more, not even an answer. */
  readonly #gone = new Set<string>();
  #faulty = true;
  #names = 0;

  constructor(seed: number) {
    this.#random = new RandomSource(seed);
    const liveUids = new Map<string, string>();
    this.store.onChange((key) => {
      const object = this.store.get(key);
      const before = liveUids.get(key);
      if (before !== undefined && before !== object?.uid) this.#gone.add(before);
      if (object === undefined) return;
      liveUids.set(key, object.uid);
      const generations = this.specs.get(object.uid) ?? new Map<number, ScheduledObject['spec']>();
      this.specs.set(object.uid, generations.set(object.generation, object.spec));
    });
    this.ledger.onWithdraw = (uid) => {
      assert.ok(
        !this.store.all().some((object) => object.uid === uid),
        `${uid} was withdrawn although it is live`,
      );
    };
    for (let i = 0; i < ENGINES; i += 1) this.#nodes.push(this.#startNode());
  }

  async run(): Promise<number> {
    for (let i = 0; i < 4; i += 1) this.#create();
    for (let step = 0; step < STEPS; step += 1) {
      this.#act();
      await this.clock.advanceBy(Math.ceil(this.#random.next() * 20_000));
    }
    await this.#calmDown();
    let slots = 0;
    for (const [uid, specs] of this.specs) {
      const throughMs = this.#gone.has(uid) ? -Infinity : this.clock.now() - 10_000;
      slots += this.ledger.check(uid, specs, throughMs, EDGE_MS);
    }
    await this.#checkTombstones();
    await this.#stop();
    return slots;
  }

  /** Faults end, and everyone has time to see how things are. */
  async #calmDown(): Promise<void> {
    this.#faulty = false;
    for (const { freezer, handle } of this.#nodes) {
      freezer.thaw();
      handle.source.cutOff = false;
    }
    for (let i = 0; i < 5; i += 1) {
      await this.clock.advanceBy(30_000);
      for (const { handle } of this.#nodes) handle.source.relist();
    }
    await this.clock.advanceBy(10_000);
  }

  async #checkTombstones(): Promise<void> {
    const live = new Set(this.store.all().map(({ uid }) => uid));
    const adopted = await this.ledger.broker.queue('default').schedules.adopted('test');
    assert.deepEqual(new Set(adopted.map(({ uid }) => uid)), live, 'what is adopted is what is live');
  }

  /** Crashed ones are let go so that the test ends; what they still send is late, but must be harmless too. */
  async #stop(): Promise<void> {
    for (const { freezer } of this.#crashed) freezer.thaw();
    const stopped = Promise.all([...this.#nodes, ...this.#crashed].map(({ handle }) => handle.stop()));
    for (let i = 0; i < 20; i += 1) await this.clock.advanceBy(1_000);
    await stopped;
  }

  #startNode(): Node {
    const freezer = new Freezer();
    const handle = startEngine(this.clock, this.store, this.ledger.broker, {
      gate: async (): Promise<SchedulerFault> => {
        await freezer.gate();
        const takesMs = Math.floor(this.#random.next() ** 4 * LONGEST_CALL_MS);
        if (takesMs > 0) await this.clock.sleep(takesMs);
        if (!this.#faulty || this.#random.next() > 0.03) return undefined;
        return this.#random.next() < 0.5 ? 'before' : 'after';
      },
    });
    return { freezer, handle };
  }

  #act(): void {
    const acts: readonly [number, string, () => void][] = [
      [
        2,
        'create',
        () => {
          this.#create();
        },
      ],
      [
        3,
        'edit',
        () => {
          this.#withObject(({ name }) => this.store.replace(name, this.#spec()));
        },
      ],
      [
        2,
        'suspend or resume',
        () => {
          this.#withObject(({ name, spec }) =>
            this.store.edit(name, { suspend: !('suspend' in spec && spec.suspend) }),
          );
        },
      ],
      [
        1,
        'delete',
        () => {
          this.#withObject(({ name }) => {
            this.store.delete(name);
          });
        },
      ],
      [
        1,
        'recreate',
        () => {
          this.#withObject(({ name }) => this.store.create(name, this.#spec()));
        },
      ],
      [
        2,
        'crash',
        () => {
          this.#crash();
        },
      ],
      [
        2,
        'freeze',
        () => {
          this.#random.pick(this.#nodes)?.freezer.freeze();
        },
      ],
      [
        3,
        'thaw',
        () => {
          this.#random.pick(this.#nodes)?.freezer.thaw();
        },
      ],
      [
        2,
        'cut off',
        () => {
          this.#cutOff(true);
        },
      ],
      [
        2,
        'join',
        () => {
          this.#cutOff(false);
        },
      ],
      [
        2,
        'relist',
        () => {
          for (const { handle } of this.#nodes) handle.source.relist();
        },
      ],
      [
        2,
        'drain',
        () => {
          void this.ledger.broker.queue('default').inspect.purge('drained', 10_000);
        },
      ],
    ];
    let left = this.#random.next() * acts.reduce((sum, [weight]) => sum + weight, 0);
    const chosen = acts.find(([weight]) => (left -= weight) < 0);
    this.story.push(`${new Date(this.clock.now()).toISOString()} ${chosen?.[1] ?? 'nothing'}`);
    chosen?.[2]();
  }

  #create(): void {
    this.#names += 1;
    this.store.create(`s${this.#names}`, this.#spec());
  }

  #crash(): void {
    const node = this.#random.pick(this.#nodes);
    if (node === undefined) return;
    node.freezer.freeze();
    node.handle.source.cutOff = true;
    this.#crashed.push(node);
    this.#nodes.splice(this.#nodes.indexOf(node), 1, this.#startNode());
  }

  #cutOff(cutOff: boolean): void {
    const node = this.#random.pick(this.#nodes);
    if (node !== undefined) node.handle.source.cutOff = cutOff;
  }

  #withObject(act: (object: ScheduledObject) => unknown): void {
    const object = this.#random.pick(this.store.all());
    if (object !== undefined) act(object);
  }

  #spec(): SpecInput {
    const timing = this.#random.pick<SpecInput>([
      { every: '1s' },
      { every: '300ms' },
      { every: '7s', offset: '2s' },
      { every: '1m' },
      { every: '10s', jitter: '5s' },
      { schedule: '* * * * *' },
      { schedule: '*/2 * * * *', timeZone: 'Asia/Kathmandu' },
    ]);
    const window =
      this.#random.next() < 0.2
        ? { startTime: new Date(this.clock.now() + this.#random.next() * 120_000).toISOString() }
        : {};
    const policy = this.#random.pick<SpecInput>([
      { missedRunPolicy: 'Latest', concurrencyPolicy: 'Allow' },
      { missedRunPolicy: 'Latest', concurrencyPolicy: 'Forbid' },
      { missedRunPolicy: 'Skip', concurrencyPolicy: 'Replace' },
      { missedRunPolicy: 'All', concurrencyPolicy: 'Allow', maxCatchUp: 20 },
      { missedRunPolicy: 'All', concurrencyPolicy: 'Allow', startingDeadlineSeconds: 40 },
    ]);
    return { ...timing, ...window, ...policy };
  }
}

test('every slot of every era is decided exactly once, whatever crashes, freezes or is edited', async (t) => {
  const seeds =
    SEED === undefined
      ? Array.from({ length: RUNS }, () => Math.floor(Math.random() * 2 ** 31))
      : [Number(SEED)];
  let slots = 0;
  for (const seed of seeds) {
    const simulation = new Simulation(seed);
    try {
      slots += await simulation.run();
    } catch (error) {
      t.diagnostic(simulation.story.join('\n'));
      throw new Error(`SIMULATION_SEED=${seed} fails`, { cause: error });
    }
  }
  t.diagnostic(
    `${seeds.length} simulations, seeds ${seeds.join(' ')}: ${slots} slots, without a decision 0, decided twice 0`,
  );
  assert.ok(slots > 0);
});
