/** Fires what a batch of due schedules owes, many in one call, and takes in what became of each slot. */
import type { FireDecision, FireEntry, FireReply, SchedulePort } from '../broker/broker.ts';
import type { EngineContext } from './engine-context.ts';
import { FIRES_AT_ONCE, FIRES_PER_TURN, SCHEDULES_PER_FIRE, SLOTS_PER_FIRE } from './engine-context.ts';
import { type Entry, type RecentDecision, refOf, withDecision } from './entry.ts';
import { fireRequest, type Owed, owedBy } from './reconcile.ts';

/** A schedule whose evaluation throws is tried again after this. */
const DEFECT_RETRY_MS = 60_000;

/** What the loop does with the schedule next. */
export type Fired =
  /** `atMs`: by the broker's clock; absent: never again. */
  | { readonly kind: 'next'; readonly entry: Entry; readonly atMs: number | undefined }
  /** What runs or waits just now stands against a slot that is still ahead: ask again when it has come. */
  | { readonly kind: 'opposed'; readonly entry: Entry; readonly slotMs: number }
  /** What the broker decided differs from what we believed: read its state before the next plan. */
  | { readonly kind: 'verify'; readonly entry: Entry }
  /** A slot lies too far ahead for the broker. */
  | { readonly kind: 'early'; readonly entry: Entry; readonly slotMs: number }
  | { readonly kind: 'no-memory'; readonly entry: Entry }
  | {
      readonly kind: 'stale';
      readonly entry: Entry;
      readonly generation: number;
      readonly withdrawn: boolean;
    };

interface Planned {
  readonly entry: Entry;
  readonly entries: readonly FireEntry[];
  readonly nextMs: number | undefined;
}

/** By the broker's clock: slots up to the horizon are decided, which may be a little ahead of now. */
export interface FireSpan {
  readonly nowMs: number;
  readonly horizonMs: number;
}

/** Where the schedules that are due come from, and what becomes of them. */
export interface DueWork {
  /** The next schedule that is due; `undefined` when none is. */
  readonly due: () => Entry | undefined;
  readonly take: (results: readonly Fired[]) => void;
  /** The call in which it was asked for failed. */
  readonly putBack: (entry: Entry) => void;
}

export class Firer {
  readonly #context: EngineContext;
  readonly #port: SchedulePort;

  constructor(context: EngineContext, port: SchedulePort) {
    this.#context = context;
    this.#port = port;
  }

  /**
   * Fires what is due up to the horizon, in small calls, so that the first runs start while the last are still decided.
   * @returns for how many schedules the broker was asked
   */
  async fireDue(work: DueWork, span: FireSpan): Promise<number> {
    const senders = Array.from({ length: FIRES_AT_ONCE }, () => this.#fireInTurn(work, span));
    let asked = 0;
    for (const sent of await Promise.allSettled(senders)) {
      if (sent.status === 'rejected') throw sent.reason;
      asked += sent.value;
    }
    return asked;
  }

  async #fireInTurn({ due, take, putBack }: DueWork, span: FireSpan): Promise<number> {
    let asked = 0;
    for (let call = 0; call < FIRES_PER_TURN; call += 1) {
      const taken: Entry[] = [];
      try {
        const results = await this.#fireOnce(due, taken, span);
        asked += taken.length;
        take(results);
        // What the broker answered otherwise is read back, or waited for, before it is asked again.
        if (taken.length === 0 || results.some(({ kind }) => kind !== 'next' && kind !== 'opposed')) break;
      } catch (error) {
        taken.forEach(putBack);
        throw error;
      }
    }
    return asked;
  }

  /**
   * Plans and fires schedules until the call is full. Nothing of `due` is lost: what is not asked for stays with the caller.
   * @param due - gives the next schedule that is due; `undefined` when none is
   * @param taken - gets every schedule that was asked for, so that a caller can put them back when the call fails
   */
  async #fireOnce(due: () => Entry | undefined, taken: Entry[], span: FireSpan): Promise<readonly Fired[]> {
    const results: Fired[] = [];
    const planned: Planned[] = [];
    let slots = 0;
    while (planned.length < SCHEDULES_PER_FIRE && slots < SLOTS_PER_FIRE) {
      const entry = due();
      if (entry === undefined) break;
      taken.push(entry);
      const { entries, nextMs } = this.#owedBy(entry, span);
      if (entries.length === 0) results.push({ kind: 'next', entry, atMs: nextMs });
      else planned.push({ entry, entries, nextMs });
      slots += entries.length;
    }
    if (planned.length === 0) return results;
    const replies = await this.#port.fire(
      planned.map(({ entry, entries }) =>
        fireRequest(entry.object.uid, entry.object.generation, entry.definition, entries, entry.watermarkMs),
      ),
    );
    // If this process dies here, the slots are decided and nobody was told: the watermark keeps them from firing again.
    const doneMs = this.#context.brokerClock.estimate();
    for (const [index, plan] of planned.entries()) {
      const reply = replies[index];
      if (reply !== undefined) results.push(this.#take(plan, reply, doneMs));
    }
    return results;
  }

  /** A defect in the evaluation of one schedule must not stop its neighbours. */
  #owedBy(entry: Entry, { nowMs, horizonMs }: FireSpan): Owed {
    try {
      return owedBy(entry, nowMs, horizonMs);
    } catch (error) {
      this.#context.log.error('a schedule could not be evaluated', { object: entry.object.key, err: error });
      return { entries: [], nextMs: nowMs + DEFECT_RETRY_MS };
    }
  }

  #take(planned: Planned, reply: FireReply, doneMs: number): Fired {
    const { entry, entries, nextMs } = planned;
    if (reply.outcome === 'no-memory') return { kind: 'no-memory', entry };
    // A failover that nobody told of lost writes: firing on would put the watermark past slots that are owed again.
    if (reply.outcome === 'behind') return { kind: 'verify', entry };
    if (reply.outcome === 'stale')
      return { kind: 'stale', entry, generation: reply.generation, withdrawn: reply.withdrawn };
    if (reply.watermarkMs !== undefined) {
      entry.watermarkMs = reply.watermarkMs;
      entry.settledMs = Math.max(entry.settledMs, reply.watermarkMs);
    }
    const refused: Refused[] = [];
    for (const [index, asked] of entries.entries()) {
      const made = reply.decisions[index];
      if (made === undefined || asked.kind === 'trigger') continue;
      if (made.decision === 'refused') refused.push({ why: made.why, slotMs: spanOf(asked).slotMs });
      else if (made.decision === 'duplicate')
        this.#context.observer.duplicate({ ...refOf(entry), ...spanOf(asked) });
      else entry.recent = withDecision(entry.recent, this.#tell(entry, asked, made, doneMs));
    }
    return afterRefusals(entry, refused) ?? { kind: 'next', entry, atMs: nextMs };
  }

  #tell(
    entry: Entry,
    asked: Exclude<FireEntry, { kind: 'trigger' }>,
    made: Exclude<FireDecision, { decision: 'duplicate' | 'refused' }>,
    doneMs: number,
  ): RecentDecision {
    const { observer } = this.#context;
    const { decision, reason, runId } = made;
    const { slotMs, count } = spanOf(asked);
    if (decision === 'fired') {
      entry.lastFiredSlotMs = slotMs;
      const delayMs = asked.kind === 'slot' ? asked.delayMs : 0;
      observer.fired({ ...refOf(entry), slotMs, runId, reason, lagMs: doneMs - slotMs, delayMs });
    } else if (decision === 'skipped') {
      observer.skipped({ ...refOf(entry), slotMs, reason });
    } else if (asked.kind === 'missed') {
      entry.lastMissedSlotMs = slotMs;
      const { fromMs, toMs, countIsExact } = asked;
      observer.missed({ ...refOf(entry), fromMs, toMs, count, countIsExact, reason: asked.reason });
    }
    return {
      fromMs: asked.kind === 'missed' ? asked.fromMs : slotMs,
      slotMs,
      count,
      decision,
      ...(reason !== undefined && { reason }),
      ...(runId !== undefined && { runId }),
    };
  }
}

interface Refused {
  readonly why: Extract<FireDecision, { decision: 'refused' }>['why'];
  readonly slotMs: number;
}

/** What the first refusal asks for: what follows it in the request was refused because of it, or is asked again with it. */
function afterRefusals(entry: Entry, [first]: readonly Refused[]): Fired | undefined {
  switch (first?.why) {
    case undefined:
      return undefined;
    case 'future':
      return { kind: 'early', entry, slotMs: first.slotMs };
    case 'ahead':
      return { kind: 'opposed', entry, slotMs: first.slotMs };
    default:
      return { kind: 'verify', entry };
  }
}

function spanOf(asked: Exclude<FireEntry, { kind: 'trigger' }>): {
  readonly slotMs: number;
  readonly count: number;
} {
  return asked.kind === 'slot'
    ? { slotMs: asked.slotMs, count: 1 }
    : { slotMs: asked.toMs, count: asked.count };
}
