/** How a broker that is out of memory is told of and asked again: rarely, but soon after it has room. */
import { type EngineContext, FIRST_CALL_RETRY_MS, LONGEST_CALL_RETRY_MS } from './engine-context.ts';
import type { Fired } from './firer.ts';

export class MemoryRefusals {
  readonly #context: Pick<EngineContext, 'observer' | 'log'>;
  readonly #queue: string;
  /** Batches that were refused in a row. */
  #count = 0;

  constructor(context: Pick<EngineContext, 'observer' | 'log'>, queue: string) {
    this.#context = context;
    this.#queue = queue;
  }

  /** Wait before what was refused is asked for again. */
  get retryMs(): number {
    return Math.min(FIRST_CALL_RETRY_MS * 2 ** (this.#count - 1), LONGEST_CALL_RETRY_MS);
  }

  /** Takes in what became of a batch. */
  note(results: readonly Fired[]): void {
    const schedules = results.filter(({ kind }) => kind === 'no-memory').length;
    if (schedules === 0) {
      if (results.length > 0) this.#count = 0;
      return;
    }
    this.#count += 1;
    const refused = { queue: this.#queue, schedules };
    this.#context.observer.refusedForMemory(refused);
    this.#context.log.warn('the broker is out of memory: slots stay owed', refused);
  }
}
