/** What consumers do with a queue on Redis. */
import { TidemillError, unreachable } from '../../runtime/errors.ts';
import type { RunError } from '../../task/run.ts';
import type {
  Cancellation,
  ClaimedRun,
  ClaimRequest,
  ConsumerPort,
  CycleReply,
  CycleRequest,
  RecoverReply,
  Registration,
  SettleAnswer,
  Settlement,
} from '../broker.ts';
import { encodeManifestHash } from './keys.ts';
import type { QueueContext } from './queue-context.ts';
import { decodeReason, encodeReason } from './reason-text.ts';
import { decodeRecord, encodeError, onOneLine } from './record.ts';
import { asAnswers, asList, asNumber, asOptionalNumber, asPairs, asText, asTexts } from './script-runner.ts';
import type { WakeReaders } from './wake-reader.ts';

const SETTLED: Readonly<Record<string, SettleAnswer>> = { s: 'settled', r: 'returned', u: 'unknown' };

/** Runs given back, promoted or dropped by one script: a few milliseconds of Redis's one thread. */
const CHUNK = 500;

/** Says what is wrong when the budgets do not fit into the server's memory; `undefined` when they do. */
export type CheckBudgets = (registration: Registration) => string | undefined;

export class RedisConsumerPort implements ConsumerPort {
  readonly #queue: QueueContext;
  readonly #wakes: WakeReaders;
  readonly #checkBudgets: CheckBudgets;

  constructor(queue: QueueContext, wakes: WakeReaders, checkBudgets: CheckBudgets) {
    this.#queue = queue;
    this.#wakes = wakes;
    this.#checkBudgets = checkBudgets;
  }

  async register(registration: Registration): Promise<void> {
    const problem = this.#checkBudgets(registration);
    if (problem !== undefined) throw new TidemillError('BROKER_UNSUITABLE', problem);
    await this.#queue.list();
    await this.#queue.run('register', encodeRegistration(registration));
  }

  async cycle(request: CycleRequest): Promise<CycleReply> {
    const { args, order } = encodeSettlements(request.settle);
    const { io = '', cpu = '', early = 0 } = request.claim ?? {};
    const budget = [io, cpu, early].map(String);
    const reply = await this.#queue.run('cycle', [request.incarnation, ...budget, ...args]);
    return this.#decodeCycle(request.incarnation, reply, order);
  }

  async claimWhenWoken(
    cursor: string,
    request: ClaimRequest,
    maxWaitMs: number,
    signal: AbortSignal,
  ): Promise<CycleReply | undefined> {
    const reply = await this.#wakes.claim(cursor, request.claim, maxWaitMs, signal);
    return reply === undefined ? undefined : this.#decodeCycle(request.incarnation, reply, []);
  }

  async renew(
    incarnation: string,
  ): Promise<{ lease: 'held' | 'gone'; cancellations: readonly Cancellation[] }> {
    const [lease, cancellations] = asList(await this.#queue.run('renew', [incarnation]));
    return { lease: parseLease(lease), cancellations: parseCancellations(cancellations) };
  }

  async held(incarnation: string): ReturnType<ConsumerPort['held']> {
    const [lease, runs] = asList(await this.#queue.run('held', [incarnation]));
    return { lease: parseLease(lease), runs: asPairs(runs).map(([id, token]) => ({ id, token })) };
  }

  async recover(): Promise<RecoverReply> {
    const [amnesty, ended, returned, dead, more] = asList(await this.#queue.run('recover', [String(CHUNK)]));
    return {
      amnesty: asNumber(amnesty) === 1,
      ended: asTexts(ended),
      returned: asNumber(returned),
      deadLettered: asPairs(dead).map(([id, task]) => ({ id, task })),
      more: asNumber(more) === 1,
    };
  }

  async promote(): ReturnType<ConsumerPort['promote']> {
    const [promoted, expired, dropped, more, nextDue] = asList(
      await this.#queue.run('promote', [String(CHUNK)]),
    );
    const nextDueAtMs = asOptionalNumber(nextDue);
    return {
      promoted: asNumber(promoted),
      expired: asNumber(expired),
      dropped: asNumber(dropped),
      more: asNumber(more) === 1,
      ...(nextDueAtMs === undefined ? {} : { nextDueAtMs }),
    };
  }

  waitForWork(cursor: string, maxWaitMs: number, signal: AbortSignal): Promise<void> {
    return this.#wakes.wait(cursor, maxWaitMs, signal);
  }

  async leave(incarnation: string): Promise<void> {
    this.#wakes.forget(incarnation);
    // What it holds goes back in chunks; should we be interrupted, recovery does the rest.
    while (asNumber(await this.#queue.run('leave', [incarnation, String(CHUNK)])) === 1);
  }

  /** @param order - which settlement of the request each answer is for */
  async #decodeCycle(incarnation: string, reply: unknown, order: readonly number[]): Promise<CycleReply> {
    const [lease, answers, token, claimed, claimError, cancellations, more, nextDue, now, early] =
      asList(reply);
    const settled: SettleAnswer[] = order.map(() => 'unknown');
    for (const [place, answer] of asAnswers(answers, SETTLED, order.length).entries())
      settled[order[place] ?? place] = answer;
    const why = asText(claimError);
    const nextDueAtMs = asOptionalNumber(nextDue);
    return {
      lease: parseLease(lease),
      settled,
      claimed: await this.#decodeClaimed(incarnation, asText(token), asTexts(claimed), asNumber(early)),
      cancellations: parseCancellations(cancellations),
      moreReady: asNumber(more) === 1,
      wakeCursor: incarnation,
      nowMs: asNumber(now),
      ...(why === '' ? {} : { claimError: why }),
      ...(nextDueAtMs === undefined ? {} : { nextDueAtMs }),
    };
  }

  /** A record that cannot be read is settled here and now, so that no consumer stumbles over it. */
  async #decodeClaimed(
    incarnation: string,
    token: string,
    claimed: readonly string[],
    early: number,
  ): Promise<readonly ClaimedRun[]> {
    const firstEarly = claimed.length - 2 * early;
    const runs: ClaimedRun[] = [];
    const unreadable: Settlement[] = [];
    for (let index = 0; index + 1 < claimed.length; index += 2) {
      const id = claimed[index] ?? '';
      const decoded = decodeRecord(this.#queue.name, id, claimed[index + 1] ?? '');
      if (decoded === undefined)
        unreadable.push({ id, token, outcome: { kind: 'failed', error: MALFORMED } });
      else runs.push({ record: decoded.record, token, suspect: decoded.suspect, early: index >= firstEarly });
    }
    if (unreadable.length === 0) return runs;
    const [first] = unreadable;
    this.#queue.warn(
      `the records of ${unreadable.length} runs in queue ${this.#queue.name} cannot be read, ${JSON.stringify(first?.id)} ` +
        'among them; they end as failed (MalformedRecord). Something else writes to this prefix',
    );
    // Should this fail, the consumer finds runs that it does not know when it compares, and releases them.
    await this.cycle({ incarnation, settle: unreadable }).catch(() => undefined);
    return runs;
  }
}

const MALFORMED: RunError = {
  reason: 'MalformedRecord',
  name: 'MalformedRecord',
  message: 'the record of this run cannot be read; something else wrote it',
};

function encodeRegistration({
  incarnation,
  leaseMs,
  manifest,
  settings,
  consumer,
}: Registration): readonly string[] {
  const limits = [
    settings.retainSucceededMs,
    settings.retainSucceededBytes,
    settings.retainFailedMs,
    settings.retainFailedBytes,
    settings.maxPending,
    settings.maxPendingPerSchedule,
    settings.maxDeliveries,
  ];
  const tasks = manifest.tasks.flatMap((task) => [
    task.name,
    `${task.executor};${task.maxConcurrency ?? ''};${task.schemaHash}`,
  ]);
  return [
    ...[incarnation, String(leaseMs), encodeManifestHash(manifest.hash), String(manifest.builtAtMs)],
    ...[JSON.stringify(manifest), JSON.stringify(consumer)],
    ...limits.map((limit) => limit.toFixed(0)),
    ...tasks,
  ];
}

interface Group {
  readonly token: string;
  readonly kind: string;
  readonly fields: string[];
  readonly indexes: number[];
}

/** Settlements with the same token and kind share one header. `order`: which settlement each run of the groups is. */
function encodeSettlements(settle: readonly Settlement[]): {
  readonly args: readonly string[];
  readonly order: readonly number[];
} {
  const groups = new Map<string, Group>();
  let last: Group | undefined;
  settle.forEach(({ id, token, outcome }, index) => {
    const values = encodeOutcome(outcome);
    const kind = values[0];
    // Runs that were claimed together mostly end alike, one after the other.
    const group = last?.token === token && last.kind === kind ? last : groupOf(groups, token, kind);
    group.fields.push(id);
    for (let place = 1; place < values.length; place += 1) group.fields.push(values[place] ?? '');
    group.indexes.push(index);
    last = group;
  });
  const args: string[] = [];
  const order: number[] = [];
  for (const { token, kind, fields, indexes } of groups.values()) {
    args.push(token, kind, String(indexes.length), ...fields);
    order.push(...indexes);
  }
  return { args, order };
}

function groupOf(groups: Map<string, Group>, token: string, kind: string): Group {
  const key = `${kind}${token}`;
  let group = groups.get(key);
  if (group === undefined) {
    group = { token, kind, fields: [], indexes: [] };
    groups.set(key, group);
  }
  return group;
}

/** The kind's letter, and the values that `lib/settle.lua` expects with it. */
function encodeOutcome(outcome: Settlement['outcome']): readonly [string, ...string[]] {
  switch (outcome.kind) {
    case 'succeeded':
      return outcome.result === undefined ? ['S'] : ['s', onOneLine(outcome.result)];
    case 'failed':
      return ['f', encodeError(outcome.error)];
    case 'retry':
      return ['r', Math.max(0, outcome.delayMs).toFixed(0), encodeError(outcome.error)];
    case 'released':
      return ['b', Math.max(0, outcome.delayMs ?? 0).toFixed(0)];
    case 'cancelled':
      return ['c', encodeReason(outcome.reason)];
    case 'rejected':
      return ['j', encodeError(outcome.error)];
    default:
      return unreachable(outcome);
  }
}

function parseLease(reply: unknown): 'held' | 'gone' {
  return asText(reply) === 'held' ? 'held' : 'gone';
}

function parseCancellations(reply: unknown): readonly Cancellation[] {
  return asPairs(reply).map(([id, reason]) => ({ id, reason: decodeReason(reason) }));
}
