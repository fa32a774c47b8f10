/** One of the two brokers of the model test, and what a caller of it would remember. */
import type { AdoptRequest, Broker, ClaimedRun, FireEntry, Queue } from '../../src/broker/broker.ts';
import { slotRunId, triggerRunId } from '../../src/task/ids.ts';
import type { Outcome } from '../../src/task/run.ts';
import { FAILURE, request, TestConsumer, type ConsumerSketch } from './harness.ts';
import type { Step } from './model-steps.ts';
import { adoption, firing, missed, slot, templateOf, trigger } from './schedule-steps.ts';

export const UIDS = ['uid-a', 'uid-b'] as const;
const TASKS = ['alpha', 'beta', 'gamma'] as const;
const FAR_MS = 3_600_000;

/**
 * A cancelled run leaves its id in its lane on Redis until a claim steps over it, and so keeps the lane in its place; the
 * order between lanes is then not the model's. So plans are of two kinds.
 * - `order`: runs are claimed a few at a time under limits, and nothing that waits in a lane is cancelled
 * - `cancel`: anything is cancelled and replaced, there are no limits, and each claim takes all there is
 */
export type PlanKind = 'order' | 'cancel';

/** Two consumers of one build, and one of a newer build with other limits, that knows one task less. */
function sketchesOf(kind: PlanKind): readonly ConsumerSketch[] {
  const limited = (maxConcurrency: number): { maxConcurrency?: number } =>
    kind === 'order' ? { maxConcurrency } : {};
  const old = [
    { name: 'alpha' },
    { name: 'beta', ...limited(2) },
    { name: 'gamma', executor: 'cpu' as const },
  ];
  const newer = [
    { name: 'alpha', schemaHash: 'schema-2', ...limited(3) },
    { name: 'beta', ...limited(4) },
  ];
  const common = {
    leaseMs: FAR_MS,
    settings: { maxPending: 12, maxPendingPerSchedule: 4, maxDeliveries: 2 },
  };
  return [
    { ...common, tasks: old, builtAtMs: 1 },
    { ...common, tasks: old, builtAtMs: 1 },
    { ...common, tasks: newer, builtAtMs: 2 },
  ];
}

const OUTCOMES: readonly Outcome[] = [
  { kind: 'succeeded', result: '1' },
  { kind: 'succeeded' },
  { kind: 'failed', error: FAILURE },
  { kind: 'retry', delayMs: 0, error: FAILURE },
  { kind: 'retry', delayMs: FAR_MS, error: FAILURE },
  { kind: 'released' },
  { kind: 'cancelled', reason: 'abort()' },
  { kind: 'rejected', error: { ...FAILURE, reason: 'InvalidParams' } },
];

const byId = (a: ClaimedRun, b: ClaimedRun): number => (a.record.id < b.record.id ? -1 : 1);

/** Of a run by hand, beside that it is fired. */
const FATES: readonly object[] = [{}, {}, {}, { notAfterMs: 1 }, { refusal: 'InvalidParams' }];

export class Side {
  readonly queue: Queue;
  /** Whether the last claim said that there is more. */
  saidMore = false;
  readonly #kind: PlanKind;
  readonly #sketches: readonly ConsumerSketch[];
  readonly #consumers: readonly TestConsumer[];
  readonly #holding = new Map<TestConsumer, readonly ClaimedRun[]>();
  /** Hand-outs that were settled before, whoever held them. */
  readonly #settled: ClaimedRun[] = [];
  /** Runs that were settled as failed: few of all the ids are such that redriving them does anything. */
  readonly #failed: string[] = [];
  readonly #passTime: (ms: number) => Promise<unknown>;

  constructor(broker: Broker, kind: PlanKind, passTime: (ms: number) => Promise<unknown>) {
    this.queue = broker.queue('work');
    this.#kind = kind;
    this.#sketches = sketchesOf(kind);
    this.#consumers = this.#sketches.map(
      (_, index) => new TestConsumer(this.queue, String(index).repeat(24)),
    );
    this.#passTime = passTime;
  }

  async begin(): Promise<void> {
    for (const who of this.#consumers.keys()) await this.#register(who);
    await this.queue.work.recover();
  }

  /** @param adoptedAtMs - not-before of each schedule: what its slots are counted from */
  take(step: Step, adoptedAtMs: ReadonlyMap<string, number>): Promise<unknown> {
    const { queue } = this;
    const consumer = this.#consumers[step.who]!;
    const uid = UIDS[step.uid]!;
    const task = TASKS[step.task]!;
    switch (step.verb) {
      case 'enqueue':
        return this.#enqueue(step);
      case 'claim':
        return this.#claim(consumer, step);
      case 'settle':
        return this.#settle(this.#holderNear(step.who) ?? consumer, step);
      case 'settle-again':
        return this.#settleAgain(consumer, step);
      case 'cancel':
        return this.#cancel(this.#anyId(step.id, adoptedAtMs));
      case 'redrive':
        return queue.runs.redrive([this.#failed.pop() ?? this.#anyId(step.id, adoptedAtMs)]);
      case 'register':
        return this.#register(step.who);
      case 'promote':
        return this.#promote();
      case 'leave':
        return this.#releaseAllButOne(consumer).then(() => queue.work.leave(consumer.incarnation));
      case 'die':
        return this.#die(step.who);
      case 'pause-task':
      case 'resume-task':
        return queue.inspect.setTaskPaused(task, step.verb === 'pause-task');
      case 'pause-queue':
      case 'resume-queue':
        return queue.inspect.setQueuePaused(step.verb === 'pause-queue');
      case 'adopt': {
        const { generation, isSuspended: suspended, isForced: force } = step;
        const handledRequest = `req-${step.id}`;
        const closed = step.io === 4 ? { closed: { generation: step.nth } } : {};
        return this.#adopt(adoption({ uid, generation, suspended, force, handledRequest, ...closed }));
      }
      case 'withdraw':
        return queue.schedules.withdraw([uid]);
      case 'request':
        return this.#ask(uid, step);
      case 'fire':
        return this.#fire(uid, step, adoptedAtMs.get(uid) ?? 0);
    }
  }

  #register(who: number): Promise<unknown> {
    return this.#consumers[who]!.register(this.#sketches[who]).then(() => 'registered');
  }

  #enqueue({ ids, task, priority: at, isDelayed, nth }: Step): Promise<unknown> {
    const priority = (['high', 'medium', 'low'] as const)[at]!;
    const expiring = nth === 0 ? { expiresInMs: FAR_MS } : {};
    const more = { task: TASKS[task]!, priority, ...expiring, ...(isDelayed ? { delayMs: FAR_MS } : {}) };
    return this.queue.runs.enqueue(ids.map((id) => request(`run-${id}`, more)));
  }

  async #claim(consumer: TestConsumer, { io, cpu }: Step): Promise<unknown> {
    const reply = await consumer.cycle(this.#kind === 'order' ? { io, cpu } : { io: 100, cpu: 100 });
    const claimed = this.#kind === 'order' ? reply.claimed : reply.claimed.toSorted(byId);
    this.#holding.set(consumer, [...(this.#holding.get(consumer) ?? []), ...claimed]);
    // Lanes of suspects take turns by the clock: two claims in one ms would be in either order.
    if (claimed.some(({ suspect }) => suspect)) await this.#passTime(2);
    this.saidMore = reply.moreReady;
    return {
      lease: reply.lease,
      claimed: claimed.map(({ record, suspect }) => [record.id, record.attempt, record.priority, suspect]),
      cancellations: reply.cancellations.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    };
  }

  /** The first, from this one on, that holds runs. */
  #holderNear(who: number): TestConsumer | undefined {
    const inTurn = [...this.#consumers.slice(who), ...this.#consumers.slice(0, who)];
    return inTurn.find((consumer) => (this.#holding.get(consumer)?.length ?? 0) > 0);
  }

  async #settle(consumer: TestConsumer, { nth, outcome }: Step): Promise<unknown> {
    const holding = this.#holding.get(consumer) ?? [];
    const run = holding[nth % Math.max(1, holding.length)];
    if (run === undefined) return 'nothing to settle';
    this.#holding.set(
      consumer,
      holding.filter((other) => other !== run),
    );
    if (OUTCOMES[outcome]?.kind === 'failed') this.#failed.push(run.record.id);
    this.#settled.push(run);
    return [run.record.id, ...(await consumer.settle([run], OUTCOMES[outcome]))];
  }

  /** A settlement that comes twice, late, or from another: whoever holds the run by now, it is not settled by it. */
  async #settleAgain(consumer: TestConsumer, { nth, outcome }: Step): Promise<unknown> {
    const again = nth === 0 ? undefined : this.#heldAgain();
    const run = again?.settled ?? this.#settled.at(-1 - nth);
    if (run === undefined) return 'nothing was settled yet';
    const settled = await (again?.by ?? consumer).settle([run], OUTCOMES[outcome]);
    return [run.record.id, ...settled];
  }

  /** The last hand-out that was settled, and whose run is held once more: only the token tells them apart. */
  #heldAgain(): { readonly settled: ClaimedRun; readonly by: TestConsumer } | undefined {
    for (const settled of this.#settled.toReversed()) {
      const by = this.#consumers.find((one) =>
        this.#holding.get(one)?.some(({ record }) => record.id === settled.record.id),
      );
      if (by !== undefined) return { settled, by };
    }
    return undefined;
  }

  /** Nothing that lies an hour ahead is moved. A run that was rejected is due within seconds: by which clock, is chance. */
  async #promote(): Promise<unknown> {
    const { runs } = await this.queue.inspect.runs({ limit: 1_000, states: ['delayed'] });
    const isNear = runs.some(({ dueAtMs = 0, enqueuedAtMs }) => dueAtMs < enqueuedAtMs + FAR_MS);
    if (isNear) return 'some are due soon';
    const { promoted, expired, more } = await this.queue.work.promote();
    return { promoted, expired, more };
  }

  async #cancel(id: string): Promise<unknown> {
    if (this.#kind === 'order' && (await this.queue.runs.get(id))?.state === 'pending')
      return 'would stay in its lane';
    return this.queue.runs.cancel([id], 'because');
  }

  /** In which order several come back from one that is gone is not promised. */
  async #releaseAllButOne(consumer: TestConsumer): Promise<void> {
    const holding = this.#holding.get(consumer) ?? [];
    await consumer.settle(holding.slice(1), { kind: 'released' });
    this.#holding.set(consumer, holding.slice(0, 1));
  }

  /** It renews for so short a time that its lease is over at once; the others' leases set the measure of recovery. */
  async #die(who: number): Promise<unknown> {
    const dead = this.#consumers[who]!;
    await this.#releaseAllButOne(dead);
    await dead.register({ ...this.#sketches[who], leaseMs: 1 });
    await this.#register((who + 1) % this.#consumers.length);
    await this.#passTime(3);
    const { amnesty, ended, returned, deadLettered } = await this.queue.work.recover();
    return { amnesty, ended, returned, deadLettered };
  }

  /** The state is looked at after each step, without what two clocks make different. */
  async #adopt(request: AdoptRequest): Promise<unknown> {
    return (await this.queue.schedules.adopt([request])).map(({ outcome }) => outcome);
  }

  /** Requests that may be fired by `fire`, and what waits of them in the order of their ids: two clocks may make them equal. */
  async #ask(uid: string, { id }: Step): Promise<unknown> {
    const { schedules } = this.queue;
    const outcome = await schedules.request(uid, { request: `req-${id}`, params: `{"id":${id}}` });
    const waiting = await schedules.requested('tests', 100);
    return [outcome, waiting.map((asked) => `${asked.uid} ${asked.request} ${asked.params}`).toSorted()];
  }

  #fire(uid: string, step: Step, baseMs: number): Promise<unknown> {
    const ascending = step.entries.toSorted((a, b) => a.at - b.at);
    const entries = ascending.map(({ kind, at, length }): FireEntry => {
      if (kind === 0) return missed(baseMs + at, baseMs + at + length, length + 1);
      if (kind === 1) return { ...trigger(`req-${at}`), ...FATES[length] };
      return slot(baseMs + at, kind === 2 ? 0 : FAR_MS);
    });
    const concurrencyPolicy = (['Allow', 'Forbid', this.#kind === 'order' ? 'Forbid' : 'Replace'] as const)[
      step.policy
    ]!;
    const run = { ...templateOf(uid), task: TASKS[step.uid]! };
    const expected = step.cpu === 2 ? { expectedWatermarkMs: baseMs + step.id } : {};
    return this.queue.schedules.fire([
      firing(entries, { uid, generation: step.generation, concurrencyPolicy, run, ...expected }),
    ]);
  }

  /** Ids of runs by producers, and of scheduled ones. */
  #anyId(id: number, adoptedAtMs: ReadonlyMap<string, number>): string {
    if (id < 16) return `run-${id}`;
    const uid = UIDS[id % 2]!;
    return id < 20 ? triggerRunId(uid, `req-${id}`) : slotRunId(uid, (adoptedAtMs.get(uid) ?? 0) + id);
  }
}
