/** Whether Redis answers and takes no writes: then a process is connected, and still cannot do its work. */
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';

/**
 * What the loops of a consumer, scheduler or controller ask for again and again until it is done. Other calls are not made
 * again, so that nobody would hear of the end of the refusals.
 */
const REPEATED: ReadonlySet<string> = new Set([
  ...['register', 'cycle', 'recover', 'promote'],
  ...['adopt', 'fire', 'withdraw', 'holdLock'],
]);

/**
 * First words of answers by which a server refuses every write. `OOM` is none of them: what is running is settled, what
 * waits is claimed, and a full Redis gets room by that.
 */
const NO_WRITES: ReadonlySet<string> = new Set(['MISCONF', 'READONLY', 'NOREPLICAS']);

/** A failover answers READONLY for a moment, a disk is full for a moment: shorter than this it is nobody's concern. */
const LONG_MS = 5_000;

export class WriteRefusals {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #sinceMs: number | undefined;
  #why = '';

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Why this process cannot work, once it has been so for long; `undefined` while all is well. */
  get reason(): string | undefined {
    if (this.#sinceMs === undefined || this.#clock.monotonic() - this.#sinceMs < LONG_MS) return undefined;
    return `Redis answers, and refuses every write: ${this.#why}`;
  }

  done(operation: string): void {
    if (REPEATED.has(operation)) this.#sinceMs = undefined;
  }

  failed(operation: string, error: unknown): void {
    const said = error instanceof TidemillError && error.cause instanceof Error ? error.cause.message : '';
    if (!REPEATED.has(operation) || !NO_WRITES.has(said.split(' ', 1)[0] ?? '')) return;
    this.#sinceMs ??= this.#clock.monotonic();
    this.#why = said;
  }
}
