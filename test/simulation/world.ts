/** A whole installation on a virtual clock: the API server's objects, controllers, consumers, people, and Redis. */
import { slotOfRunId } from '../../src/task/ids.ts';
import { statusOf } from '../../src/controller/status-of.ts';
import { DEFAULT_EARLY_DECISION } from '../../src/controller/due-slots.ts';
import { VirtualClock } from '../../src/runtime/virtual-clock.ts';
import { RandomSource } from '../support/random.ts';
import { ObjectStore } from '../support/schedule-world.ts';
import {
  type ConsumerActor,
  type ControllerActor,
  prepareConsumers,
  startConsumer,
  startController,
} from './actors.ts';
import { Book } from './book.ts';
import { lineBroker } from './line-broker.ts';
import { People } from './people.ts';
import { type Plan, seedOf } from './plan.ts';
import { SimulatedProcess, type Weather } from './process.ts';
import { SimulatedRedis } from './redis.ts';
import { START_MS } from './settings.ts';
import type { Bodies } from './tasks.ts';

const DAY_MS = 86_400_000;
const CALM: Weather = { lost: 0, replyLost: 0, twice: 0 };
const RESTART_MS = 1_500;

export class World {
  readonly clock = new VirtualClock(START_MS);
  readonly book = new Book(() => this.clock.now());
  readonly redis = new SimulatedRedis(this.clock, this.book);
  readonly store = new ObjectStore();
  readonly plan: Plan;
  readonly people: People;
  controllers: ControllerActor[] = [];
  consumers: ConsumerActor[] = [];
  /** Consumers that died or were stopped, whose runs may not be back yet. */
  readonly gone: ConsumerActor[] = [];
  /** Runs of which a body came to its end. */
  readonly bodiesEnded = new Set<string>();
  isCalm = false;
  #names = 0;

  private constructor(plan: Plan) {
    this.plan = plan;
    this.redis.isInnocent = (name, sinceMs) => this.#isInnocent(name, sinceMs);
    const process = this.#process('people');
    this.people = new People(lineBroker(process, this.redis), process, this.redis, this.book);
    for (let count = 0; count < plan.controllers; count += 1) this.controllers.push(this.#startController());
    for (let count = 0; count < plan.consumers; count += 1) this.consumers.push(this.#startConsumer());
  }

  static async create(plan: Plan): Promise<World> {
    await prepareConsumers();
    return new World(plan);
  }

  /** What is true at every instant: processes that could work, other than those named. */
  wellConsumers(): readonly ConsumerActor[] {
    return this.consumers.filter(
      ({ process, stoppedAtMs }) => process.wellForMs >= 0 && stoppedAtMs === undefined,
    );
  }

  replaceController(actor: ControllerActor): void {
    actor.process.die();
    actor.discard();
    this.controllers = this.controllers.filter((other) => other !== actor);
    this.#later(() => this.controllers.push(this.#startController()));
  }

  crashConsumer(actor: ConsumerActor): void {
    actor.process.die();
    this.#replaceConsumer(actor);
  }

  stopConsumer(actor: ConsumerActor): void {
    actor.stop();
    this.#replaceConsumer(actor);
  }

  #isInnocent(name: string, sinceMs: number): boolean {
    const process = this.consumers.find((actor) => actor.process.name === name)?.process;
    return (
      process !== undefined &&
      process.wellForMs >= this.clock.now() - sinceMs &&
      process.lastBadCallMs < sinceMs
    );
  }

  /** The status that the controllers' leader would write: that of the first one that can. */
  writeStatuses(): void {
    const leader = this.controllers.find(({ process, isCutOff }) => process.wellForMs >= 0 && !isCutOff);
    for (const report of leader?.reports.values() ?? []) {
      const object = this.store.get(report.object.key);
      if (object?.uid !== report.object.uid || object.generation !== report.object.generation) continue;
      const status = statusOf(report, object.status, this.clock.now());
      if (status.settledThroughTime === object.status?.settledThroughTime) continue;
      this.store.setStatus(object.name, status);
    }
  }

  newName(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }

  #replaceConsumer(actor: ConsumerActor): void {
    this.consumers = this.consumers.filter((other) => other !== actor);
    this.gone.push(actor);
    this.#later(() => this.consumers.push(this.#startConsumer()));
  }

  #later(act: () => void): void {
    this.clock.after(RESTART_MS, act);
  }

  #process(name: string): SimulatedProcess {
    const random = new RandomSource(seedOf(this.plan.seed, name));
    return new SimulatedProcess({
      ...{ name, clock: this.clock, redis: this.redis, book: this.book, random },
      weather: () => (this.isCalm ? CALM : this.plan.weather),
      skewMs: random.between({ min: -DAY_MS, max: DAY_MS }),
    });
  }

  #startController(): ControllerActor {
    const process = this.#process(this.newName('controller-'));
    // With every second seed each slot makes a crowd of its own, and is decided ahead where that is possible.
    const early = { ...DEFAULT_EARLY_DECISION, ...(this.plan.seed % 2 === 0 && { crowd: 1 }) };
    return startController(process, lineBroker(process, this.redis), this.store, this.clock, { early });
  }

  #startConsumer(): ConsumerActor {
    const name = this.newName('consumer-');
    const process = this.#process(name);
    const random = new RandomSource(seedOf(this.plan.seed, name, 'jitter'));
    const bodies: Bodies = {
      seed: this.plan.seed,
      began: (runId) => {
        if ((slotOfRunId(runId) ?? 0) > this.redis.nowMs)
          this.book.breach('policy', `${runId} began before its slot came`);
      },
      ended: (runId) => this.bodiesEnded.add(runId),
      kill: (killed) => {
        const actor = this.consumers.find((one) => one.process === killed);
        if (actor === undefined) killed.die();
        else this.crashConsumer(actor);
      },
    };
    return startConsumer(process, lineBroker(process, this.redis), {
      ...{ bodies, book: this.book, random: () => random.next() },
    });
  }
}
