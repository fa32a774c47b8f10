/**
 * One controller at a time, through a Lease. It saves work and promises nothing: correctness rests on the fences in the
 * queue. So unlike a plain leader election, a leader that loses the API server goes on, since schedules must fire
 * through an outage of it; it ends when it sees that another one holds the Lease.
 */
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../telemetry/log.ts';
import { apiStatusOf, rightsHint } from './api-error.ts';
import {
  decide,
  type LeaseRecord,
  type LeaseSnapshot,
  observe,
  type Observation,
  released,
} from './lease-decision.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface LeaseWrite extends LeaseRecord {
  /** Wall clock, ms: for people who look at the Lease. */
  readonly renewedAtMs: number;
  /** Absent: as it was. */
  readonly acquiredAtMs?: number;
}

export interface LeasePort {
  /** `undefined`: there is none. */
  read(): Promise<LeaseSnapshot | undefined>;
  /**
   * Writes over exactly the version that was read; `undefined` makes the Lease.
   * @returns the Lease as it is then, or `conflict` when another one wrote first
   */
  write(record: LeaseWrite, over: LeaseSnapshot | undefined): Promise<LeaseSnapshot | 'conflict'>;
}

export interface LeaseOptions {
  readonly leases: LeasePort;
  readonly clock: Clock;
  readonly log: Log;
  /** Names this process: a new one at each start. */
  readonly identity: string;
  /** Default 15 s. A dead leader is followed after this and at most two waits between tries. */
  readonly leaseMs?: number;
  /** Default 10 s. A leader that could not renew for this long says so; it goes on. */
  readonly renewDeadlineMs?: number;
  /** Default 2 s. Candidates wait up to 2.2 times as long, at random, so that they do not all try at once. */
  readonly retryMs?: number;
  readonly onChange?: (leading: boolean) => void;
  readonly random?: () => number;
}

const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;
const JITTER = 1.2;
/** A process that stops does not wait longer than this for an API server that does not answer. */
const RELEASE_MS = 3_000;

/**
 * Runs `work` while this process is the leader, as often as it becomes one; its signal aborts when another holder was seen.
 * Resolves when `signal` aborts and the work has ended; the Lease is given back then.
 * @throws whatever `work` throws; the Lease is given back first
 */
export async function runWithLease(
  options: LeaseOptions,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const candidate = new Candidate(options);
  while (await candidate.acquire(signal)) {
    options.log.info('this controller leads now', { identity: options.identity });
    options.onChange?.(true);
    const term = new AbortController();
    const holding = candidate.hold(AbortSignal.any([signal, term.signal])).finally(() => {
      term.abort();
    });
    try {
      await work(AbortSignal.any([signal, term.signal]));
    } finally {
      term.abort();
      await holding;
      options.onChange?.(false);
      await candidate.release();
    }
    // Others first: and work that ends by itself is not begun again in a loop.
    await candidate.pause(signal);
  }
  await candidate.release();
}

/** Asked again after a wait: the compiler takes the first answer for good. */
const isStopped = (signal: AbortSignal): boolean => signal.aborted;

/** `unknown`: the API server did not answer, or another one wrote at the same moment. */
type Answer = 'held' | 'taken' | 'unknown';

class Candidate {
  readonly #options: LeaseOptions;
  readonly #leaseMs: number;
  readonly #retryMs: number;
  #observed: Observation | undefined;
  /** The newest look, which may still be under way. */
  #looking: Promise<Answer> | undefined;
  /** Of the last failure; what the server asks for. */
  #retryAfterMs = 0;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#retryMs = options.retryMs ?? RETRY_MS;
  }

  /** @returns whether the Lease is ours; false when the signal aborted before */
  async acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if ((await this.#try(signal)) === 'held' && !isStopped(signal)) return true;
      await this.pause(signal);
    }
    return false;
  }

  /** Candidates wait at random, so that they do not all try at once. */
  async pause(signal: AbortSignal): Promise<void> {
    const { clock, random = Math.random } = this.#options;
    await clock.sleep(this.#waitMs(1 + JITTER * random()), signal);
  }

  /** Renews until another holder is seen, or the signal aborts. */
  async hold(signal: AbortSignal): Promise<void> {
    const { clock, log, identity, renewDeadlineMs = RENEW_DEADLINE_MS } = this.#options;
    let renewedAtMs = clock.monotonic();
    let isTold = false;
    for (;;) {
      await clock.sleep(this.#waitMs(1), signal);
      if (signal.aborted) return;
      const answer = await this.#try(signal);
      if (isStopped(signal)) return;
      if (answer === 'taken') {
        log.warn('another controller leads now', { identity, holder: this.#observed?.lease.holder });
        return;
      }
      if (answer === 'held') {
        renewedAtMs = clock.monotonic();
        isTold = false;
      } else if (!isTold && clock.monotonic() - renewedAtMs >= renewDeadlineMs) {
        isTold = true;
        log.warn('the Lease cannot be renewed: this controller goes on until it sees another holder', {
          identity,
        });
      }
    }
  }

  /** Gives the Lease back when it is ours, as far as is known. */
  async release(): Promise<void> {
    const done = new AbortController();
    const giving = this.#giveBack().finally(() => {
      done.abort();
    });
    await Promise.race([giving, this.#options.clock.sleep(RELEASE_MS, done.signal)]);
  }

  async #giveBack(): Promise<void> {
    const { leases, clock, log, identity } = this.#options;
    try {
      // What was being written when we stopped may have made us the holder.
      const looking = this.#looking;
      this.#looking = undefined;
      await looking?.catch(() => undefined);
      const lease = this.#observed?.lease;
      if (lease?.holder !== identity) return;
      this.#observed = undefined;
      const nowMs = clock.now();
      await leases.write({ ...released(lease), renewedAtMs: nowMs, acquiredAtMs: nowMs }, lease);
    } catch (error) {
      log.warn('the Lease could not be given back: it ends by itself', {
        answer: apiStatusOf(error).message,
      });
    }
  }

  /** A process that stops does not wait for an answer. */
  async #try(signal: AbortSignal): Promise<Answer> {
    try {
      this.#retryAfterMs = 0;
      this.#looking = this.#look();
      return await unlessAborted(signal, this.#looking);
    } catch (error) {
      if (isStopped(signal)) return 'unknown';
      const status = apiStatusOf(error, this.#options.clock.now());
      const { code, message, retryAfterMs = 0 } = status;
      const hint = rightsHint(status);
      // No longer than leaves time to renew.
      this.#retryAfterMs = Math.min(retryAfterMs, this.#leaseMs / 3);
      this.#options.log.warn('the Lease cannot be read or written', {
        answer: message,
        ...(code !== undefined && { code }),
        ...(hint !== undefined && { hint }),
      });
      return 'unknown';
    }
  }

  async #look(): Promise<Answer> {
    const { leases, clock, identity } = this.#options;
    const lease = await leases.read();
    this.#observed = lease === undefined ? undefined : observe(this.#observed, lease, clock.monotonic());
    const decision = decide(this.#observed, identity, this.#leaseMs, clock.monotonic());
    if (decision.kind === 'wait') return 'taken';
    const nowMs = clock.now();
    const times = { renewedAtMs: nowMs, ...(decision.kind === 'take' && { acquiredAtMs: nowMs }) };
    const written = await leases.write({ ...decision.record, ...times }, lease);
    // Lost a race: the next look tells to whom.
    if (written === 'conflict') return 'unknown';
    this.#observed = observe(this.#observed, written, clock.monotonic());
    return 'held';
  }

  #waitMs(factor: number): number {
    return Math.max(this.#retryMs * factor, this.#retryAfterMs);
  }
}
