/** What a broker must offer to be put through the contract, and the small steps that the contract's tests are made of. */
import assert from 'node:assert/strict';
import {
  DEFAULT_QUEUE_SETTINGS,
  type Broker,
  type ClaimBudget,
  type ClaimedRun,
  type CycleReply,
  type Queue,
  type QueueSettings,
  type RecoverReply,
  type SettleAnswer,
} from '../../src/broker/broker.ts';
import { newIncarnation } from '../../src/task/ids.ts';
import type { TaskDescription } from '../../src/task/manifest.ts';
import type { RunRequest } from '../../src/task/request.ts';
import type { Outcome, RunError } from '../../src/task/run.ts';

/** A fresh, empty broker, and power over its time. */
export interface Harness extends AsyncDisposable {
  readonly broker: Broker;
  /** Returns once that much of the broker's time has passed. */
  passTime(ms: number): Promise<void>;
}

export type CreateHarness = () => Promise<Harness>;

/** Short enough to wait for on a real server, long enough that a slow machine still makes a recovery pass in half of it. */
export const LEASE_MS = 600;
const RECOVERY_STEP_MS = 60;
/** No condition of this suite takes longer; a broker that needs more has failed. */
const DEADLINE_MS = 20_000;

export const FAILURE: RunError = { reason: 'Error', name: 'Error', message: 'it broke' };

export interface TaskSketch {
  readonly name: string;
  readonly executor?: 'io' | 'cpu';
  readonly maxConcurrency?: number;
  readonly schemaHash?: string;
  readonly paramsSchema?: TaskDescription['paramsSchema'];
}

/** Takes any object. */
const ANY_PARAMS = { type: 'object' };

function describeTask({
  name,
  executor = 'io',
  maxConcurrency,
  schemaHash = 'schema-1',
  paramsSchema = ANY_PARAMS,
}: TaskSketch): TaskDescription {
  return {
    ...{ name, executor, schemaHash, tags: [], priority: 'medium', timeoutMs: 60_000, attempts: 1 },
    paramsSchema,
    ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
  };
}

export interface ConsumerSketch {
  readonly tasks?: readonly (string | TaskSketch)[];
  readonly builtAtMs?: number;
  readonly settings?: Partial<QueueSettings>;
  readonly leaseMs?: number;
  readonly host?: string;
}

/** One incarnation on one queue, as a consumer would act. */
export class TestConsumer {
  readonly incarnation: string;
  readonly queue: Queue;

  constructor(queue: Queue, incarnation = newIncarnation()) {
    this.queue = queue;
    this.incarnation = incarnation;
  }

  async register(sketch: ConsumerSketch = {}): Promise<this> {
    const { tasks = ['job'], builtAtMs = 1_000, settings = {}, leaseMs = LEASE_MS, host = 'host-1' } = sketch;
    const descriptions = tasks.map((task) => describeTask(typeof task === 'string' ? { name: task } : task));
    await this.queue.work.register({
      incarnation: this.incarnation,
      leaseMs,
      manifest: { hash: JSON.stringify([builtAtMs, descriptions]), builtAtMs, tasks: descriptions },
      settings: { ...DEFAULT_QUEUE_SETTINGS, ...settings },
      consumer: { host, pid: 1, version: '0.0.0' },
    });
    return this;
  }

  cycle(want: Partial<ClaimBudget> = {}): Promise<CycleReply> {
    const claim = { io: 0, cpu: 0, ...want };
    return this.queue.work.cycle({ incarnation: this.incarnation, settle: [], claim });
  }

  async claim(io = 100, cpu = 0): Promise<readonly ClaimedRun[]> {
    const reply = await this.cycle({ io, cpu });
    assert.equal(reply.claimError, undefined);
    return reply.claimed;
  }

  /** Claims exactly one run. */
  async claimOne(): Promise<ClaimedRun> {
    const [claimed, ...others] = await this.claim(1);
    assert.ok(claimed, 'a run was expected to be ready');
    assert.equal(others.length, 0);
    return claimed;
  }

  async claimIds(io = 100, cpu = 0): Promise<readonly string[]> {
    return (await this.claim(io, cpu)).map(({ record }) => record.id);
  }

  async settle(
    runs: readonly ClaimedRun[],
    outcome: Outcome = { kind: 'succeeded' },
  ): Promise<readonly SettleAnswer[]> {
    const settle = runs.map(({ record, token }) => ({ id: record.id, token, outcome }));
    return (await this.queue.work.cycle({ incarnation: this.incarnation, settle })).settled;
  }

  /** Claims and settles until nothing is handed out; returns the ids in order. */
  async drain(outcome: Outcome = { kind: 'succeeded' }): Promise<readonly string[]> {
    const ids: string[] = [];
    for (let claimed = await this.claim(); claimed.length > 0; claimed = await this.claim()) {
      ids.push(...claimed.map(({ record }) => record.id));
      await this.settle(claimed, outcome);
    }
    return ids;
  }
}

export const consumerOf = (queue: Queue, sketch?: ConsumerSketch): Promise<TestConsumer> =>
  new TestConsumer(queue).register(sketch);

export function request(id: string, more: Partial<RunRequest> = {}): RunRequest {
  return { id, task: 'job', priority: 'medium', params: '{"n":1}', options: { source: 'api' }, ...more };
}

export const numbered = (
  prefix: string,
  count: number,
  more: Partial<RunRequest> = {},
): readonly RunRequest[] => Array.from({ length: count }, (_, index) => request(`${prefix}-${index}`, more));

/** Lets time pass in small steps until the condition holds. */
export async function until<T>(
  harness: Harness,
  what: string,
  condition: () => Promise<T | undefined | false>,
  stepMs = RECOVERY_STEP_MS,
): Promise<T> {
  const startMs = await harness.broker.now();
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    const waitedMs = (await harness.broker.now()) - startMs;
    assert.ok(waitedMs < DEADLINE_MS, `not within ${DEADLINE_MS} ms: ${what}`);
    await harness.passTime(stepMs);
  }
}

/** All that recovery did until it had nothing left to do for the dead consumer. */
export interface Recovered {
  readonly returned: number;
  readonly deadLettered: readonly string[];
}

/** Recovery passes, in time for each other, until the silent consumer is ended and its runs are back; others stay alive. */
export async function recoverFrom(
  harness: Harness,
  dead: TestConsumer,
  alive: readonly TestConsumer[] = [],
): Promise<Recovered> {
  const passes: RecoverReply[] = [];
  await until(harness, 'the dead consumer is ended and its runs are back', async () => {
    for (const consumer of alive) await consumer.queue.work.renew(consumer.incarnation);
    passes.push(await dead.queue.work.recover());
    const isEnded = passes.some(({ ended }) => ended.includes(dead.incarnation));
    return isEnded && passes.at(-1)?.more === false;
  });
  return {
    returned: passes.reduce((sum, pass) => sum + pass.returned, 0),
    deadLettered: passes.flatMap((pass) => pass.deadLettered.map(({ id }) => id)),
  };
}
