/** The contract of schedules: adopt, fire, withdraw, and what is remembered. Part of `broker.ts`, whose rules hold here too. */
import type { Decision, DecisionReason, MissedReason } from '../schedule/reasons.ts';
import type { Priority, RunOptions } from '../task/run.ts';
import type { ConcurrencyPolicy, DecisionRecord, Era, ScheduleState } from '../task/schedule-state.ts';

/** Fire refuses a slot that is further ahead of the broker's clock than this. */
export const FUTURE_SLOT_TOLERANCE_MS = 150;
/** Decision records and eras kept of one schedule: the newest. */
export const DECISION_LOG_CAP = 1_000;
export const ERA_CAP = 32;
/** Requests by hand that a schedule remembers, so that a repeated one is a duplicate although its run is gone. */
export const TRIGGER_MEMORY = 32;
/** Requests by hand that may wait in a queue until an engine reads them. */
export const MAILBOX_CAP = 100;
/** What is remembered of a withdrawn schedule is kept this long. */
export const TOMBSTONE_KEPT_MS = 7 * 24 * 3_600_000;

export interface AdoptRequest {
  readonly uid: string;
  readonly generation: number;
  /** Names the install whose sweep may withdraw this uid. */
  readonly install: string;
  readonly namespace: string;
  readonly name: string;
  readonly suspended: boolean;
  /** `spec.startTime`; not-before is the latest of this, the broker's now, and the instant after the watermark. */
  readonly startMs?: number;
  /** JSON text of the timing and policy part of the spec, for the era; longer than 1 KiB is refused by the caller. */
  readonly spec: string;
  /** Adopt although a newer generation is known: the live object is the older one (a restored etcd). */
  readonly force?: boolean;
  /**
   * This generation was adopted before, and the adopter remembers every slot up to this instant as settled. Heeded only for
   * a uid that is unknown here (a broker that was emptied): it becomes the watermark, and not-before is the instant after
   * it (`startMs`, if later), not now, so that what fell into the gap follows the missed-run policy.
   */
  readonly settledThroughMs?: number;
  /**
   * A request by hand that the adopter takes for handled. Heeded only for a uid that is unknown here: it is remembered, so
   * that nobody fires it. So a request that stands in an object when it is first seen fires nothing, whoever adopts it.
   */
  readonly handledRequest?: string;
  /**
   * What the adopter has closed: the generation in force (0: it knew of none), and the instant after which a slot of it is
   * due again. When the generation in force is another one, or that instant has passed, nothing is done. Heeded only where
   * another generation is in force.
   */
  readonly closed?: { readonly generation: number; readonly notAfterMs?: number };
}

export type AdoptReply =
  /** `adopted`: a new era began. `current`: this generation was adopted before; nothing changed. */
  | { readonly outcome: 'adopted' | 'current'; readonly state: ScheduleState }
  /** The generation in force may owe slots that `closed` says nothing of: close it again. */
  | { readonly outcome: 'late' }
  /** A newer generation, or a tombstone, is known: re-read the object. */
  | { readonly outcome: 'stale'; readonly generation: number; readonly withdrawn: boolean };

/** What a slot enqueues; ids and slots are added by `fire`. */
export interface RunTemplate {
  readonly task: string;
  readonly priority: Priority;
  readonly params: string;
  /** `schedule.slotMs` is set by the broker's caller for each entry. */
  readonly options: RunOptions;
  /** Of a run by hand, which has no slot to count from: it expires when it has not started this long after it was asked for. */
  readonly expiresInMs?: number;
}

export type FireEntry =
  | {
      readonly kind: 'slot';
      /** The run waits for it when it is still ahead. */
      readonly slotMs: number;
      /** How long after the later of its slot and now the run is to wait. */
      readonly delayMs: number;
      /**
       * When the run expires unless it has started: an instant, so that an enqueue that comes late gives it no more time. The
       * broker takes the run's due time where that is later.
       */
      readonly expiresAtMs?: number;
      /** `CatchUp` for a late slot. */
      readonly reason?: DecisionReason;
    }
  /** A slot or range decided without a run: missed, with the reason. */
  | {
      readonly kind: 'missed';
      readonly fromMs: number;
      readonly toMs: number;
      readonly count: number;
      readonly countIsExact: boolean;
      readonly reason: MissedReason | DecisionReason;
    }
  /** A run by hand: not bound to slots, not-before, watermark or suspension, but to the overlap policy. */
  | {
      readonly kind: 'trigger';
      readonly request: string;
      readonly params?: string;
      /** Later than this it is skipped (`DeadlineExceeded`). */
      readonly notAfterMs?: number;
      /** It must not run: it is recorded as skipped, with this reason. */
      readonly refusal?: TriggerRefusal;
    };

/** Why a run that was asked for by hand is not made. */
export type TriggerRefusal = Extract<DecisionReason, 'InvalidParams' | 'QueueNotAllowed' | 'InvalidSchedule'>;

export interface FireRequest {
  readonly uid: string;
  readonly generation: number;
  readonly concurrencyPolicy: ConcurrencyPolicy;
  /** Ascending. */
  readonly entries: readonly FireEntry[];
  readonly run: RunTemplate;
  /** The watermark that the broker told last: when its own is lower, it lost writes, and nothing is done (`behind`). */
  readonly expectedWatermarkMs?: number;
}

/** What became of one entry. */
export type FireDecision =
  | { readonly decision: Decision; readonly reason?: DecisionReason; readonly runId?: string }
  /** At or below the watermark: decided before, by us or by another. */
  | { readonly decision: 'duplicate' }
  /**
   * Not decided and still owed: before not-before (never fires), suspended, or further in the future than
   * `FUTURE_SLOT_TOLERANCE_MS`.
   * `ahead`: a slot less far in the future that other runs or a full queue stand against, and all that follows it in its
   * request, because they may be gone when it comes: ask again then.
   * `watermark`: a range that begins at or below the watermark and ends above it, and all that follows it in its
   * request, because half of it was decided by another controller: plan again from the watermark.
   */
  | {
      readonly decision: 'refused';
      readonly why: 'not-before' | 'suspended' | 'future' | 'ahead' | 'watermark';
    };

export type FireReply =
  | { readonly outcome: 'ok'; readonly decisions: readonly FireDecision[]; readonly watermarkMs?: number }
  /** Redis knows a newer generation, or the schedule is withdrawn or was never adopted: nothing was done. */
  | { readonly outcome: 'stale'; readonly generation: number; readonly withdrawn: boolean }
  /** The watermark is lower than the one expected: slots before those asked for are owed again. Read the state, plan anew. */
  | { readonly outcome: 'behind' }
  /** The broker is out of memory: nothing was done, the slots stay owed. */
  | { readonly outcome: 'no-memory' };

/**
 * - `requested`: it waits for an engine
 * - `duplicate`: this schedule has decided a request of that id, or one waits
 * - `unknown`: no such schedule is in force here
 * - `full`: `MAILBOX_CAP` requests wait
 */
export type RequestOutcome = 'requested' | 'duplicate' | 'unknown' | 'full';

/** A run by hand that was asked for and waits to be fired. */
export interface RequestedRun {
  readonly uid: string;
  readonly request: string;
  /** JSON text; absent: the object's own. */
  readonly params?: string;
  readonly requestedAtMs: number;
}

/**
 * Rules of `fire`, beyond the design:
 *
 * - `generation` must be the one adopted; an older or newer one, a tombstone and an unknown uid are `stale` (generation 0
 *   when never adopted).
 * - Each slot or range is tested in this order: watermark, not-before, suspended, future, ahead; then overlap, then backlog. What is
 *   refused does not move the watermark, and what is skipped or missed does.
 * - In flight is pending, delayed and running, `active` of the state. `maxPendingPerSchedule` bounds what is in flight,
 *   as Replace must be able to end all of it in one transition. With Replace, what would be withdrawn makes room first;
 *   nothing is withdrawn for a run that is then refused.
 * - Replace ends what waits and what runs as cancelled, with the reason `Replaced`; a running one is taken from its
 *   incarnation (its settle is `unknown`) and named among the cancellations until settled, or until `held` is called.
 *   Runs end in the order of their ids, so the newest slot is the `lastRun`.
 * - The reason of a fired slot is `Replaced` when it ended another run, else the one given; of a trigger always `Triggered`.
 * - `source` and `schedule.slotMs` of the options are set here: `schedule` or `trigger`. A trigger's record stands at the
 *   instant of its decision and never merges; its request is remembered (`TRIGGER_MEMORY`), whatever was decided, and
 *   leaves the mailbox, a duplicate as well. `notAfterMs` comes before `refusal`, and both before the overlap policy.
 * - A slot whose run id is already known moves the watermark and is a `duplicate`.
 * - A record merges into the one before it when both are of one decision, reason and generation, and neither is a trigger.
 *   The log keeps `DECISION_LOG_CAP` records, eras `ERA_CAP`.
 * - `succeeded` and `failed` of the state count runs that ended so; cancelled and expired ones show in `lastRun` only.
 * - A full broker refuses `fire` (`no-memory`) and takes `adopt` and `withdraw`, so that a suspension takes force.
 * - A known generation adopted again changes nothing. A tombstone is dropped after `TOMBSTONE_KEPT_MS`; withdrawing an
 *   unknown uid does nothing.
 */
export interface SchedulePort {
  adopt(requests: readonly AdoptRequest[]): Promise<readonly AdoptReply[]>;
  /**
   * Many schedules in as few transitions as their size allows, each request whole in one of them; each is decided on its
   * own. A lost reply (`BROKER_UNAVAILABLE`) leaves no doubt that matters: sent again, what was decided is a duplicate.
   */
  fire(requests: readonly FireRequest[]): Promise<readonly FireReply[]>;
  /** Asks whoever fires this schedule for a run by hand, outside its slots: it waits until `fire` decides a trigger of that request. */
  request(
    uid: string,
    request: { readonly request: string; readonly params?: string },
  ): Promise<RequestOutcome>;
  /** Requests that wait for schedules of this install, oldest first, at most `limit`. */
  requested(install: string, limit: number): Promise<readonly RequestedRun[]>;
  /** Leaves a tombstone: nothing fires for this uid unless it is adopted by force. Runs in flight go on; requests that wait go. */
  withdraw(uids: readonly string[]): Promise<void>;
  /** In order; `undefined` for a uid that was never adopted here. */
  states(uids: readonly string[]): Promise<readonly (ScheduleState | undefined)[]>;
  /** Uids of this install that are not withdrawn, with their names: what a sweep compares with the full list. */
  adopted(
    install: string,
  ): Promise<readonly { readonly uid: string; readonly namespace: string; readonly name: string }[]>;
  /** Decision records that touch the span, oldest first, at most `limit` of the newest. */
  decisions(
    uid: string,
    span: { readonly fromMs?: number; readonly toMs?: number; readonly limit: number },
  ): Promise<readonly DecisionRecord[]>;
  eras(uid: string): Promise<readonly Era[]>;
}
