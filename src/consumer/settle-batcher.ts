/** Collects the ends of attempts into batches, and remembers those whose settlement has had no answer. */
import type { Settlement } from '../broker/broker.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Outcome } from '../task/run.ts';
import { handOutKey, type HeldRun } from './run-table.ts';

/** More in one script gains little, and holds up everybody else: this many take Redis about 1.5 ms. */
export const SETTLE_BATCH = 256;
/** How long a settlement waits for company. */
export const SETTLE_FLUSH_MS = 2;

export interface SettleEntry {
  readonly run: HeldRun;
  readonly outcome: Outcome;
}

export interface SettleBatch {
  readonly entries: readonly SettleEntry[];
  readonly sentMs: number;
}

export class SettleBatcher {
  readonly #clock: Clock;
  readonly #flush: () => void;
  #waiting: SettleEntry[] = [];
  /** Sent with an unknown outcome: the broker must say what it holds. */
  #doubtful: SettleEntry[] = [];
  #inFlight: readonly SettleBatch[] = [];
  #timer: Timer | undefined;
  #limit = SETTLE_BATCH;
  #unansweredMs: number | undefined;

  /** @param flush - called when a batch is due: `SETTLE_BATCH` wait, or one has waited for 2 ms */
  constructor(clock: Clock, flush: () => void) {
    this.#clock = clock;
    this.#flush = flush;
  }

  /** How many settlements wait to be sent. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Since when settlements have had no answer, on the monotonic clock; `undefined` when every one sent was answered. */
  get unansweredSinceMs(): number | undefined {
    return this.#unansweredMs;
  }

  add(run: HeldRun, outcome: Outcome): void {
    this.#waiting.push({ run, outcome });
    this.arm();
  }

  /** Makes sure that what waits is flushed. To be called after every reply: a batch that found both calls busy has no timer. */
  arm(delayMs = SETTLE_FLUSH_MS): void {
    if (this.#waiting.length === 0) return;
    if (this.#waiting.length >= this.#limit && delayMs <= SETTLE_FLUSH_MS) {
      this.#disarm();
      this.#flush();
    } else {
      this.#timer ??= this.#clock.after(delayMs, () => {
        this.#timer = undefined;
        this.#flush();
      });
    }
  }

  /** Takes the next batch out, to be sent now. An empty batch is not tracked. */
  take(): SettleBatch {
    this.#disarm();
    const batch = { entries: this.#waiting.splice(0, this.#limit), sentMs: this.#clock.monotonic() };
    if (batch.entries.length > 0) {
      this.#inFlight = [...this.#inFlight, batch];
      this.#unansweredMs ??= batch.sentMs;
    }
    return batch;
  }

  answered(batch: SettleBatch): void {
    this.#landed(batch);
    if (batch.entries.length === 0) return;
    this.#limit = Math.min(SETTLE_BATCH, this.#limit * 2);
    const sentTimes = this.#inFlight.map((other) => other.sentMs);
    this.#unansweredMs = sentTimes.length === 0 ? undefined : Math.min(...sentTimes);
  }

  /**
   * Nothing was changed by the call: the batch goes to the end of the line, in smaller batches, so that one settlement
   * that the broker cannot take does not stop the others.
   */
  refused(batch: SettleBatch): void {
    this.#landed(batch);
    if (batch.entries.length === 0) return;
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    this.#waiting.push(...batch.entries);
  }

  /** The call may or may not have settled them: they wait for `resolveDoubt`. */
  lostReply(batch: SettleBatch): void {
    this.#landed(batch);
    for (const entry of batch.entries) entry.run.sentBefore = true;
    this.#doubtful.push(...batch.entries);
  }

  /** Sends again what is still held; returns what is not, which was most likely settled by the call without a reply. */
  resolveDoubt(heldKeys: ReadonlySet<string>): SettleEntry[] {
    const doubtful = this.#doubtful;
    this.#doubtful = [];
    const [again, gone] = [doubtful.filter(isHeld), doubtful.filter((entry) => !isHeld(entry))];
    this.#waiting.unshift(...again);
    if (this.#waiting.length === 0 && this.#inFlight.length === 0) this.#unansweredMs = undefined;
    this.arm();
    return gone;

    function isHeld(entry: SettleEntry): boolean {
      return heldKeys.has(handOutKey(entry.run));
    }
  }

  /** Forgets settlements that may no longer be sent: their runs were lost. */
  drop(isLost: (run: HeldRun) => boolean): void {
    this.#waiting = this.#waiting.filter((entry) => !isLost(entry.run));
    this.#doubtful = this.#doubtful.filter((entry) => !isLost(entry.run));
    if (this.#waiting.length + this.#doubtful.length + this.#inFlight.length === 0)
      this.#unansweredMs = undefined;
  }

  #landed(batch: SettleBatch): void {
    this.#inFlight = this.#inFlight.filter((other) => other !== batch);
  }

  [Symbol.dispose](): void {
    this.#disarm();
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }
}

export function settlementOf({ run, outcome }: SettleEntry): Settlement {
  return { id: run.id, token: run.token, outcome };
}
