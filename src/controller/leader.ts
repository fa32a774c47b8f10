/**
 * One scheduler at a time, through a named lock in the broker. It saves work and promises nothing: what a former leader
 * still sends is refused or repeated harmlessly by `fire` and `adopt`, so losing the lock only pauses work.
 */
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../runtime/clock.ts';
import type { TaskLog } from '../task/types.ts';

export const LEADER_LOCK = 'scheduler';
export const LEADER_LEASE_MS = 15_000;
/** The lock is asked for, and renewed, this many times in one lease. */
const ASKS_PER_LEASE = 5;

export interface LeaderOptions {
  readonly broker: Pick<Broker, 'holdLock' | 'releaseLock'>;
  readonly clock: Clock;
  readonly log: TaskLog;
  /** Names this process: a new one at each start. */
  readonly holder: string;
  /** Default `scheduler`. */
  readonly lock?: string;
  /** Default 15 s. A dead leader is followed after at most this and a fifth of it. */
  readonly leaseMs?: number;
  readonly onChange?: (leading: boolean) => void;
}

/**
 * Runs `work` while this process is the leader, as often as it becomes one; its signal aborts when the lock is lost.
 * Resolves when `signal` aborts and the work has ended.
 * @throws whatever `work` throws; the lock is given back first
 */
export async function runAsLeader(
  options: LeaderOptions,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { broker, clock, log, holder, lock = LEADER_LOCK, leaseMs = LEADER_LEASE_MS } = options;
  const askEveryMs = leaseMs / ASKS_PER_LEASE;
  while (!signal.aborted) {
    const askedAtMs = clock.monotonic();
    if ((await ask(options)) !== 'held') {
      await clock.sleep(askEveryMs, signal);
      continue;
    }
    log.info('this scheduler leads now', { holder });
    options.onChange?.(true);
    const term = new AbortController();
    const renewing = renew(options, askedAtMs, AbortSignal.any([signal, term.signal])).finally(() => {
      term.abort();
    });
    try {
      await work(term.signal);
    } finally {
      term.abort();
      await renewing;
      options.onChange?.(false);
      // Given back so that the next one need not wait for the lease to end; harmless when it is not ours any more.
      await broker.releaseLock(lock, holder).catch((error: unknown) => {
        log.warn('the scheduler lock could not be given back', { err: error });
      });
    }
    await clock.sleep(askEveryMs, signal);
  }
}

/** Resolves when the lock is lost or the signal aborts. */
async function renew(options: LeaderOptions, askedAtMs: number, signal: AbortSignal): Promise<void> {
  const { clock, log, holder, leaseMs = LEADER_LEASE_MS } = options;
  // Trust counts from when a request was sent that succeeded: a slow answer does not make the lease longer.
  let trustedUntilMs = askedAtMs + leaseMs;
  for (;;) {
    await clock.sleep(
      Math.min(leaseMs / ASKS_PER_LEASE, Math.max(0, trustedUntilMs - clock.monotonic())),
      signal,
    );
    if (signal.aborted) return;
    const sentAtMs = clock.monotonic();
    const answer = await ask(options);
    if (answer === 'held') trustedUntilMs = sentAtMs + leaseMs;
    else if (answer === 'taken' || clock.monotonic() >= trustedUntilMs) {
      log.warn('this scheduler no longer leads', { holder, answer });
      return;
    }
  }
}

async function ask(options: LeaderOptions): Promise<'held' | 'taken' | 'unknown'> {
  const { broker, holder, log, lock = LEADER_LOCK, leaseMs = LEADER_LEASE_MS } = options;
  try {
    return (await broker.holdLock(lock, holder, leaseMs)) ? 'held' : 'taken';
  } catch (error) {
    log.warn('the scheduler lock could not be asked for', { err: error });
    return 'unknown';
  }
}
