/**
 * Gathers the enqueue calls of a producer into few batches. Each batch under way has a slot of its own, in which the queue
 * keeps its answer until the slot is used again: so an answer that was lost can always be asked for once more, however
 * many calls came since. Calls that come while others are under way share the next batch.
 */
import type { Clock, Timer } from '../../runtime/clock.ts';
import { TidemillError } from '../../runtime/errors.ts';
import type { EnqueueOutcome } from '../broker.ts';

/** Batches under way at once. More would only make the batches smaller. */
export const PRODUCER_SLOTS = 8;
/** A batch of several calls holds no more runs, and no more characters, than this; a larger call goes alone. */
const MOST_BATCHED_RUNS = 256;
const MOST_BATCHED_CHARACTERS = 1024 * 1024;
/** What may wait for a slot; beyond it a call is refused, or a Redis that is away would fill this process's memory. */
export const MOST_WAITING_RUNS = 50_000;
const MOST_WAITING_CHARACTERS = 64 * 1024 * 1024;
/** From the call, or the last sign of life of Redis since, to the last try's end. With time to spare below 5 s. */
const CALL_MS = 4_400;
/** A call that had no slot for so long, while no batch was answered, would not have the time for two tries. */
const LONGEST_WAIT_MS = CALL_MS / 2;

/** A run as it goes into a batch. */
export interface EncodedRun {
  readonly id: string;
  /** As `encodePreamble` makes it. */
  readonly preamble: string;
  /** JSON on one line. */
  readonly params: string;
  /** `at` or `after`, ms, and ms to its expiry or the empty text. */
  readonly timing: readonly [string, string, string];
}

export interface Batch {
  /** Below `PRODUCER_SLOTS`; no other batch under way has it. */
  readonly slot: number;
  /** Rises with every batch. */
  readonly number: number;
  readonly runs: readonly EncodedRun[];
  /** By the monotonic clock. */
  readonly deadlineMs: number;
}

/** Sends a batch, again if its answer is lost: one outcome for each run, in order. */
export type SendBatch = (batch: Batch) => Promise<readonly EnqueueOutcome[]>;

interface Call {
  readonly runs: readonly EncodedRun[];
  readonly characters: number;
  readonly sinceMs: number;
  readonly resolve: (outcomes: readonly EnqueueOutcome[]) => void;
  readonly reject: (error: unknown) => void;
}

export class EnqueueBatcher implements Disposable {
  readonly #send: SendBatch;
  readonly #clock: Clock;
  readonly #freeSlots = Array.from({ length: PRODUCER_SLOTS }, (_, slot) => slot);
  /** In the order of the calls, which is the order of their batches. */
  #waiting: Call[] = [];
  #waitingRuns = 0;
  #waitingCharacters = 0;
  #batches = 0;
  #lastAnswerMs = 0;
  #isFlushDue = false;
  #isClosed = false;
  #timer: Timer | undefined;

  constructor(send: SendBatch, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /**
   * @returns one outcome for each run, in order
   * @throws TidemillError BROKER_UNAVAILABLE (the message says whether it was sent), BROKER_REFUSED, BROKER_CLOSED
   */
  add(runs: readonly EncodedRun[]): Promise<readonly EnqueueOutcome[]> {
    if (this.#isClosed) return Promise.reject(closedError());
    const characters = runs.reduce(
      (sum, { id, preamble, params }) => sum + id.length + preamble.length + params.length,
      0,
    );
    if (!this.#hasRoom(runs.length, characters)) return Promise.reject(this.#fullError());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ runs, characters, sinceMs: this.#clock.monotonic(), resolve, reject });
      this.#waitingRuns += runs.length;
      this.#waitingCharacters += characters;
      this.#flushSoon();
    });
  }

  /** What is under way ends with its connection. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
    for (const { reject } of this.#take(this.#waiting.length)) reject(closedError());
  }

  /** One call may be of any size, or it could never be made. */
  #hasRoom(runs: number, characters: number): boolean {
    if (this.#waiting.length === 0) return true;
    return (
      this.#waitingRuns + runs <= MOST_WAITING_RUNS &&
      this.#waitingCharacters + characters <= MOST_WAITING_CHARACTERS
    );
  }

  /** While nothing is under way a call need not wait for others; otherwise it costs nothing to gather those of this turn. */
  #flushSoon(): void {
    if (this.#freeSlots.length === 0) this.#watchWaiting();
    else if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      const flush = (): void => this.#flush();
      if (this.#freeSlots.length === PRODUCER_SLOTS) queueMicrotask(flush);
      else setImmediate(flush);
    }
  }

  #flush(): void {
    this.#isFlushDue = false;
    while (this.#waiting.length > 0) {
      const slot = this.#freeSlots.shift();
      if (slot === undefined) {
        this.#watchWaiting();
        return;
      }
      void this.#run(slot, this.#take(this.#countOfNextBatch()));
    }
  }

  #countOfNextBatch(): number {
    let [runs, characters] = [0, 0];
    const firstTooMany = this.#waiting.findIndex((call, index) => {
      runs += call.runs.length;
      characters += call.characters;
      return index > 0 && (runs > MOST_BATCHED_RUNS || characters > MOST_BATCHED_CHARACTERS);
    });
    return firstTooMany < 0 ? this.#waiting.length : firstTooMany;
  }

  #take(count: number): readonly Call[] {
    const calls = this.#waiting.splice(0, count);
    for (const { runs, characters } of calls) {
      this.#waitingRuns -= runs.length;
      this.#waitingCharacters -= characters;
    }
    return calls;
  }

  /** Never rejects. */
  async #run(slot: number, calls: readonly Call[]): Promise<void> {
    this.#batches += 1;
    const number = this.#batches;
    const deadlineMs = this.#waitsSinceMs(calls[0]) + CALL_MS;
    try {
      const outcomes = await this.#send({
        slot,
        number,
        runs: calls.flatMap(({ runs }) => runs),
        deadlineMs,
      });
      this.#lastAnswerMs = this.#clock.monotonic();
      let first = 0;
      for (const { runs, resolve } of calls) resolve(outcomes.slice(first, (first += runs.length)));
    } catch (error) {
      // The script runs whole or not at all, so what is true of the batch is true of each call in it.
      for (const { reject } of calls) reject(error);
    }
    this.#freeSlots.push(slot);
    if (this.#waiting.length > 0) this.#flushSoon();
  }

  #waitsSinceMs(call: Call | undefined): number {
    return Math.max(call?.sinceMs ?? 0, this.#lastAnswerMs);
  }

  /** While batches are answered, those that wait have their turn coming; when none is, they are not kept for ever. */
  #watchWaiting(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    const overAtMs = this.#waitsSinceMs(this.#waiting[0]) + LONGEST_WAIT_MS;
    this.#timer = this.#clock.after(overAtMs - this.#clock.monotonic(), () => {
      this.#timer = undefined;
      const nowMs = this.#clock.monotonic();
      const stillTimely = this.#waiting.findIndex(
        (call) => this.#waitsSinceMs(call) + LONGEST_WAIT_MS > nowMs,
      );
      const overdue = this.#take(stillTimely < 0 ? this.#waiting.length : stillTimely);
      for (const { reject } of overdue) reject(unsentError('Redis has not answered the calls before it'));
      if (this.#waiting.length > 0) this.#watchWaiting();
    });
    this.#timer.unref();
  }

  #fullError(): TidemillError {
    return unsentError(
      `${this.#waitingRuns} runs (${this.#waitingCharacters} characters) wait to be sent to Redis already`,
    );
  }
}

function unsentError(why: string): TidemillError {
  return new TidemillError('BROKER_UNAVAILABLE', `enqueue: ${why}; this call was not sent`);
}

function closedError(): TidemillError {
  return new TidemillError('BROKER_CLOSED', 'enqueue: this connection to Redis was closed; nothing was sent');
}
