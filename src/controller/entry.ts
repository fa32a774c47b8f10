/** What the engine remembers of one object: the level that its loop compares with, lost at a restart and rebuilt from the broker. */
import type { Decision, DecisionReason } from '../schedule/reasons.ts';
import type { ScheduleState } from '../task/schedule-state.ts';
import type { Definition } from './definition.ts';
import type { ScheduleRef } from './observer.ts';
import type { ScheduledObject } from '../resource/scheduled-object.ts';
import { echoOfStatus, type TriggerEcho } from './trigger.ts';
import type { Verdict } from './verdict.ts';

/** Decisions shown with an object. */
export const RECENT_DECISIONS = 5;

export interface RecentDecision {
  /** First slot of a row of like decisions. */
  readonly fromMs: number;
  /** Last slot of the row; the only one of a single decision. */
  readonly slotMs: number;
  readonly count: number;
  readonly decision: Decision;
  readonly reason?: DecisionReason;
  readonly runId?: string;
}

/**
 * Puts one more decision before the known ones. Slots skipped or missed in a row for one reason become one row, or those
 * of a schedule that skips every second would push out all that is of interest.
 */
export function withDecision(
  known: readonly RecentDecision[],
  decision: RecentDecision,
): readonly RecentDecision[] {
  const [newest, ...older] = known;
  const isLike =
    newest !== undefined &&
    decision.decision !== 'fired' &&
    newest.decision === decision.decision &&
    newest.reason === decision.reason &&
    newest.slotMs < decision.fromMs;
  if (!isLike) return [decision, ...known].slice(0, RECENT_DECISIONS);
  return [{ ...decision, fromMs: newest.fromMs, count: newest.count + decision.count }, ...older];
}

/** An object as the broker was told of it. */
export interface Adoption {
  readonly uid: string;
  readonly generation: number;
  readonly definition: Definition;
}

export interface Entry {
  object: ScheduledObject;
  definition: Definition;
  verdict: Verdict;
  /** When a verdict of this reason was reached first, by the broker's clock. */
  verdictSinceMs: number;
  /** The newest generation that the broker acted on for us; may be older than the object's. */
  adoption: Adoption | undefined;
  /** The broker still stands by that adoption: nothing fires without. */
  inForce: boolean;
  /** The live object, read again, is older than what the broker knows: adopt it nevertheless. */
  forced: boolean;
  /** Every slot up to and including this one is decided, as far as this engine knows. */
  settledMs: number;
  /** The watermark that the broker last told; later than what it tells next: it lost writes. */
  watermarkMs: number | undefined;
  /** By the last plan; `undefined`: no slot will come. */
  nextMs: number | undefined;
  /** This definition was planned, so that `nextMs` says something. */
  planned: boolean;
  lastFiredSlotMs: number | undefined;
  lastMissedSlotMs: number | undefined;
  /** Newest first. */
  recent: readonly RecentDecision[];
  /** As last read from the broker. */
  state: ScheduleState | undefined;
  /** What became of the newest run asked for by annotation. */
  trigger: TriggerEcho | undefined;
}

export function newEntry(
  object: ScheduledObject,
  definition: Definition,
  verdict: Verdict,
  nowMs: number,
): Entry {
  return {
    object,
    definition,
    verdict,
    verdictSinceMs: nowMs,
    adoption: undefined,
    inForce: false,
    forced: false,
    settledMs: -Infinity,
    watermarkMs: undefined,
    nextMs: undefined,
    planned: false,
    lastFiredSlotMs: undefined,
    lastMissedSlotMs: undefined,
    recent: [],
    state: undefined,
    trigger: echoOfStatus(object.status),
  };
}

/** Whether the broker has acted on exactly this object, and still stands by it. */
export function isAdopted({ object, adoption, inForce }: Entry): boolean {
  return inForce && adoption?.uid === object.uid && adoption.generation === object.generation;
}

export function refOf({ object, definition }: Pick<Entry, 'object' | 'definition'>): ScheduleRef {
  const { uid, namespace, name } = object;
  return { uid, namespace, name, queue: definition.queue, task: definition.run.task };
}
