/**
 * Waits for runs to end. The outcome stream is a hint that says when to look; the record alone says how a run ended. So
 * nothing is missed when the stream is trimmed or the connection breaks: every waiter also looks at least every 5 s.
 */
import { z } from 'zod';
import type { Clock } from '../../runtime/clock.ts';
import { isTerminal, type RunRecord } from '../../task/run.ts';
import { createClient, type RedisAddress, type RedisClient } from './client.ts';
import type { QueueContext } from './queue-context.ts';
import { RefusalNotice } from './refusal-notice.ts';
import { LONGEST_BLOCK_MS } from './wake-reader.ts';

const PAUSE_AFTER_ERROR_MS = 250;
const ENTRIES_READ = 100;
/** Reading goes on for so long when nobody waits: whoever asks again and again must not connect each time. */
const KEPT_MS = 5_000;

const EntriesSchema = z.array(z.tuple([z.string(), z.array(z.string()).nullable()]));
const StreamsSchema = z.array(z.tuple([z.string(), EntriesSchema]));

/** Called when the run may have ended. */
type Look = () => void;

interface Hint {
  readonly given: Promise<unknown>;
  readonly give: () => void;
}

function newHint(): Hint {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return { given: promise, give: () => resolve(undefined) };
}

export class OutcomeReader implements Disposable {
  readonly #address: RedisAddress;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #waiters = new Map<string, Set<Look>>();
  #client: RedisClient | undefined;
  #isReading = false;
  #lastWaitAtMs = 0;
  #isClosed = false;
  readonly #refusal: RefusalNotice;

  constructor({ name, address, keys, clock, warn }: QueueContext) {
    this.#address = address;
    this.#key = keys.outcomes;
    this.#clock = clock;
    this.#refusal = new RefusalNotice(
      `read the outcomes of queue ${name}`,
      'who waits for the end of a run hears of it late',
      warn,
    );
  }

  /** As `ProducerPort.waitForEnd`; a broken connection is waited out, not reported. */
  async waitForEnd(
    id: string,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
    get: () => Promise<RunRecord | undefined>,
  ): Promise<RunRecord | 'not-found' | undefined> {
    const deadlineMs = this.#clock.monotonic() + timeoutMs;
    const isOver = (): boolean =>
      this.#isClosed || signal?.aborted === true || this.#clock.monotonic() >= deadlineMs;
    let hint = newHint();
    const look = (): void => hint.give();
    // The waiter stands before the first look, so an end between look and wait is not missed.
    this.#add(id, look);
    try {
      do {
        hint = newHint();
        const record = await get().catch(() => 'unknown' as const);
        if (record === undefined) return 'not-found';
        if (record !== 'unknown' && isTerminal(record.state)) return record;
        await this.#hintOrTimeout(
          hint.given,
          record === 'unknown' ? PAUSE_AFTER_ERROR_MS : LONGEST_BLOCK_MS,
          deadlineMs,
          signal,
        );
      } while (!isOver());
      return undefined;
    } finally {
      this.#remove(id, look);
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#client?.disconnect();
    this.#lookAll();
  }

  async #hintOrTimeout(
    hint: Promise<unknown>,
    atMostMs: number,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const done = new AbortController();
    const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
    const waitMs = Math.min(atMostMs, deadlineMs - this.#clock.monotonic());
    await Promise.race([hint, this.#clock.sleep(waitMs, either)]);
    done.abort();
  }

  #add(id: string, look: Look): void {
    const looks = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, looks.add(look));
    if (!this.#isReading && !this.#isClosed) void this.#readWhileAwaited();
  }

  #remove(id: string, look: Look): void {
    const looks = this.#waiters.get(id);
    looks?.delete(look);
    if (looks?.size === 0) this.#waiters.delete(id);
    this.#lastWaitAtMs = this.#clock.monotonic();
  }

  get #isNeeded(): boolean {
    if (this.#isClosed) return false;
    return this.#waiters.size > 0 || this.#clock.monotonic() - this.#lastWaitAtMs < KEPT_MS;
  }

  /** One loop for all waiters, while there are any and a little longer. Never rejects. */
  async #readWhileAwaited(): Promise<void> {
    this.#isReading = true;
    let cursor: string | undefined;
    while (this.#isNeeded) {
      this.#client ??= createClient(this.#address, 'blocking');
      try {
        if (cursor === undefined) {
          cursor = await this.#lastPosition(this.#client);
          // What ended before this position gave no hint that we saw.
          this.#lookAll();
        }
        cursor = (await this.#readOnce(this.#client, cursor)) ?? cursor;
      } catch (error) {
        this.#refusal.note(error);
        cursor = undefined;
        await this.#clock.sleep(PAUSE_AFTER_ERROR_MS);
      }
    }
    this.#client?.disconnect();
    this.#client = undefined;
    this.#isReading = false;
  }

  async #lastPosition(client: RedisClient): Promise<string> {
    const entries = EntriesSchema.parse(await client.xrevrange(this.#key, '+', '-', 'COUNT', 1));
    return entries[0]?.[0] ?? '0-0';
  }

  /** The position after what was read; `undefined` when nothing came. */
  async #readOnce(client: RedisClient, cursor: string): Promise<string | undefined> {
    const reply = await client.xread(
      'COUNT',
      ENTRIES_READ,
      'BLOCK',
      LONGEST_BLOCK_MS,
      'STREAMS',
      this.#key,
      cursor,
    );
    if (reply === null) return undefined;
    const entries = StreamsSchema.parse(reply).flatMap(([, streamEntries]) => streamEntries);
    for (const [, fields] of entries) {
      for (const id of fields?.[1]?.split(' ') ?? []) for (const look of this.#waiters.get(id) ?? []) look();
    }
    return entries.at(-1)?.[0];
  }

  #lookAll(): void {
    for (const looks of this.#waiters.values()) for (const look of looks) look();
  }
}
