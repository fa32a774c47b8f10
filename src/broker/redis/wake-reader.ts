/** Waits for work without polling: one blocking read of an incarnation's own wake stream, on a connection of its own. */
import type { Clock } from '../../runtime/clock.ts';
import { createClient, type RedisClient } from './client.ts';
import type { QueueContext } from './queue-context.ts';
import { RefusalNotice } from './refusal-notice.ts';

/** An idle consumer looks for work this often even if nobody wakes it. */
export const LONGEST_BLOCK_MS = 5_000;
const PAUSE_AFTER_ERROR_MS = 250;

class WakeReader {
  readonly #client: RedisClient;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #refusal: RefusalNotice;
  /** The read in flight. It outlives a wait that was aborted, and serves the next one. */
  #reading: Promise<boolean> | undefined;

  constructor(client: RedisClient, key: string, clock: Clock, refusal: RefusalNotice) {
    this.#client = client;
    this.#key = key;
    this.#clock = clock;
    this.#refusal = refusal;
  }

  async wait(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    const deadlineMs = this.#clock.monotonic() + Math.min(maxWaitMs, LONGEST_BLOCK_MS);
    for (;;) {
      const leftMs = deadlineMs - this.#clock.monotonic();
      if (leftMs <= 0 || signal.aborted) return;
      this.#reading ??= this.#read(Math.ceil(leftMs));
      if ((await this.#firstOf(this.#reading, leftMs, signal)) !== 'nothing') return;
    }
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
      const timer = this.#clock.after(leftMs, over);
      signal.addEventListener('abort', over, { once: true });
      // It never rejects.
      void reading.then((isWoken) => finish(isWoken ? 'woken' : 'nothing'));
    });
  }

  close(): void {
    this.#client.disconnect();
  }

  /** Whether the stream has an entry; never rejects. Each claim deletes the stream, so an entry is always later than that. */
  async #read(blockMs: number): Promise<boolean> {
    try {
      const reply = await this.#client.xread('COUNT', 1, 'BLOCK', blockMs, 'STREAMS', this.#key, '0-0');
      return reply !== null;
    } catch (error) {
      this.#refusal.note(error);
      // Not woken, as far as we know; a broken connection must not become a busy loop.
      await this.#clock.sleep(PAUSE_AFTER_ERROR_MS);
      return false;
    } finally {
      this.#reading = undefined;
    }
  }
}

/** The readers of one queue; usually there is one, as a process has one incarnation. */
export class WakeReaders implements Disposable {
  readonly #queue: QueueContext;
  readonly #refusal: RefusalNotice;
  readonly #readers = new Map<string, WakeReader>();
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
    let reader = this.#readers.get(incarnation);
    if (reader === undefined) {
      const { address, keys, clock } = this.#queue;
      const client = createClient(address, 'blocking');
      reader = new WakeReader(client, keys.wake(incarnation), clock, this.#refusal);
      this.#readers.set(incarnation, reader);
    }
    await reader.wait(maxWaitMs, signal);
  }

  forget(incarnation: string): void {
    this.#readers.get(incarnation)?.close();
    this.#readers.delete(incarnation);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const incarnation of [...this.#readers.keys()]) this.forget(incarnation);
  }
}
