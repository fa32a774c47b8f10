/** The loop of one queue: free slots → claim (settling what waits on the way) → execute. Sleeps only when nothing is ready. */
import type { ClaimBudget, CycleReply, FreeSlots } from '../broker/broker.ts';
import { EXECUTORS } from '../task/run.ts';
import { callBackoffMs } from './backoff.ts';
import {
  type ClaimWish,
  claimWish,
  MOST_CLAIMED,
  NOTHING,
  placeOf,
  type Room,
  whenOf,
} from './claim-budget.ts';
import type { ClaimLoopOptions } from './claim-loop-options.ts';
import { EarlyRuns } from './early-runs.ts';
import { Nudge } from './nudge.ts';
import { EARLY_GIVE_BACK_MS, Prefetch, PREFETCH_GIVE_BACK_MS } from './prefetch.ts';
import type { HeldRun } from './run-table.ts';
import { SETTLE_BATCH, SETTLE_FLUSH_MS } from './settle-batcher.ts';
import { type WaitingRun, WaitingRuns } from './waiting-runs.ts';

/** Settlements that may wait before claiming stops: bodies can end faster than the broker takes their ends. */
const SETTLE_BACKLOG = 4 * SETTLE_BATCH;

const CLAIMS_PER_TURN = 8;

const turnOfTheLoop = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  readonly #nudge = new Nudge();
  readonly #prefetch = new Prefetch();
  /** IO runs claimed ahead of a free slot. */
  readonly #ahead = new WaitingRuns();
  readonly #early: EarlyRuns;
  /** The loop waits for a slot: work is, or may be, there. */
  #needsSlot = false;
  #claimFailures = 0;
  /** The last claim left work behind. */
  #moreReady = false;
  #claims = 0;
  /** While the loop waits for work: what its claim asks for, or would ask for if it waited in the broker. */
  #asked: ClaimBudget | undefined;

  constructor(options: ClaimLoopOptions) {
    this.#options = options;
    const { clock, release } = options;
    this.#early = new EarlyRuns({ clock, release, onDue: (runs) => this.#begin(runs) });
  }

  /** Claims until the signal aborts; what was claimed ahead goes back then. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, queue, clock, random } = this.#options;
    let failures = 0;
    // Not when the loop ends: it may wait for the answer to a claim until then.
    signal.addEventListener('abort', () => this.#early.giveBack(), { once: true });
    while (!signal.aborted) {
      try {
        await this.#turn(signal);
        failures = 0;
      } catch (error) {
        failures += 1;
        log.error('claim loop failed', { queue, err: error, failures });
        await clock.sleep(callBackoffMs(failures, random), signal);
      }
    }
    this.#setHungry(false);
    this.giveBackWaiting(0);
  }

  /** There is, or may be, work to claim. */
  wake(): void {
    this.#nudge.nudge();
  }

  /** A call that only settled was answered: it may have made room, or let a task back below its limit. */
  settled(reply: CycleReply): void {
    if (reply.moreReady || this.#needsSlot) this.#nudge.nudge();
  }

  /**
   * Slots came back: starts what was claimed ahead, and wakes the loop if it waits for one.
   * @param isOwn - those of a run of this queue
   */
  slotsFreed(isOwn: boolean): void {
    this.#startWaiting();
    // Not for another queue's: with few slots each of its runs would cost us a claim.
    if (this.#needsSlot || (isOwn && this.#asksTooLittle())) this.#nudge.nudge();
  }

  /** A body ended after `durationMs`. */
  observeDuration(durationMs: number): void {
    this.#prefetch.observe(durationMs);
  }

  /** Gives back what was claimed ahead and has waited for at least `minimumMs`. */
  giveBackWaiting(minimumMs = PREFETCH_GIVE_BACK_MS): void {
    const untilMs = this.#options.clock.monotonic() - minimumMs;
    for (const run of this.#ahead.takeStale(untilMs)) this.#options.release(run);
  }

  /** A run claimed ahead was lost or cancelled: it must not start. */
  forget(run: HeldRun): void {
    this.#ahead.forget(run);
    this.#early.forget(run);
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { session, clock, idleMs } = this.#options;
    if (session.incarnation === undefined) {
      this.#setHungry(false);
      await this.#nudge.wait(clock, idleMs, signal);
      return;
    }
    this.#nudge.clear();
    await this.#gatherSlots(signal);
    const wanted = this.#wanted();
    const taken = this.#takeSlots(wanted);
    if (taken.io + taken.cpu + wanted.ahead === 0) {
      await this.#waitForSlot(signal);
      return;
    }
    let reply = await this.#claim({ ...wanted, ...taken }, signal);
    while (reply !== undefined && (reply.claimed.length === 0 || !reply.moreReady))
      reply = await this.#idle(reply, signal);
  }

  async #waitForSlot(signal: AbortSignal): Promise<void> {
    const { clock, idleMs } = this.#options;
    this.#setHungry(true);
    this.#needsSlot = true;
    await this.#nudge.wait(clock, idleMs, signal);
    this.#needsSlot = false;
  }

  /**
   * A few slots of many came free: others follow within a moment, and one call does for all. Not where so many are claimed
   * ahead that the call is large anyway.
   */
  async #gatherSlots(signal: AbortSignal): Promise<void> {
    const { slots, queue, clock } = this.#options;
    const free = slots.io.available(queue);
    const enough = Math.ceil(slots.io.total / 4);
    const cpuIsDue = slots.cpu.isHungry(queue) && slots.cpu.available(queue) > 0;
    const claimsMany = this.#moreReady && this.#prefetch.allowance(slots.io.total) >= enough;
    if (free > 0 && free < enough && !cpuIsDue && !claimsMany) await clock.sleep(SETTLE_FLUSH_MS, signal);
  }

  #wanted(): ClaimWish {
    const { slots, queue, calls, cpuReady } = this.#options;
    if (calls.settlements.waiting >= SETTLE_BACKLOG) return NOTHING;
    return claimWish({
      free: { io: slots.io.available(queue), cpu: cpuReady() ? slots.cpu.available(queue) : 0 },
      allowance: this.#prefetch.allowance(slots.io.total),
      takenUp: this.#prefetch.takenUp(slots.io.total),
      waiting: this.#ahead.length,
      held: this.#early.length,
      moreReady: this.#moreReady,
    });
  }

  #takeSlots(wanted: FreeSlots): FreeSlots {
    const { slots, queue } = this.#options;
    return { io: slots.io.take(queue, wanted.io), cpu: slots.cpu.take(queue, wanted.cpu) };
  }

  /** @param wish - slots that are ours for it, and what else to ask for; returns as `#take` */
  async #claim(wish: ClaimWish, signal: AbortSignal): Promise<CycleReply | undefined> {
    const { io, cpu, ahead, early } = wish;
    const reply = await this.#options.calls.claim({ io: io + ahead, cpu, early }, signal);
    return this.#take(reply, wish, signal);
  }

  /**
   * Starts what a claim was answered with.
   * @param asked - slots that are ours for it, of which those that it does not use up are given back, and what else was asked for
   * @returns the reply; `undefined` when the claim failed, after a while
   */
  async #take(
    reply: CycleReply | undefined,
    asked: ClaimWish,
    signal: AbortSignal,
  ): Promise<CycleReply | undefined> {
    const { slots, queue, clock, random, session } = this.#options;
    const unused = { ...asked };
    try {
      if (reply !== undefined) this.#accept(reply, unused, signal);
    } finally {
      if (reply === undefined) this.#setHungry(false);
      else this.#noteHunger(reply, asked, unused);
      for (const executor of EXECUTORS) slots[executor].release(queue, unused[executor]);
    }
    // Slots that came free while the claim was under way found nothing claimed ahead, and nobody tells of them again.
    if (!signal.aborted) this.#startWaiting();
    if (reply === undefined || reply.claimError !== undefined) {
      this.#claimFailures += 1;
      this.#reportClaimError(reply);
      if (session.incarnation !== undefined)
        await clock.sleep(callBackoffMs(this.#claimFailures, random), signal);
      return undefined;
    }
    this.#claimFailures = 0;
    this.#moreReady = reply.moreReady;
    // A broker in memory answers without a turn of the event loop: timers and sockets must get theirs.
    if ((this.#claims += 1) % CLAIMS_PER_TURN === 0) await turnOfTheLoop();
    return reply;
  }

  /** Uses up slots, and what else was asked for, in `unused`. */
  #accept({ claimed, nowMs }: CycleReply, unused: Room, signal: AbortSignal): void {
    const { table, runner, session, clock, release, observer, queue } = this.#options;
    const { incarnation } = session;
    if (incarnation === undefined) return;
    const askedEarly = unused.early;
    const { brokerNowMs = nowMs } = session;
    observer.claimed({ queue, count: claimed.length });
    for (const item of claimed) {
      const { record } = item;
      const run = table.add(item, incarnation);
      const waitMs = (record.dueAtMs ?? 0) - brokerNowMs;
      const when = whenOf(item.early, waitMs);
      const place = signal.aborted ? 'release' : placeOf(runner.executorOf(record), when, unused);
      if (place === 'start') runner.start(run, record);
      else if (place === 'wait') this.#ahead.add({ run, record, sinceMs: clock.monotonic() });
      else if (place === 'hold') this.#early.add(run, record, waitMs);
      else release(run);
    }
    // So many that more may be there, of which nobody will tell us again.
    if (askedEarly === MOST_CLAIMED && unused.early === 0) this.#nudge.nudge();
  }

  /** Their time has come. Slots that were free when they were handed out may be taken by now, and free elsewhere. */
  #begin(due: readonly Pick<WaitingRun, 'run' | 'record'>[]): void {
    const { clock, slots, release } = this.#options;
    const sinceMs = clock.monotonic();
    for (const { run, record } of due) this.#ahead.add({ run, record, sinceMs });
    this.#startWaiting();
    for (const run of this.#ahead.takeBeyond(this.#prefetch.takenUp(slots.io.total))) release(run);
    clock.after(EARLY_GIVE_BACK_MS, () => this.#lookAfterBegin()).unref();
  }

  /** Most bodies are over by now; those that are not keep slots that the claim which waits in the broker still asks for. */
  #lookAfterBegin(): void {
    const { slots, queue } = this.#options;
    this.giveBackWaiting(EARLY_GIVE_BACK_MS);
    if ((this.#asked?.io ?? 0) > slots.io.available(queue)) this.#nudge.nudge();
  }

  #startWaiting(): void {
    const { slots, queue, runner } = this.#options;
    while (this.#ahead.length > 0 && slots.io.take(queue, 1) === 1) {
      const next = this.#ahead.next();
      if (next === undefined) slots.io.release(queue, 1);
      else runner.start(next.run, next.record);
    }
  }

  /** @returns the reply of a claim that was made with the wake-up; `undefined`: nothing was claimed yet */
  async #idle(reply: CycleReply, signal: AbortSignal): Promise<CycleReply | undefined> {
    const { slots, queue } = this.#options;
    // A wake-up goes to one idle consumer: one that this queue alone keeps busy must not take it from another. The end of
    // a run claims again anyway, with its settlement.
    if (slots.io.heldBy(queue) + slots.cpu.heldBy(queue) === slots.io.total + slots.cpu.total) {
      await this.#waitForSlot(signal);
      return undefined;
    }
    // To wait is a call to the broker: the bodies that were just started come first.
    if (reply.claimed.length > 0) await turnOfTheLoop();
    const { signal: nudged, done } = this.#nudge.arm();
    try {
      const either = AbortSignal.any([signal, nudged]);
      const want = this.#wanted();
      if (reply.moreReady || want.io + want.cpu === 0) {
        await this.#waitForWork(want, reply, either);
        return undefined;
      }
      const next = await this.#claimWhenWoken(want, reply.wakeCursor, signal, either);
      // There may be slots by now for what it left, and whoever nudged may know of some.
      return nudged.aborted || next?.moreReady === true ? undefined : next;
    } finally {
      done();
    }
  }

  /** There are slots by now of an executor for which the waiting claim asks for nothing, so that nobody will hand over its runs. */
  #asksTooLittle(): boolean {
    const asked = this.#asked;
    if (asked === undefined) return false;
    const wanted = this.#wanted();
    return EXECUTORS.some((executor) => asked[executor] === 0 && wanted[executor] > 0);
  }

  async #waitForWork(want: FreeSlots, reply: CycleReply, signal: AbortSignal): Promise<void> {
    const { work, clock, idleMs } = this.#options;
    this.#needsSlot = reply.moreReady;
    this.#asked = want;
    await work.waitForWork(reply.wakeCursor, idleMs, signal);
    this.#asked = undefined;
    this.#needsSlot = false;
    // Work that stays ready while none of it can be claimed (a second suspect, no slot of its executor) must not spin.
    if (reply.moreReady) await clock.sleep(SETTLE_FLUSH_MS, signal);
  }

  /**
   * The claim waits in the broker for what comes. It takes no slots meanwhile, as other queues may need them: what finds none
   * goes back at once, to who has some.
   */
  async #claimWhenWoken(
    { io, cpu, early }: ClaimWish,
    cursor: string,
    signal: AbortSignal,
    either: AbortSignal,
  ): Promise<CycleReply | undefined> {
    const { calls, idleMs } = this.#options;
    this.#asked = { io, cpu, early };
    const reply = await calls.claimWhenWoken(this.#asked, cursor, idleMs, either);
    this.#asked = undefined;
    if (reply === undefined) return undefined;
    const now = this.#wanted();
    const { length } = reply.claimed;
    const taken = this.#takeSlots({ io: Math.min(now.io, length), cpu: Math.min(now.cpu, length) });
    return this.#take(reply, { ...taken, ahead: 0, early }, signal);
  }

  /** Which pools this queue may need soon: those of which it got all it asked for. */
  #noteHunger(reply: CycleReply, taken: FreeSlots, unused: FreeSlots): void {
    const { slots, queue } = this.#options;
    for (const executor of EXECUTORS) {
      if (taken[executor] === 0) continue;
      slots[executor].setHungry(queue, reply.moreReady && unused[executor] < taken[executor]);
    }
  }

  #setHungry(hungry: boolean): void {
    for (const executor of EXECUTORS) this.#options.slots[executor].setHungry(this.#options.queue, hungry);
  }

  #reportClaimError(reply: CycleReply | undefined): void {
    const { observer, log, queue } = this.#options;
    if (reply?.claimError === undefined) return;
    observer.claimError({ queue, message: reply.claimError });
    if (this.#claimFailures === 1) log.warn('claim failed', { queue, error: reply.claimError });
  }
}
