/** Wakes idle consumers: as many as there is work for, only those that can do it, and none misses a wake-up. */
import type { Clock } from '../../runtime/clock.ts';

interface Waiter {
  readonly incarnation: string;
  readonly wake: () => void;
}

/** A cursor is the number of wake-ups so far, and whose cursor it is. */
function parseCursor(cursor: string): { readonly seen: number; readonly incarnation: string } {
  const [seen = '', incarnation = ''] = cursor.split(':');
  return { seen: Number(seen), incarnation };
}

export class WakeBoard {
  readonly #clock: Clock;
  /** In the order in which they began to wait. */
  readonly #waiters = new Set<Waiter>();
  #wakeUps = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  cursorFor(incarnation: string): string {
    return `${this.#wakeUps}:${incarnation}`;
  }

  /** Wakes up to `count` of those waiting that `canHelp`. One who is not waiting yet sees it by its older cursor. */
  wake(count: number, canHelp: (incarnation: string) => boolean): void {
    if (count <= 0) return;
    this.#wakeUps += 1;
    let left = count;
    for (const waiter of [...this.#waiters]) {
      if (left === 0) return;
      if (!canHelp(waiter.incarnation)) continue;
      waiter.wake();
      left -= 1;
    }
  }

  wakeAll(): void {
    this.wake(Infinity, () => true);
  }

  wait(cursor: string, maxWaitMs: number, signal: AbortSignal): Promise<void> {
    const { seen, incarnation } = parseCursor(cursor);
    // Something became ready between the empty claim and this call.
    if (seen !== this.#wakeUps || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', finish);
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter = { incarnation, wake: finish };
      this.#waiters.add(waiter);
      const timer = this.#clock.after(maxWaitMs, finish);
      signal.addEventListener('abort', finish, { once: true });
    });
  }
}
