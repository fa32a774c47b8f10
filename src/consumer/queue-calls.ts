/**
 * The calls of one consumer to one queue: at most two at a time, one that may claim and one that only settles. A claim
 * takes along what waits to be settled. The comparison with the broker's books gets the queue for itself.
 */
import type { Cancellation, ClaimBudget, ConsumerPort, CycleReply } from '../broker/broker.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../telemetry/log.ts';
import { callBackoffMs, nothingHappened } from './backoff.ts';
import type { ConsumerObserver } from './observer.ts';
import type { QueueSession } from './queue-session.ts';
import type { RunTable } from './run-table.ts';
import { type SettleBatch, SettleBatcher, type SettleEntry, settlementOf } from './settle-batcher.ts';
import { reportAnswer } from './settle-answers.ts';

export interface QueueCallsOptions {
  readonly queue: string;
  readonly work: ConsumerPort;
  readonly session: QueueSession;
  readonly table: RunTable;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: ConsumerObserver;
  readonly random: () => number;
  readonly onLeaseGone: (incarnation: string) => void;
  readonly onCancellations: (cancellations: readonly Cancellation[]) => void;
  /** A call was answered; `claimed`: it was one that may claim. */
  readonly onReply: (reply: CycleReply, claimed: boolean) => void;
  /** A call's outcome is unknown: compare what the broker holds with what runs. */
  readonly onDoubt: () => void;
}

const noSettlements = (): SettleBatch => ({ entries: [], sentMs: 0 });

/** One call at a time, first come, first served. */
class Lane {
  #last: Promise<unknown> = Promise.resolve();
  busy = 0;

  async run<T>(call: () => Promise<T>): Promise<T> {
    this.busy += 1;
    const before = this.#last;
    const mine = (async () => {
      await before;
      return await call();
    })();
    this.#last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      this.busy -= 1;
    }
  }
}

export class QueueCalls {
  readonly settlements: SettleBatcher;
  readonly #options: QueueCallsOptions;
  readonly #claimLane = new Lane();
  readonly #settleLane = new Lane();
  /** Ends the wait of a claim that waits in the broker. */
  #callOff: (() => void) | undefined;
  /** Claims that were to wait in the broker and failed, in a row. */
  #waitFailures = 0;
  /** Calls that failed in a row. */
  #failures = 0;

  constructor(options: QueueCallsOptions) {
    this.#options = options;
    this.settlements = new SettleBatcher(options.clock, () => void this.#flush());
  }

  /**
   * Claims up to `want` and settles what waits, in one call. Never rejects.
   * @returns `undefined` when the call failed, its lease is gone, or `signal` aborted before it was sent
   */
  claim(want: ClaimBudget, signal: AbortSignal): Promise<CycleReply | undefined> {
    // Looked at after the wait for the lane: from the instant of the signal no claim may leave.
    return this.#claimLane.run(async () => (signal.aborted ? undefined : await this.#cycle(want)));
  }

  /**
   * Claims up to `want` as soon as there may be work since `cursor`, at the latest after `maxWaitMs`. Settles nothing. Whoever
   * needs the queue for itself meanwhile calls it off. Never rejects, and waits a while when it failed.
   * @returns as `claim`
   */
  async claimWhenWoken(
    want: ClaimBudget,
    cursor: string,
    maxWaitMs: number,
    signal: AbortSignal,
  ): Promise<CycleReply | undefined> {
    const { work, clock, random } = this.#options;
    const calledOff = new AbortController();
    this.#callOff = () => calledOff.abort();
    const either = AbortSignal.any([signal, calledOff.signal]);
    const reply = await this.#claimLane.run(async () => {
      if (either.aborted) return undefined;
      this.#waitFailures += 1;
      return await this.#call(noSettlements, true, async (incarnation) => {
        const answer = await work.claimWhenWoken(cursor, { incarnation, claim: want }, maxWaitMs, either);
        this.#waitFailures = 0;
        return answer;
      });
    });
    // A claim that does not wait may work all the same, so it is no measure for how soon to try this again.
    if (this.#waitFailures > 0) await clock.sleep(callBackoffMs(this.#waitFailures, random), signal);
    return reply;
  }

  /** Runs `call` while no other call to this queue is under way, so that its answer and our books can be compared. */
  async exclusive<T>(call: () => Promise<T>): Promise<T> {
    try {
      this.#callOff?.();
      return await this.#claimLane.run(() => this.#settleLane.run(call));
    } finally {
      // Batches that fell due meanwhile found the lane busy, and have no timer any more.
      this.#rearm();
    }
  }

  async #flush(): Promise<void> {
    // Whatever keeps the lane busy arms the next flush when it ends. Without a registration there is nobody to settle for.
    if (this.#settleLane.busy > 0 || this.#options.session.incarnation === undefined) return;
    await this.#settleLane.run(async () => {
      if (this.settlements.waiting > 0) await this.#cycle(undefined);
    });
    this.#rearm();
  }

  #rearm(): void {
    const { random } = this.#options;
    this.settlements.arm(this.#failures === 0 ? undefined : callBackoffMs(this.#failures, random));
  }

  #cycle(claim: ClaimBudget | undefined): Promise<CycleReply | undefined> {
    const { work } = this.#options;
    const take = (): SettleBatch => this.settlements.take();
    return this.#call(take, claim !== undefined, (incarnation, { entries }) => {
      const settle = entries.map(settlementOf);
      return work.cycle({ incarnation, settle, ...(claim === undefined ? {} : { claim }) });
    });
  }

  /** @param send - its promise may resolve to `undefined` when nothing came of the call */
  async #call(
    takeBatch: () => SettleBatch,
    claims: boolean,
    send: (incarnation: string, batch: SettleBatch) => Promise<CycleReply | undefined>,
  ): Promise<CycleReply | undefined> {
    const { session, observer, queue, log, onReply } = this.#options;
    const { incarnation } = session;
    if (incarnation === undefined) return undefined;
    const batch = takeBatch();
    try {
      const reply = await send(incarnation, batch);
      if (reply === undefined) return undefined;
      this.#failures = 0;
      const current = this.#answered(reply, batch, incarnation);
      if (current) onReply(reply, claims);
      return current ? reply : undefined;
    } catch (error) {
      this.#failures += 1;
      observer.callFailed({ queue, call: 'cycle', error });
      log[this.#failures === 1 ? 'warn' : 'debug']('queue call failed', {
        queue,
        err: error,
        failures: this.#failures,
      });
      this.#failed(error, batch);
      return undefined;
    } finally {
      this.#rearm();
    }
  }

  #failed(error: unknown, batch: SettleBatch): void {
    if (nothingHappened(error)) {
      this.settlements.refused(batch);
      return;
    }
    // The call may have settled the batch and handed us runs that we never heard of: only the broker can tell.
    this.settlements.lostReply(batch);
    this.#options.onDoubt();
  }

  /** False when the incarnation that called is no longer ours: what the reply handed out was taken from us with all the rest. */
  #answered(reply: CycleReply, batch: SettleBatch, incarnation: string): boolean {
    const { session, onLeaseGone, onCancellations } = this.#options;
    this.settlements.answered(batch);
    session.heardTime(reply.nowMs);
    if (reply.lease === 'gone') {
      onLeaseGone(incarnation);
      return false;
    }
    this.#settled(batch.entries, reply);
    if (session.incarnation !== incarnation) return false;
    onCancellations(reply.cancellations);
    return true;
  }

  #settled(entries: readonly SettleEntry[], reply: CycleReply): void {
    const { table, observer, queue, log } = this.#options;
    for (const [index, entry] of entries.entries()) {
      const held = table.remove(entry.run);
      const answer = reply.settled[index] ?? 'unknown';
      if (held) reportAnswer({ entry, answer, queue, observer, log });
    }
  }
}
