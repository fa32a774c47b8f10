/**
 * Waits for work without polling: one blocking read of an incarnation's own wake stream, on a connection of its own. A claim
 * sent behind that read waits with it in Redis, which makes it in the moment in which the read ends: a run that comes to an
 * idle consumer is handed over without another trip. The claim is a call like any other: sent once, and never again.
 */
import { TidemillError } from '../../runtime/errors.ts';
import type { ClaimBudget } from '../broker.ts';
import { Connection, DEFAULT_CALL_TIMEOUT_MS } from './connection.ts';
import type { QueueContext } from './queue-context.ts';
import { RefusalNotice } from './refusal-notice.ts';
import { asText, ScriptRunner } from './script-runner.ts';

/** An idle consumer looks for work this often even if nobody wakes it. */
export const LONGEST_BLOCK_MS = 5_000;
const PAUSE_AFTER_ERROR_MS = 250;
/** A claim that was called off is answered at once; where it is not, its connection is dead. */
const CALL_OFF_MS = 1_000;

class WakeReader {
  readonly #queue: QueueContext;
  readonly #incarnation: string;
  readonly #connection: Connection;
  readonly #scripts: ScriptRunner;
  readonly #refusal: RefusalNotice;
  /** The read in flight. It outlives a wait that was aborted, and serves the next one. */
  #reading: Promise<boolean> | undefined;
  /** The last read was refused. */
  #isRefused = false;
  /** Of the claim that waits. */
  #waiting: string | undefined;
  /** Why this reader can be used no longer. */
  #end: { readonly isGone: boolean; readonly cause?: unknown } | undefined;

  constructor(queue: QueueContext, incarnation: string, refusal: RefusalNotice) {
    const { address, clock } = queue;
    this.#queue = queue;
    this.#incarnation = incarnation;
    this.#connection = new Connection(address, { clock, role: 'waits' });
    this.#scripts = new ScriptRunner(this.#connection);
    this.#refusal = refusal;
  }

  async wait(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#queue;
    const deadlineMs = clock.monotonic() + Math.min(maxWaitMs, LONGEST_BLOCK_MS);
    for (;;) {
      const leftMs = deadlineMs - clock.monotonic();
      if (leftMs <= 0 || signal.aborted) return;
      this.#reading ??= this.#read(Math.ceil(leftMs));
      if ((await this.#firstOf(this.#reading, leftMs, signal)) !== 'nothing') return;
    }
  }

  get isClosed(): boolean {
    return this.#end !== undefined;
  }

  /**
   * @param number - names the claim; no other of this incarnation has it
   * @returns the reply of the script `claim`; `undefined` when nothing was claimed
   * @throws TidemillError as `Connection.call`
   */
  async claim(number: string, want: ClaimBudget, maxWaitMs: number, signal: AbortSignal): Promise<unknown> {
    if (this.#isRefused) {
      // Nothing would hold the claim back.
      await this.wait(maxWaitMs, signal);
      return undefined;
    }
    const { clock } = this.#queue;
    const blockMs = Math.ceil(Math.min(maxWaitMs, LONGEST_BLOCK_MS));
    const answerMs = blockMs + DEFAULT_CALL_TIMEOUT_MS;
    const deadlineMs = clock.monotonic() + answerMs;
    const args = [this.#incarnation, ...[want.io, want.cpu, want.early ?? 0].map(String), number];
    const reading = (this.#reading ??= this.#read(blockMs));
    const claiming = this.#scripts.run('claim', this.#queue.keys.meta, args, answerMs);
    this.#waiting = number;
    const callOff = (): void => void this.#callOff(number);
    signal.addEventListener('abort', callOff, { once: true });
    try {
      const reply = await claiming;
      // This process stood still with the answer unread: its lease may be over, and its runs another's.
      if (clock.monotonic() > deadlineMs) throw doubtful('was answered too late to be believed');
      return reply === 'off' ? undefined : reply;
    } catch (error) {
      if (this.#end === undefined) throw error;
      if (this.#end.isGone) return undefined;
      throw doubtful('waited in Redis and could not be called off', this.#end.cause);
    } finally {
      this.#waiting = undefined;
      signal.removeEventListener('abort', callOff);
      // Answered before the read: that has failed, or another server has the claim. No reason to claim without a pause.
      if (this.#reading === reading && !signal.aborted)
        await this.#firstOf(reading, PAUSE_AFTER_ERROR_MS, signal);
    }
  }

  close(): void {
    this.#end ??= { isGone: true };
    void this.#connection[Symbol.asyncDispose]();
  }

  /** The claim cannot be taken back, only made to take nothing. Should it have been made before, its answer holds runs. */
  async #callOff(number: string): Promise<void> {
    try {
      const lease = asText(await this.#queue.run('call-off', [this.#incarnation, number]));
      if (lease === 'gone') this.close();
      else this.#queue.clock.after(CALL_OFF_MS, () => this.#giveUp(number)).unref();
    } catch (error) {
      this.#giveUp(number, error);
    }
  }

  #giveUp(number: string, cause?: unknown): void {
    if (this.#waiting !== number) return;
    this.#end ??= { isGone: false, cause };
    this.close();
  }

  /** A run that was just enqueued waits for what is done here, so it is no more than needed. */
  #firstOf(
    reading: Promise<boolean>,
    leftMs: number,
    signal: AbortSignal,
  ): Promise<'woken' | 'nothing' | 'over'> {
    return new Promise((resolve) => {
      const finish = (end: 'woken' | 'nothing' | 'over'): void => {
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', over);
        resolve(end);
      };
      const over = (): void => finish('over');
      const timer = this.#queue.clock.after(leftMs, over);
      signal.addEventListener('abort', over, { once: true });
      // It never rejects.
      void reading.then((isWoken) => finish(isWoken ? 'woken' : 'nothing'));
    });
  }

  /** Whether the stream has an entry; never rejects. Each claim deletes the stream, so an entry is always later than that. */
  async #read(blockMs: number): Promise<boolean> {
    const key = this.#queue.keys.wake(this.#incarnation);
    try {
      const reply = await this.#connection.call(
        `wait for work in queue ${this.#queue.name}`,
        (client) => client.xread('COUNT', 1, 'BLOCK', blockMs, 'STREAMS', key, '0-0'),
        blockMs + DEFAULT_CALL_TIMEOUT_MS,
      );
      this.#isRefused = false;
      return reply !== null;
    } catch (error) {
      this.#isRefused = error instanceof TidemillError && error.code === 'BROKER_REFUSED';
      this.#refusal.note(error);
      // Not woken, as far as we know; a broken connection must not become a busy loop.
      await this.#queue.clock.sleep(PAUSE_AFTER_ERROR_MS);
      return false;
    } finally {
      this.#reading = undefined;
    }
  }
}

function doubtful(what: string, cause?: unknown): TidemillError {
  const message = `claim: it ${what}; it may or may not have happened`;
  return new TidemillError('BROKER_UNAVAILABLE', message, { cause });
}

/** The readers of one queue; usually there is one, as a process has one incarnation. */
export class WakeReaders implements Disposable {
  readonly #queue: QueueContext;
  readonly #refusal: RefusalNotice;
  readonly #readers = new Map<string, WakeReader>();
  #claims = 0;
  #isClosed = false;

  constructor(queue: QueueContext) {
    this.#queue = queue;
    const reading = `wait for work in queue ${queue.name}`;
    this.#refusal = new RefusalNotice(
      reading,
      'idle consumers find work only when they look by themselves, every 5 s',
      queue.warn,
    );
  }

  async wait(incarnation: string, maxWaitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#isClosed || signal.aborted || maxWaitMs <= 0) return;
    await this.#readerOf(incarnation).wait(maxWaitMs, signal);
  }

  /** As `WakeReader.claim`; nothing is sent once the signal has aborted. */
  async claim(
    incarnation: string,
    want: ClaimBudget,
    maxWaitMs: number,
    signal: AbortSignal,
  ): Promise<unknown> {
    if (this.#isClosed || signal.aborted || maxWaitMs <= 0) return undefined;
    this.#claims += 1;
    return this.#readerOf(incarnation).claim(String(this.#claims), want, maxWaitMs, signal);
  }

  forget(incarnation: string): void {
    this.#readers.get(incarnation)?.close();
    this.#readers.delete(incarnation);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const incarnation of [...this.#readers.keys()]) this.forget(incarnation);
  }

  #readerOf(incarnation: string): WakeReader {
    let reader = this.#readers.get(incarnation);
    if (reader === undefined || reader.isClosed) {
      reader = new WakeReader(this.#queue, incarnation, this.#refusal);
      this.#readers.set(incarnation, reader);
    }
    return reader;
  }
}
