/**
 * Gives memory back while a process has nothing to do. V8 collects when memory is asked for, so a process that waits keeps what
 * its start, or its last burst, has left behind (figures: docs/decisions/0021).
 */
import { getHeapStatistics } from 'node:v8';
import type { Clock, Timer } from './clock.ts';

/** When nothing begins or ends for one to two of these, a process counts as idle: also within one long run. */
const LOOK_MS = 1_500;
/** A collection takes tens of milliseconds: not worth it for less than this. */
const WORTH_BYTES = 8 * 1024 * 1024;

export interface IdleMemoryOptions {
  readonly clock: Clock;
  /** Collecting is not possible in this process; it is not tried again. */
  readonly failed: (error: unknown) => void;
  /** Default: `collectGarbage`. */
  readonly collect?: () => Promise<void>;
  /** What the heap takes of the machine's memory now. Default: as V8 says. */
  readonly heapBytes?: () => number;
}

export class IdleMemory implements Disposable {
  readonly #options: Required<IdleMemoryOptions>;
  #timer: Timer | undefined;
  #hasWorked = false;
  /** Of the heap after the last collection. */
  #collectedBytes = 0;

  constructor({
    collect = collectGarbage,
    heapBytes = () => getHeapStatistics().total_physical_size,
    ...options
  }: IdleMemoryOptions) {
    this.#options = { ...options, collect, heapBytes };
    this.#lookLater();
  }

  /** Something began or ended. Costs next to nothing; a property, as observers are called without `this`. */
  readonly worked = (): void => {
    this.#hasWorked = true;
  };

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.after(LOOK_MS, () => void this.#look()).unref();
  }

  async #look(): Promise<void> {
    const { collect, heapBytes, failed } = this.#options;
    const isIdle = !this.#hasWorked;
    this.#hasWorked = false;
    if (isIdle && heapBytes() >= this.#collectedBytes + WORTH_BYTES) {
      try {
        await collect();
      } catch (error) {
        failed(error);
        return;
      }
      this.#collectedBytes = heapBytes();
    }
    if (this.#timer !== undefined) this.#lookLater();
  }
}

/**
 * Collects all garbage of this thread now, and lets V8 return what is free. By the inspector's protocol, which is the one
 * documented way for a process that was not started with --expose-gc.
 * @throws where Node was built without inspector, and under its permission model
 */
export async function collectGarbage(): Promise<void> {
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    await session.post('HeapProfiler.collectGarbage');
  } finally {
    session.disconnect();
  }
}
