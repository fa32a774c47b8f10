/** The decision at the heart of the scheduler: what does a schedule owe the queue right now? */
import type { MissedReason } from './reasons.ts';
import type { Schedule, Slot } from './schedule.ts';
import { stableFraction } from './stable-hash.ts';

/** A slot noticed at most this long after its time is on time. */
export const ON_TIME_MS = 30_000;
/** Missed slots are counted up to here; beyond it the count is a lower bound. */
export const COUNT_CAP = 1_000;
/** The catch-up runs of a schedule start within this time, so that a fleet that was away does not stampede. */
export const CATCH_UP_SPREAD_MS = 60_000;

export const MISSED_RUN_POLICIES = ['Latest', 'Skip', 'All'] as const;
export type MissedRunPolicy = (typeof MISSED_RUN_POLICIES)[number];
export const DEFAULT_MAX_CATCH_UP = 100;

export interface PlanPolicy {
  readonly missedRunPolicy: MissedRunPolicy;
  /** With `All`: how many late slots fire at most, the newest ones. */
  readonly maxCatchUp: number;
  /** A slot later than this is missed under every policy; absent: no such limit. */
  readonly startingDeadlineMs?: number;
  /** No slot before this is owed (`startTime`), ms since the epoch. */
  readonly startMs?: number;
  /** No slot after this is owed (`endTime`), ms since the epoch. */
  readonly endMs?: number;
}

export interface OwedSlot {
  readonly kind: 'slot';
  readonly slotMs: Slot;
  /** Noticed more than `ON_TIME_MS` after its time: fires as a catch-up. */
  readonly late: boolean;
  /** How long after the later of its slot and now it should start (jitter, or the spread of a catch-up); 0: at once. */
  readonly delayMs: number;
}

export interface MissedRange {
  readonly kind: 'missed';
  readonly fromMs: Slot;
  readonly toMs: Slot;
  readonly count: number;
  /** False when counting stopped at `COUNT_CAP`. */
  readonly countIsExact: boolean;
  readonly reason: MissedReason;
}

export interface Plan {
  /** Slots and ranges, ascending and disjoint; empty when nothing is owed. */
  readonly owed: readonly (OwedSlot | MissedRange)[];
  /** The next slot after the horizon: look again then. `undefined`: no slot will ever come. */
  readonly nextMs: Slot | undefined;
}

export interface PlanInput {
  readonly schedule: Schedule;
  readonly policy: PlanPolicy;
  /** Seed of the jitter and of the catch-up spread: the object's uid. */
  readonly uid: string;
  /** Everything up to and including this instant is settled (watermark, not-before, or the engine's memory). */
  readonly sinceMs: number;
  /** The broker's time. */
  readonly nowMs: number;
  /** Slots up to this instant are owed already, as on time. Default: `nowMs`. */
  readonly horizonMs?: number;
}

/**
 * Decides every slot after `sinceMs` and up to `horizonMs` that lies within the policy's window. Pure: no clock, no I/O.
 *
 * From the oldest to the newest slot:
 * 1. later than the starting deadline: missed, DeadlineExceeded, whatever the policy;
 * 2. later than 30 s: by `missedRunPolicy`. `Skip`: missed, Late. `Latest`: the newest fires, unless a slot of step 3
 *    fires anyway and so stands for it; the others are missed, Superseded. `All`: the newest `maxCatchUp` fire, spread
 *    over a minute in their order; the others are missed, CatchUpCap;
 * 3. the rest is on time and fires, each slot of it.
 *
 * Costs at most about `COUNT_CAP` steps of the schedule for each of the three, however long nobody looked.
 */
export function plan({ schedule, policy, uid, sinceMs, nowMs, horizonMs = nowMs }: PlanInput): Plan {
  const afterMs = Math.max(sinceMs, (policy.startMs ?? -Infinity) - 1);
  const untilMs = Math.min(horizonMs, policy.endMs ?? Infinity);
  const lateBeforeMs = nowMs - ON_TIME_MS;
  const deadBeforeMs = nowMs - (policy.startingDeadlineMs ?? Infinity);

  const dead = missed(
    schedule,
    { afterMs, untilMs: Math.min(untilMs, deadBeforeMs - 1) },
    'DeadlineExceeded',
  );
  const late = { afterMs: Math.max(afterMs, deadBeforeMs - 1), untilMs: Math.min(untilMs, lateBeforeMs - 1) };
  const onTime = { afterMs: Math.max(late.afterMs, lateBeforeMs - 1), untilMs };

  const jitterMs = Math.floor(stableFraction(uid) * schedule.spec.jitterMs);
  const fresh = slotsIn(schedule, onTime).map((slotMs): OwedSlot => {
    const delayMs = Math.max(0, slotMs + jitterMs - Math.max(slotMs, nowMs));
    return { kind: 'slot', slotMs, late: false, delayMs };
  });
  return {
    owed: [...dead, ...decideLate(schedule, late, policy, uid, fresh.length > 0), ...fresh],
    nextMs: nextOwed(schedule, policy, horizonMs),
  };
}

/** After the first and up to the second, both ms since the epoch; empty when the first is not before the second. */
interface Span {
  readonly afterMs: number;
  readonly untilMs: number;
}

function decideLate(
  schedule: Schedule,
  span: Span,
  { missedRunPolicy, maxCatchUp }: PlanPolicy,
  uid: string,
  superseded: boolean,
): (OwedSlot | MissedRange)[] {
  switch (missedRunPolicy) {
    case 'Skip':
      return missed(schedule, span, 'Late');
    case 'Latest':
      return catchUp(schedule, span, superseded ? 0 : 1, 'Superseded', () => 0);
    case 'All':
      return catchUp(schedule, span, maxCatchUp, 'CatchUpCap', (slotMs, index, count) => {
        // One share of the minute for each, placed within it by hash: fleets spread, and the order stays.
        const share = CATCH_UP_SPREAD_MS / count;
        return Math.floor((index + stableFraction(`${uid}@${slotMs}`)) * share);
      });
  }
}

/** The newest slots of a span fire, the others are missed. */
function catchUp(
  schedule: Schedule,
  span: Span,
  atMost: number,
  reason: MissedReason,
  delayMs: (slotMs: Slot, index: number, count: number) => number,
): (OwedSlot | MissedRange)[] {
  const newest: Slot[] = [];
  let untilMs = span.untilMs;
  while (newest.length < atMost) {
    const slotMs = lastIn(schedule, { afterMs: span.afterMs, untilMs });
    if (slotMs === undefined) break;
    newest.unshift(slotMs);
    untilMs = slotMs - 1;
  }
  const fired = newest.map((slotMs, index): OwedSlot => {
    return { kind: 'slot', slotMs, late: true, delayMs: delayMs(slotMs, index, newest.length) };
  });
  return [...missed(schedule, { afterMs: span.afterMs, untilMs }, reason), ...fired];
}

/** The slots of a span as one range, or nothing when there are none. */
function missed(schedule: Schedule, span: Span, reason: MissedReason): MissedRange[] {
  const toMs = lastIn(schedule, span);
  if (toMs === undefined) return [];
  const slots = slotsIn(schedule, span, COUNT_CAP + 1);
  const count = Math.min(slots.length, COUNT_CAP);
  return [
    { kind: 'missed', fromMs: slots[0] ?? toMs, toMs, count, countIsExact: slots.length === count, reason },
  ];
}

function lastIn(schedule: Schedule, { afterMs, untilMs }: Span): Slot | undefined {
  if (afterMs >= untilMs) return undefined;
  const slotMs = schedule.previous(untilMs);
  return slotMs !== undefined && slotMs > afterMs ? slotMs : undefined;
}

function slotsIn(schedule: Schedule, { afterMs, untilMs }: Span, atMost = Infinity): Slot[] {
  const slots: Slot[] = [];
  if (afterMs >= untilMs) return slots;
  let slotMs = schedule.next(afterMs);
  while (slotMs !== undefined && slotMs <= untilMs && slots.length < atMost) {
    slots.push(slotMs);
    slotMs = schedule.next(slotMs);
  }
  return slots;
}

function nextOwed(schedule: Schedule, { startMs, endMs }: PlanPolicy, nowMs: number): Slot | undefined {
  const nextMs = schedule.next(Math.max(nowMs, (startMs ?? -Infinity) - 1));
  return nextMs !== undefined && nextMs <= (endMs ?? Infinity) ? nextMs : undefined;
}
