/** Writes down all that happens to schedules in a broker, in order, and checks it against the promises of the engine. */
import assert from 'node:assert/strict';
import type {
  Broker,
  FireEntry,
  FireReply,
  FireRequest,
  Queue,
  SchedulePort,
} from '../../src/broker/broker.ts';
import type { ScheduledObject } from '../../src/resource/scheduled-object.ts';
import { timingOf } from '../../src/resource/to-schedule.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { adoptSentAtMs } from './schedule-world.ts';

interface LedgerEra {
  readonly generation: number;
  readonly notBeforeMs: number;
  readonly suspended: boolean;
  readonly fromMs: number;
  untilMs: number;
  /** When what ended it was sent: what fell due after that may have been cut off, unless the broker was told until when it is closed. */
  endSentMs: number;
  isClosed: boolean;
  /** Slots after this are not owed: the broker lost what followed the era, and may go on with it for a while. */
  owedUntilMs: number;
}

interface Decided {
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
  readonly countIsExact: boolean;
  readonly decision: string;
  readonly generation: number;
  readonly newestGeneration: number;
  readonly decidedAtMs: number;
}

interface History {
  readonly eras: LedgerEra[];
  readonly decided: Decided[];
  readonly runIds: string[];
}

export class ScheduleLedger {
  readonly broker: Broker;
  readonly #clock: Clock;
  readonly #histories = new Map<string, History>();
  /** Uids that were withdrawn, in order. */
  readonly withdrawn: string[] = [];
  onWithdraw: (uid: string) => void = () => undefined;

  constructor(inner: Broker, clock: Clock) {
    this.#clock = clock;
    const queues = new Map<string, Queue>();
    this.broker = {
      description: inner.description,
      connected: true,
      get connectionEpoch() {
        return inner.connectionEpoch;
      },
      queue: (name) => {
        const known = queues.get(name) ?? this.#watched(inner.queue(name));
        queues.set(name, known);
        return known;
      },
      queueNames: () => inner.queueNames(),
      now: () => inner.now(),
      memory: () => inner.memory(),
      startHeartbeat: (options) => inner.startHeartbeat(options),
      holdLock: (name, holder, leaseMs) => inner.holdLock(name, holder, leaseMs),
      releaseLock: (name, holder) => inner.releaseLock(name, holder),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  }

  historyOf(uid: string): History {
    const known = this.#histories.get(uid) ?? { eras: [], decided: [], runIds: [] };
    this.#histories.set(uid, known);
    return known;
  }

  #watched(inner: Queue): Queue {
    const port: SchedulePort = {
      ...inner.schedules,
      adopt: async (requests) => {
        const replies = await inner.schedules.adopt(requests);
        for (const [index, reply] of replies.entries()) {
          if (reply.outcome !== 'adopted') continue;
          const { uid, generation, notBeforeMs, suspended } = reply.state;
          const { eras } = this.historyOf(uid);
          const isClosed = requests[index]?.closed !== undefined;
          this.#endEra(uid, adoptSentAtMs.get(requests) ?? this.#clock.now(), isClosed);
          const fromMs = this.#clock.now();
          eras.push({
            ...{ generation, notBeforeMs, suspended, fromMs, untilMs: Infinity, endSentMs: Infinity },
            ...{ isClosed: true, owedUntilMs: Infinity },
          });
        }
        return replies;
      },
      fire: async (requests) => {
        const replies = await inner.schedules.fire(requests);
        for (const [index, request] of requests.entries()) this.#note(request, replies[index]);
        return replies;
      },
      withdraw: async (uids) => {
        await inner.schedules.withdraw(uids);
        for (const uid of uids) {
          this.withdrawn.push(uid);
          this.onWithdraw(uid);
          this.#endEra(uid, this.#clock.now(), false);
        }
      },
    };
    return { name: inner.name, runs: inner.runs, work: inner.work, inspect: inner.inspect, schedules: port };
  }

  #endEra(uid: string, sentMs: number, isClosed: boolean): void {
    const last = this.historyOf(uid).eras.at(-1);
    if (last?.untilMs !== Infinity) return;
    last.untilMs = this.#clock.now();
    last.endSentMs = sentMs;
    last.isClosed = isClosed;
  }

  #note(request: FireRequest, reply: FireReply | undefined): void {
    if (reply?.outcome !== 'ok') return;
    const { eras, decided, runIds } = this.historyOf(request.uid);
    const newestGeneration = Math.max(...eras.map(({ generation }) => generation));
    for (const [index, entry] of request.entries.entries()) {
      const made = reply.decisions[index];
      if (made === undefined || made.decision === 'duplicate' || made.decision === 'refused') continue;
      if (made.runId !== undefined) runIds.push(made.runId);
      if (entry.kind === 'trigger') continue;
      const { generation } = request;
      decided.push({
        ...spanOf(entry),
        decision: made.decision,
        generation,
        newestGeneration,
        decidedAtMs: this.#clock.now(),
      });
    }
  }

  /**
   * Every slot of every era has exactly one decision, and no decision is for anything else.
   * @param specs - the spec of each generation of this uid
   * @param throughMs - slots up to here must be decided
   * @param edgeMs - where an era was ended without being closed, slots this close before that may have been cut off
   */
  check(
    uid: string,
    specs: ReadonlyMap<number, ScheduledObject['spec']>,
    throughMs: number,
    edgeMs: number,
  ): number {
    const { eras, decided, runIds } = this.historyOf(uid);
    assert.equal(new Set(runIds).size, runIds.length, `${uid}: a slot was enqueued twice`);
    for (const made of decided) {
      assert.equal(
        made.generation,
        made.newestGeneration,
        `${uid}: decided by generation ${made.generation} after a newer one`,
      );
    }
    let slots = 0;
    for (const era of eras) {
      if (era.suspended) {
        assert.deepEqual(
          decided.filter(({ generation }) => generation === era.generation),
          [],
          `${uid}: decided while suspended`,
        );
        continue;
      }
      slots += this.#checkEra(uid, era, specs.get(era.generation), { throughMs, edgeMs });
    }
    return slots;
  }

  #excerpt(uid: string, atMs: number): string {
    const { eras, decided } = this.historyOf(uid);
    const time = (ms: number): string =>
      Number.isFinite(ms) ? new Date(ms).toISOString().slice(11, -1) : 'now';
    const near = decided.filter(
      ({ fromMs, toMs }) => toMs >= atMs - EXCERPT_MS && fromMs <= atMs + EXCERPT_MS,
    );
    return [
      ...eras.map(
        (era) =>
          `era ${era.generation} ${time(era.fromMs)}..${time(era.untilMs)} not before ${time(era.notBeforeMs)}`,
      ),
      ...near.map(
        (made) =>
          `${time(made.decidedAtMs)} ${time(made.fromMs)}..${time(made.toMs)} ${made.decision} by ${made.generation}`,
      ),
    ].join('\n');
  }

  #checkEra(
    uid: string,
    era: LedgerEra,
    spec: ScheduledObject['spec'] | undefined,
    { throughMs, edgeMs }: { readonly throughMs: number; readonly edgeMs: number },
  ): number {
    assert.ok(
      spec !== undefined && !('unreadable' in spec),
      `${uid}: generation ${era.generation} was never an object`,
    );
    const timing = timingOf(spec);
    assert.ok(timing.kind === 'timing');
    const mine = this.historyOf(uid).decided.filter(({ generation }) => generation === era.generation);
    const { startMs = -Infinity, endMs = Infinity } = timing.policy;
    const lastMs = Math.min(this.#clock.now(), endMs, era.untilMs);
    const say = (ms: number): string =>
      `${uid} generation ${era.generation} slot ${new Date(ms).toISOString()}`;
    let slots = 0;
    let cursor = 0;
    let slotMs = timing.schedule.next(Math.max(era.notBeforeMs, startMs) - 1);
    for (; slotMs !== undefined && slotMs <= lastMs; slotMs = timing.schedule.next(slotMs)) {
      slots += 1;
      const at = slotMs;
      while (mine[cursor] !== undefined && (mine[cursor]?.toMs ?? Infinity) < at) cursor += 1;
      const covering = mine.filter(({ fromMs, toMs }) => fromMs <= at && at <= toMs).length;
      const isOwed =
        at <= throughMs && at <= era.owedUntilMs && (era.isClosed || at <= era.endSentMs - edgeMs);
      if (covering === 0 && !isOwed) continue;
      // Made only when it is needed: there are many slots.
      if (covering !== 1) assert.fail(`${say(at)} has ${covering} decisions\n${this.#excerpt(uid, at)}`);
    }
    for (const made of mine) {
      assert.ok(
        made.fromMs >= era.notBeforeMs,
        `${say(made.fromMs)} was decided although it lies before not-before`,
      );
      assert.equal(timing.schedule.previous(made.fromMs), made.fromMs, `${say(made.fromMs)} is no slot`);
      assert.equal(timing.schedule.previous(made.toMs), made.toMs, `${say(made.toMs)} is no slot`);
    }
    return slots;
  }
}

/** Eras and decisions around an instant that are worth looking at. */
const EXCERPT_MS = 30_000;

function spanOf(
  entry: Exclude<FireEntry, { readonly kind: 'trigger' }>,
): Pick<Decided, 'fromMs' | 'toMs' | 'count' | 'countIsExact'> {
  if (entry.kind === 'missed') return entry;
  return { fromMs: entry.slotMs, toMs: entry.slotMs, count: 1, countIsExact: true };
}
