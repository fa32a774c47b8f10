/**
 * The contract between the rooms and the queue. Two brokers keep it, on Redis and in memory, and both must pass
 * `test/contract`. Rules that hold for every call:
 *
 * - One call is one atomic transition of one queue: it happens whole or not at all.
 * - Expected refusals are values; only a broken connection or a broken broker throws
 *   (`BROKER_UNAVAILABLE`: the outcome is unknown; `BROKER_REFUSED`: nothing happened).
 * - All instants are ms since the epoch by the broker's own clock, never the caller's.
 * - Ids, task names and JSON texts are opaque: no broker looks into params, results or options.
 *
 * Rules where more than one reading was possible; both brokers decide alike:
 *
 * - Order in a lane: enqueue, promotion and redrive append. What comes back at once (`released`, `leave`) goes to the
 *   front, several of one claim that are released together in the order of their release. A recovered run is a suspect and waits in a lane apart, one for each task; these lanes take turns. A claim looks
 *   at suspects first, and takes one only when its incarnation holds none.
 * - Order between lanes: the least virtual time first, then the lesser name (`h:task`, `l:task`, `m:task`); a turn is at most
 *   64 runs. A lane that becomes ready enters at its own virtual time, but not before the least of its ready set as the
 *   transition began, nor a turn's cost beyond it.
 * - A run stays a suspect until it ends or an attempt of it is settled as `retry`; `released` keeps the mark.
 *   `deaths` rises only when an incarnation ends that held the run as a suspect; at `maxDeliveries` the run fails with
 *   `TooManyDeliveries`. Redrive clears the mark.
 * - Attempts: a claim adds 1; `released`, `rejected` and `leave` take it back; recovery does not, as the body may have run.
 * - A claim that asks for `early` runs gets delayed ones that are due within `EARLY_CLAIM_MS` of now, the first due first, then by id:
 *   IO runs of tasks without a limit that nobody has begun, and only when nothing else waits that its consumer could run now. They
 *   count as running from then on and as started when they are due; what comes back before that waits for its time again.
 * - A `rejected` run that goes back is kept away for `REJECTED_DELAY_MS`, or its consumer would take it again at once.
 * - A cancellation that was asked for wins over `retry`, `released`, `rejected`, `leave` and recovery (the run ends as
 *   cancelled, with the reason asked for); `succeeded` and `failed` win over it.
 * - Expiry counts until the first claim only: a run that began an attempt does not expire, a released one may.
 * - `full` counts pending and delayed runs; what comes back (retry, release, recovery, redrive) is never refused.
 * - Retention: `failed` runs have a budget of their own; succeeded, cancelled and expired ones share the other.
 * - Limits (`maxConcurrency`) and executors are those of the newest build (`builtAtMs`, then the greater hash) among
 *   manifests of registered incarnations; when none is registered, the last that decided go on to hold.
 * - Signs of life are renewals, cycles and recovery passes: each promises the next within half of its lease (a pass: of the
 *   lease registered last). A pass judges nobody when that was broken since the last pass, and when it is a queue's first.
 * - Runs belong to a schedule by their id (`uid@…`), never by their options.
 */
import type { TaskManifest } from '../task/manifest.ts';
import type { RunRequest } from '../task/request.ts';
import type { Executor, Outcome, RunRecord } from '../task/run.ts';
import type { InspectPort } from './inspect-port.ts';
import type { SchedulePort } from './schedule-port.ts';

// One contract in three files: whoever needs a part of it finds all of it here.
export * from './inspect-port.ts';
export * from './schedule-port.ts';

export const DEFAULT_LEASE_MS = 10_000;
/** Deaths as the only suspect of its process before a run is dead-lettered. */
const DEFAULT_MAX_DELIVERIES = 3;
/** A run that is due within this time may be handed out before it is; its consumer begins it when it is due. */
export const EARLY_CLAIM_MS = 150;
/** How long a `rejected` run that goes back is kept away. */
export const REJECTED_DELAY_MS = 1_000;
/** A manifest is kept this long after its last consumer was seen. */
export const MANIFEST_KEPT_MS = 7 * 24 * 3_600_000;
/**
 * A consumer that died is ended by the recovery pass of another; where there is none, its manifest counts as gone when its lease
 * is over for so long. Shorter, and all would be gone for a moment whenever Redis was away.
 */
export const SILENT_CONSUMER_MS = 60_000;

export interface Broker extends AsyncDisposable {
  /** Where this broker lives, without any secret: for logs and `doctor`. */
  readonly description: string;
  /** The queue of that name. Cheap, no I/O; the same object for the same name. */
  queue(name: string): Queue;
  /** Names of all queues that were ever used in this install. */
  queueNames(): Promise<readonly string[]>;
  /** The broker's time. */
  now(): Promise<number>;
  /** Whether the last call was answered; for readiness. */
  readonly connected: boolean;
  /**
   * Changes with every reconnect and every other server: writes may have been lost since. `undefined` where they cannot be.
   * Never left out, so that no wrapper forgets to hand it on.
   */
  readonly connectionEpoch: string | undefined;
  /** How full the store is; `undefined` where it does not say. */
  memory(): Promise<MemoryUse | undefined>;
  /** Keeps the leases of an incarnation alive, apart from the event loop where the broker can. */
  startHeartbeat(options: HeartbeatOptions): Heartbeat;
  /**
   * Takes or keeps a named lock for one scheduler at a time. It saves work and is not needed for correctness.
   * @returns whether `holder` now has it for `leaseMs`
   */
  holdLock(name: string, holder: string, leaseMs: number): Promise<boolean>;
  releaseLock(name: string, holder: string): Promise<void>;
}

export interface MemoryUse {
  readonly usedBytes: number;
  /** Beyond it, what would make more data is refused; 0: no limit is set. */
  readonly maxBytes: number;
}

/** All that can be done with one queue, by who does it. */
export interface Queue {
  readonly name: string;
  readonly runs: ProducerPort;
  readonly work: ConsumerPort;
  readonly schedules: SchedulePort;
  readonly inspect: InspectPort;
}

// ---------------------------------------------------------------------------------------------- producers

/** `duplicate`: a run of that id is pending, running or retained. `full`: the queue holds `maxPending` runs. */
export type EnqueueOutcome = 'enqueued' | 'duplicate' | 'full';

/** `requested`: it runs, and its consumer is told. `ended`: it had ended before. */
export type CancelOutcome = 'cancelled' | 'requested' | 'ended' | 'not-found';
export type RedriveOutcome = 'redriven' | 'not-failed' | 'not-found';

export interface ProducerPort {
  /** One outcome for each request, in order. A resent batch (lost reply) is answered as the first time. */
  enqueue(requests: readonly RunRequest[]): Promise<readonly EnqueueOutcome[]>;
  cancel(ids: readonly string[], reason: string): Promise<readonly CancelOutcome[]>;
  /** Failed runs back to pending, with attempts and deaths at 0. */
  redrive(ids: readonly string[]): Promise<readonly RedriveOutcome[]>;
  get(id: string): Promise<RunRecord | undefined>;
  /**
   * Waits for a run to end: the record as it ended, or `undefined` when `timeoutMs` passed or the signal aborted,
   * or `'not-found'`. Survives reconnects.
   */
  waitForEnd(
    id: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<RunRecord | 'not-found' | undefined>;
}

// ---------------------------------------------------------------------------------------------- consumers

/** How long and how much is kept of ended runs, and how much may wait. Kept in the queue; the last to register decides. */
export interface QueueSettings {
  readonly retainSucceededMs: number;
  readonly retainSucceededBytes: number;
  readonly retainFailedMs: number;
  readonly retainFailedBytes: number;
  readonly maxPending: number;
  readonly maxPendingPerSchedule: number;
  readonly maxDeliveries: number;
}

export const DEFAULT_QUEUE_SETTINGS: QueueSettings = {
  retainSucceededMs: 24 * 3_600_000,
  retainSucceededBytes: 64 * 1024 * 1024,
  retainFailedMs: 14 * 24 * 3_600_000,
  retainFailedBytes: 64 * 1024 * 1024,
  maxPending: 5_000_000,
  maxPendingPerSchedule: 1_000,
  maxDeliveries: DEFAULT_MAX_DELIVERIES,
};

export interface Registration {
  readonly incarnation: string;
  readonly leaseMs: number;
  readonly manifest: TaskManifest;
  readonly settings: QueueSettings;
  /** For people: host, pid, version. */
  readonly consumer: { readonly host: string; readonly pid: number; readonly version: string };
}

/** A run handed to an incarnation. */
export interface ClaimedRun {
  readonly record: RunRecord;
  /** Names this hand-out: a settle with another token is refused. */
  readonly token: string;
  /** A process died with this run: its consumer holds no other suspect beside it. */
  readonly suspect: boolean;
  /** It came by the claim's budget of `early` runs. It is to begin when it is due, and may be due by now. */
  readonly early: boolean;
}

export interface Settlement {
  readonly id: string;
  readonly token: string;
  readonly outcome: Outcome;
}

/** `unknown`: this incarnation does not hold that hand-out (any more): nothing was changed. `returned`: a `rejected` run went back. */
export type SettleAnswer = 'settled' | 'returned' | 'unknown';

/** By executor. */
export type FreeSlots = Readonly<Record<Executor, number>>;

export interface ClaimBudget extends FreeSlots {
  /** IO runs beyond the free slots that are not due yet, for the consumer to hold until they are. Default 0. */
  readonly early?: number;
}

export interface CycleRequest {
  readonly incarnation: string;
  readonly settle: readonly Settlement[];
  /** Absent or zero: none are claimed. */
  readonly claim?: ClaimBudget;
}

/** A cycle that settles nothing. */
export type ClaimRequest = Required<Omit<CycleRequest, 'settle'>>;

export interface CycleReply {
  /** `gone`: the incarnation was ended; it holds nothing, all settles are `unknown`, nothing was claimed. Register a new one. */
  readonly lease: 'held' | 'gone';
  /** One for each settlement, in order. */
  readonly settled: readonly SettleAnswer[];
  readonly claimed: readonly ClaimedRun[];
  /** Set when settling worked and claiming did not. */
  readonly claimError?: string;
  /** Ids held by this incarnation whose cancellation was asked for, with the reason. Repeated until they are settled. */
  readonly cancellations: readonly Cancellation[];
  /**
   * Runs stay that this consumer could run: claim again when slots are free, without waiting. May be true when all that is
   * left in a lane are runs that were cancelled; the next claim clears them away.
   */
  readonly moreReady: boolean;
  /** Earliest instant at which a delayed or expiring run, or a retention, needs someone. */
  readonly nextDueAtMs?: number;
  /** Position in the wake stream as of this reply: pass it to `waitForWork`. */
  readonly wakeCursor: string;
  readonly nowMs: number;
}

export interface Cancellation {
  readonly id: string;
  readonly reason: string;
}

export interface RecoverReply {
  /** True when this pass judged nobody, because no consumer was heard of for so long that the broker itself was away. */
  readonly amnesty: boolean;
  /** Incarnations ended by this pass. */
  readonly ended: readonly string[];
  /** Runs given back to their lanes by this pass. */
  readonly returned: number;
  /** Runs that ended as TooManyDeliveries. */
  readonly deadLettered: readonly { readonly id: string; readonly task: string }[];
  /** Runs of dead incarnations are left over: call again. */
  readonly more: boolean;
}

export interface ConsumerPort {
  /** Publishes the manifest, starts the lease, and stores the settings. Registering again renews all three. */
  register(registration: Registration): Promise<void>;
  /** Settles what ended and claims what is ready, in one transition; also renews the lease. */
  cycle(request: CycleRequest): Promise<CycleReply>;
  /** Renews the lease. */
  renew(
    incarnation: string,
  ): Promise<{ readonly lease: 'held' | 'gone'; readonly cancellations: readonly Cancellation[] }>;
  /** What the broker says this incarnation holds: id and token. Compared with what really runs after a lost reply. */
  held(incarnation: string): Promise<{
    readonly lease: 'held' | 'gone';
    readonly runs: readonly { readonly id: string; readonly token: string }[];
  }>;
  /** Ends incarnations whose lease is over and gives back what they held, in bounded chunks. */
  recover(): Promise<RecoverReply>;
  /** Moves due runs to their lanes, ends expired ones, and drops records past their retention, in bounded chunks. */
  promote(): Promise<{
    readonly promoted: number;
    readonly expired: number;
    readonly dropped: number;
    readonly more: boolean;
    readonly nextDueAtMs?: number;
  }>;
  /** Resolves when there may be work since `cursor`, after `maxWaitMs`, or when the signal aborts. Never rejects. */
  waitForWork(cursor: string, maxWaitMs: number, signal: AbortSignal): Promise<void>;
  /**
   * Waits as `waitForWork` does and then claims, in one trip to the broker: a run that comes is handed over with the wake-up. It
   * was sent before, perhaps by a consumer that is no more, so it renews no lease.
   * When the signal aborts the claim is called off; one that was made just before is answered all the same.
   * @returns `undefined` when nothing was claimed: it was called off, or the lease is gone
   */
  claimWhenWoken(
    cursor: string,
    request: ClaimRequest,
    maxWaitMs: number,
    signal: AbortSignal,
  ): Promise<CycleReply | undefined>;
  /** Ends this incarnation's registration. What it still holds goes back with no attempt used. */
  leave(incarnation: string): Promise<void>;
}

export interface HeartbeatOptions {
  readonly incarnation: string;
  readonly queues: readonly string[];
  readonly leaseMs: number;
  readonly renewEveryMs: number;
  /** Stop renewing when `beat()` was not called for this long: a hung process must not keep its runs for ever. */
  readonly stallMs: number;
  /** Called in the event loop with what a renewal brought. */
  readonly onCancellations: (queue: string, cancellations: readonly Cancellation[]) => void;
  /** Told once of each queue, which is not renewed any more. */
  readonly onLeaseGone: (queue: string) => void;
  /** A renewal was answered, refused, or failed: for metrics. */
  readonly onRenewal: (result: 'ok' | 'lost' | 'error') => void;
}

export interface Heartbeat extends AsyncDisposable {
  /** The event loop says that it is alive. */
  beat(): void;
  /** Tells the heartbeat since when settles have had no answer; `undefined`: all are answered. Beyond 2 leases it stops renewing. */
  unansweredSince(monotonicMs: number | undefined): void;
  /** Renews the incarnation in one more queue from now on. */
  add(queue: string): void;
}
