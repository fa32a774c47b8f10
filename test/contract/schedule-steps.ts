/** The small steps that the contract's schedule tests are made of. */
import assert from 'node:assert/strict';
import type {
  AdoptReply,
  AdoptRequest,
  FireDecision,
  FireEntry,
  FireReply,
  FireRequest,
  Queue,
  RunTemplate,
} from '../../src/broker/broker.ts';
import type { ConcurrencyPolicy, ScheduleState } from '../../src/task/schedule-state.ts';
import type { Harness } from './harness.ts';

export const UID = 'uid-1';

export function adoption(more: Partial<AdoptRequest> = {}): AdoptRequest {
  return {
    ...{ uid: UID, generation: 1, install: 'tests', namespace: 'team', name: 'nightly', suspended: false },
    ...{ spec: '{"every":"1s"}', ...more },
  };
}

const TEMPLATE: RunTemplate = {
  task: 'job',
  priority: 'medium',
  params: '{"from":"schedule"}',
  options: { source: 'schedule', schedule: { uid: UID, namespace: 'team', name: 'nightly' } },
};

export function firing(entries: readonly FireEntry[], more: Partial<FireRequest> = {}): FireRequest {
  return { uid: UID, generation: 1, concurrencyPolicy: 'Allow', entries, run: TEMPLATE, ...more };
}

export const templateOf = (uid: string): RunTemplate => ({
  ...TEMPLATE,
  options: { source: 'schedule', schedule: { uid, namespace: 'team', name: uid } },
});

export const slot = (slotMs: number, delayMs = 0): FireEntry => ({ kind: 'slot', slotMs, delayMs });
export const missed = (fromMs: number, toMs: number, count: number, countIsExact = true): FireEntry => ({
  ...{ kind: 'missed', fromMs, toMs, count, countIsExact, reason: 'Superseded' },
});
export const trigger = (request: string, params?: string): FireEntry => ({
  ...{ kind: 'trigger', request },
  ...(params === undefined ? {} : { params }),
});

/** One adopted schedule and its queue, with time since it was adopted to put slots into. */
export class Schedule {
  readonly queue: Queue;
  /** Instants at and after not-before and in the past: good slots, one ms apart. */
  readonly firstMs: number;

  private constructor(queue: Queue, firstMs: number) {
    this.queue = queue;
    this.firstMs = firstMs;
  }

  static async adopted(harness: Harness, more: Partial<AdoptRequest> = {}): Promise<Schedule> {
    const queue = harness.broker.queue('work');
    const state = await adopt(queue, more);
    await harness.passTime(20);
    return new Schedule(queue, state.notBeforeMs);
  }

  /** The n-th slot. */
  at(index: number): number {
    return this.firstMs + index;
  }

  async fire(
    entries: readonly FireEntry[],
    policy: ConcurrencyPolicy = 'Allow',
    more: Partial<FireRequest> = {},
  ): Promise<readonly FireDecision[]> {
    const [reply] = await this.queue.schedules.fire([
      firing(entries, { concurrencyPolicy: policy, ...more }),
    ]);
    assert.equal(reply?.outcome, 'ok');
    return reply.decisions;
  }

  async state(uid = UID): Promise<ScheduleState> {
    const [state] = await this.queue.schedules.states([uid]);
    assert.ok(state);
    return state;
  }
}

const AHEAD_MS = 45;
const ATTEMPTS = 50;

/**
 * Does something about a slot that is a little ahead, again with another slot when that one came meanwhile, and then calls the
 * assertions that it returned.
 * @returns the slot that was ahead until all was done
 */
export async function whileAhead(
  { broker }: Harness,
  act: (slotMs: number) => Promise<() => void>,
): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const slotMs = (await broker.now()) + AHEAD_MS;
    const check = await act(slotMs);
    if ((await broker.now()) >= slotMs) continue;
    check();
    return slotMs;
  }
  throw new Error(`nothing was done within ${AHEAD_MS} ms`);
}

/** Adopts, and asserts that a new era began. */
export async function adopt(queue: Queue, more: Partial<AdoptRequest> = {}): Promise<ScheduleState> {
  const [reply] = await queue.schedules.adopt([adoption(more)]);
  assert.equal(reply?.outcome, 'adopted');
  return reply.state;
}

export async function tryAdopt(queue: Queue, more: Partial<AdoptRequest> = {}): Promise<AdoptReply> {
  const [reply] = await queue.schedules.adopt([adoption(more)]);
  assert.ok(reply);
  return reply;
}

export async function tryFire(
  queue: Queue,
  entries: readonly FireEntry[],
  more: Partial<FireRequest> = {},
): Promise<FireReply> {
  const [reply] = await queue.schedules.fire([firing(entries, more)]);
  assert.ok(reply);
  return reply;
}

export const decisionsOf = (decisions: readonly FireDecision[]): readonly string[] =>
  decisions.map((made) => {
    if (made.decision === 'duplicate') return 'duplicate';
    if (made.decision === 'refused') return `refused ${made.why}`;
    return made.reason === undefined ? made.decision : `${made.decision} ${made.reason}`;
  });
