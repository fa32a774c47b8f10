/** The decisions of the engine as pure functions: what to tell the broker of an object, and what its slots owe. */
import type { AdoptRequest, FireEntry, FireRequest } from '../broker/broker.ts';
import { type MissedRange, type OwedSlot, plan } from '../schedule/plan.ts';
import type { DecisionReason } from '../schedule/reasons.ts';
import type { ScheduleState } from '../task/schedule-state.ts';
import type { Definition } from './definition.ts';
import type { Adoption, Entry } from './entry.ts';
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import { handledRequest } from './run-now.ts';

export function adoptRequest(entry: Entry, install: string, closed?: Closed): AdoptRequest {
  const { object, definition, forced } = entry;
  const startMs = definition.timing.kind === 'timing' ? definition.timing.policy.startMs : undefined;
  const settledThroughMs = rememberedSettledMs(entry);
  const handled = handledRequest(entry);
  return {
    uid: object.uid,
    generation: object.generation,
    install,
    namespace: object.namespace,
    name: object.name,
    suspended: definition.suspended,
    spec: definition.eraSpec,
    ...(startMs !== undefined && { startMs }),
    ...(forced && { force: true }),
    ...(settledThroughMs !== undefined && { settledThroughMs }),
    ...(handled !== undefined && { handledRequest: handled }),
    ...(closed !== undefined && { closed }),
  };
}

/**
 * How far this very generation is settled by what survived outside the broker: only then may a broker that was emptied
 * give it a not-before in the past. For an edited or resumed object that would be a retroactive fire.
 */
function rememberedSettledMs({ object, definition, adoption, settledMs }: Entry): number | undefined {
  if (definition.suspended) return undefined;
  const isSame = adoption?.uid === object.uid && adoption.generation === object.generation;
  // One that has not acted on this generation itself has the word of whoever did.
  if (!isSame) return settledByStatus(object);
  return Number.isFinite(settledMs) ? settledMs : undefined;
}

function settledByStatus({ generation, status }: ScheduledObject): number | undefined {
  const { observedGeneration, settledThroughTime } = status ?? {};
  if (observedGeneration !== generation || settledThroughTime === undefined) return undefined;
  const settledMs = Date.parse(settledThroughTime);
  return Number.isFinite(settledMs) ? settledMs : undefined;
}

/**
 * Since when slots are owed after an adoption: the later of watermark and not-before. The broker's word counts although the
 * engine's own memory or the status of the object is later: then the broker has lost writes, the runs of those slots with
 * them, and they have to be planned again.
 */
export function settledAfterAdoption(state: ScheduleState): number {
  return Math.max(state.notBeforeMs - 1, state.watermarkMs ?? -Infinity);
}

/** What the broker's state of a schedule means for an engine that believed it adopted. */
export type Standing =
  | { readonly kind: 'stands'; readonly settledMs: number }
  /** The watermark went back: plan again from there. */
  | { readonly kind: 'regressed'; readonly settledMs: number }
  /** The broker does not know this generation (any more): adopt it again. */
  | { readonly kind: 'lost'; readonly what: 'schedule' | 'generation' }
  /** The broker knows a newer generation, or a tombstone: read the object again. */
  | { readonly kind: 'stale'; readonly generation: number; readonly withdrawn: boolean };

export function standingOf(entry: Entry, state: ScheduleState | undefined): Standing {
  const { object, definition, settledMs, watermarkMs } = entry;
  if (state === undefined) return { kind: 'lost', what: 'schedule' };
  const { generation, withdrawn } = state;
  if (withdrawn || generation > object.generation) return { kind: 'stale', generation, withdrawn };
  if (generation < object.generation) return { kind: 'lost', what: 'generation' };
  if (state.suspended !== definition.suspended) return { kind: 'stale', generation, withdrawn };
  const toldMs = Math.max(state.notBeforeMs - 1, state.watermarkMs ?? -Infinity);
  const wentBack = watermarkMs !== undefined && (state.watermarkMs ?? -Infinity) < watermarkMs;
  return wentBack
    ? { kind: 'regressed', settledMs: toldMs }
    : { kind: 'stands', settledMs: Math.max(settledMs, toldMs) };
}

/** What one schedule owes now, ready to be sent. */
export interface Owed {
  readonly entries: readonly FireEntry[];
  /** When to look again, by the broker's clock; `undefined`: never. */
  readonly nextMs: number | undefined;
}

/** @param horizonMs - slots up to here are owed already, where a run is made of them */
export function owedBy(
  { object, definition, verdict, settledMs }: Entry,
  nowMs: number,
  horizonMs = nowMs,
): Owed {
  if (definition.timing.kind !== 'timing' || definition.suspended) return { entries: [], nextMs: undefined };
  const { startingDeadlineMs } = definition.timing.policy;
  const untilMs = verdict.kind === 'misses' ? nowMs : horizonMs;
  const span = { sinceMs: settledMs, nowMs, horizonMs: untilMs };
  const { owed, nextMs } = plan({ ...definition.timing, uid: object.uid, ...span });
  // An object that cannot fire still owes an answer for each slot, or nobody could tell why it did not run.
  return {
    entries:
      verdict.kind === 'misses'
        ? missedAs(owed, verdict.reason)
        : owed.map((item) => fireEntry(item, startingDeadlineMs)),
    nextMs,
  };
}

function fireEntry(owed: OwedSlot | MissedRange, startingDeadlineMs: number | undefined): FireEntry {
  if (owed.kind === 'missed') return owed;
  const { slotMs, delayMs, late } = owed;
  return {
    kind: 'slot',
    slotMs,
    delayMs,
    // A run that nobody claimed by its deadline must not start after it either, however late it came into the queue. What
    // the schedule itself asks it to wait (jitter, the spread of a catch-up) is not lateness.
    ...(startingDeadlineMs !== undefined && { expiresAtMs: slotMs + delayMs + startingDeadlineMs }),
    ...(late && { reason: 'CatchUp' as const }),
  };
}

/** Everything owed as one missed range. */
function missedAs(owed: readonly (OwedSlot | MissedRange)[], reason: DecisionReason): readonly FireEntry[] {
  const first = owed[0];
  const last = owed.at(-1);
  if (first === undefined || last === undefined) return [];
  return [
    {
      kind: 'missed',
      fromMs: first.kind === 'slot' ? first.slotMs : first.fromMs,
      toMs: last.kind === 'slot' ? last.slotMs : last.toMs,
      count: owed.reduce((count, item) => count + (item.kind === 'slot' ? 1 : item.count), 0),
      countIsExact: owed.every((item) => item.kind === 'slot' || item.countIsExact),
      reason,
    },
  ];
}

export function fireRequest(
  uid: string,
  generation: number,
  { concurrencyPolicy, run }: Definition,
  entries: readonly FireEntry[],
  expectedWatermarkMs?: number,
): FireRequest {
  const expected = expectedWatermarkMs !== undefined && { expectedWatermarkMs };
  return { uid, generation, concurrencyPolicy, entries, run, ...expected };
}

/** What `adopt` is told of the generation that it follows. */
export type Closed = NonNullable<AdoptRequest['closed']>;

/** How an older generation is closed: by what it still owes, and until when nothing more of it is due. */
export interface Closing {
  readonly closed: Closed;
  /** `undefined`: it owes nothing. */
  readonly request: FireRequest | undefined;
}

/**
 * Before a newer generation takes over, the slots that the older one still owes are decided as missed: by an old spec
 * nothing may fire once a newer one is known, and to the new one they do not belong.
 */
export function closingOf(
  { uid, generation, definition }: Adoption,
  sinceMs: number,
  nowMs: number,
): Closing {
  if (definition.suspended || definition.timing.kind !== 'timing')
    return { closed: { generation }, request: undefined };
  const { owed, nextMs } = plan({ ...definition.timing, uid, sinceMs, nowMs });
  const entries = missedAs(owed, 'Edited');
  return {
    closed: { generation, ...(nextMs !== undefined && { notAfterMs: nextMs - 1 }) },
    request: entries.length === 0 ? undefined : fireRequest(uid, generation, definition, entries),
  };
}
