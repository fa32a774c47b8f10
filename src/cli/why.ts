/** Answers "why did it (not) run then?" from what was recorded: decisions, the specs that were in force, and the state. Pure. */
import { ERA_CAP } from '../broker/broker.ts';
import { editsOf } from '../controller/file-generation.ts';
import type { DecisionReason } from '../schedule/reasons.ts';
import type { Schedule } from '../schedule/schedule.ts';
import type { DecisionRecord, Era, ScheduleState } from '../task/schedule-state.ts';
import { plural, showInstant } from './format.ts';

/** What the spec of an era says about time. */
export interface EraTiming {
  /** Absent when that spec could not be evaluated. */
  readonly schedule: Schedule | undefined;
  /** For people: `every 30s`, `cron "0 9 * * *" (Europe/Rome)`. */
  readonly text: string;
  readonly startMs?: number;
  readonly endMs?: number;
}

export interface WhyInput {
  /** `undefined`: no schedule of that name was ever adopted here. */
  readonly state: ScheduleState | undefined;
  readonly eras: readonly Era[];
  /** Those that touch the time in question. */
  readonly decisions: readonly DecisionRecord[];
  readonly atMs: number;
  readonly nowMs: number;
  readonly timingOf: (era: Era) => EraTiming;
}

export const VERDICTS = [
  'fired',
  'skipped',
  'missed',
  'not-due', // still to come
  'no-slot', // the schedule had no slot then
  'undecided', // a slot that nobody has decided yet
  'suspended',
  'before-not-before', // older than the moment from which the schedule counts
  'outside-window', // before startTime or after endTime
  'withdrawn', // the object was deleted
  'invalid', // the spec in force could not be evaluated
  'forgotten', // so long ago that the record was dropped
  'unknown', // no such schedule
] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface WhyAnswer {
  readonly verdict: Verdict;
  /** The slot that the answer is about. */
  readonly slotMs?: number;
  /** One sentence. */
  readonly summary: string;
  /** Further sentences, the most useful first. */
  readonly details: readonly string[];
  readonly decision?: DecisionRecord;
  /** The spec that was in force. */
  readonly era?: Era;
}

/** A time given to the second is the slot of that second: nobody types milliseconds. */
const TYPING_TOLERANCE_MS = 999;

export function why(input: WhyInput): WhyAnswer {
  const { state, eras, atMs, nowMs } = input;
  if (state === undefined) {
    return { verdict: 'unknown', summary: 'No schedule of that name was ever in force here.', details: [] };
  }
  const era = eras.findLast(({ fromMs, untilMs }) => fromMs <= atMs && atMs < (untilMs ?? Infinity));
  const decided = decisionAt(input, era);
  if (decided !== undefined) return ofDecision(input, decided.record, decided.slotMs);
  if (era === undefined) return outsideEras(input, state);
  const about = { era, details: [eraSentence(input, era)] };
  if (era.untilMs === undefined && state.withdrawn)
    return { verdict: 'withdrawn', summary: DELETED, ...about };
  if (era.suspended) {
    return {
      verdict: 'suspended',
      summary: `It was suspended ${spanOf(era)}: nothing fires then, and nothing is made up for later.`,
      ...about,
    };
  }
  const timing = input.timingOf(era);
  if (timing.schedule === undefined) {
    return {
      verdict: 'invalid',
      summary: `Its spec could not be evaluated ${spanOf(era)}: ${timing.text}.`,
      ...about,
    };
  }
  const slotMs = slotNear(timing.schedule, atMs);
  if (slotMs === undefined) return noSlot(input, era, timing.schedule);
  if (isOutside(slotMs, timing))
    return { verdict: 'outside-window', slotMs, summary: windowSentence(slotMs, timing), ...about };
  if (slotMs > nowMs)
    return {
      verdict: 'not-due',
      slotMs,
      summary: `The slot ${showInstant(slotMs)} is still to come.`,
      ...about,
    };
  return undecided(input, state, era, slotMs);
}

const DELETED = 'The schedule was deleted: nothing fires any more.';

/** The record that covers the time, or the slot that was meant by it. */
function decisionAt(
  { decisions, atMs, timingOf }: WhyInput,
  era: Era | undefined,
): { readonly record: DecisionRecord; readonly slotMs: number } | undefined {
  const schedule = era === undefined ? undefined : timingOf(era).schedule;
  const slotMs = schedule === undefined ? undefined : slotNear(schedule, atMs);
  for (const wantedMs of slotMs === undefined ? [atMs] : [slotMs, atMs]) {
    // Triggers are decided at a time, not for a slot: they answer only for their very instant.
    const record = decisions.findLast(({ fromMs, toMs }) => fromMs <= wantedMs && wantedMs <= toMs);
    // Inside a range of several slots, a time that is no slot of the schedule was not decided.
    if (
      record !== undefined &&
      (wantedMs === slotMs || record.fromMs === wantedMs || record.toMs === wantedMs)
    ) {
      return { record, slotMs: wantedMs };
    }
  }
  return undefined;
}

function ofDecision(input: WhyInput, record: DecisionRecord, slotMs: number): WhyAnswer {
  const era = input.eras.findLast(({ generation }) => generation === record.generation);
  const { reason, decision, count, countIsExact, fromMs, toMs, decidedAtMs } = record;
  const because = reason === undefined ? '' : ` (${reason}): ${REASONS[reason]}`;
  const details = [
    `${count > 1 ? 'First decided' : 'Decided'} at ${showInstant(decidedAtMs)}.`,
    ...(count > 1
      ? [
          `The same was decided for ${countIsExact ? '' : 'at least '}${plural(count, 'slot')}, ${showInstant(fromMs)} to ${showInstant(toMs)}.`,
        ]
      : []),
    ...(era === undefined ? [] : [eraSentence(input, era)]),
  ];
  const summary = `The slot ${showInstant(slotMs)} ${VERBS[decision]}${because}${because === '' ? ', on time' : ''}.`;
  return { verdict: decision, slotMs, summary, details, decision: record, ...(era !== undefined && { era }) };
}

const VERBS = { fired: 'fired', skipped: 'was skipped', missed: 'was missed' } as const;

/** Why something was decided, as the end of a sentence. */
export const REASONS: Readonly<Record<DecisionReason, string>> = {
  Late: 'it was noticed more than 30 s late, and missedRunPolicy is Skip',
  Superseded:
    'it was noticed late together with a newer slot, and missedRunPolicy Latest runs only the newest',
  CatchUpCap: 'more slots were owed than maxCatchUp allows, and newer ones went first',
  DeadlineExceeded: 'it was noticed later than startingDeadlineSeconds allows',
  CatchUp: 'it ran as a catch-up, more than 30 s after its time',
  Overlap: 'an earlier run of the schedule was still in flight, and concurrencyPolicy is Forbid',
  Replaced: 'it took the place of an earlier run that was still in flight',
  Backlog: 'the queue, or this schedule in it, held as many waiting runs as its limit allows',
  InvalidParams: 'the params do not fit the schema of the task',
  QueueNotAllowed: 'the queue takes no schedules from this namespace, or not of this task',
  InvalidSchedule: 'it was asked for by hand, and the spec of the object cannot be read',
  Triggered: 'it was started by hand',
  Edited: 'the object was edited or suspended before the slot was decided',
};

function outsideEras({ eras, atMs, nowMs }: WhyInput, state: ScheduleState): WhyAnswer {
  const first = eras[0];
  if (first !== undefined && atMs < first.fromMs) {
    // With all places taken, older ones may have been dropped.
    return eras.length < ERA_CAP
      ? {
          verdict: 'before-not-before',
          summary: `The schedule came into force at ${showInstant(first.fromMs)}; slots before that never fire.`,
          details: [],
        }
      : {
          verdict: 'forgotten',
          summary: `What was in force before ${showInstant(first.fromMs)} is no longer recorded.`,
          details: [],
        };
  }
  if (state.withdrawn || atMs <= nowMs) {
    const last = eras.findLast(({ untilMs }) => untilMs !== undefined && untilMs <= atMs);
    const since = last?.untilMs === undefined ? '' : ` at ${showInstant(last.untilMs)}`;
    return {
      verdict: 'withdrawn',
      summary: `The schedule was deleted${since}: nothing fired then.`,
      details: [],
    };
  }
  return { verdict: 'forgotten', summary: 'No spec is recorded for that time.', details: [] };
}

function noSlot(input: WhyInput, era: Era, schedule: Schedule): WhyAnswer {
  const before = schedule.previous(input.atMs);
  const after = schedule.next(input.atMs);
  const neighbours = [
    ...(before === undefined ? [] : [`the slot before was ${showInstant(before)}`]),
    ...(after === undefined
      ? []
      : [`the one after ${after > input.nowMs ? 'is' : 'was'} ${showInstant(after)}`]),
  ];
  const details = [
    ...(neighbours.length === 0 ? [] : [`${capital(neighbours.join(', '))}.`]),
    eraSentence(input, era),
  ];
  return {
    verdict: 'no-slot',
    summary: `The schedule had no slot at ${showInstant(input.atMs)}.`,
    details,
    era,
  };
}

function undecided(input: WhyInput, state: ScheduleState, era: Era, slotMs: number): WhyAnswer {
  const about = { slotMs, era, details: [eraSentence(input, era)] };
  const notBeforeMs = Math.max(era.fromMs, input.timingOf(era).startMs ?? -Infinity);
  const isCurrent = era.untilMs === undefined;
  if (slotMs < (isCurrent ? state.notBeforeMs : notBeforeMs)) {
    const sinceMs = isCurrent ? state.notBeforeMs : notBeforeMs;
    const summary = `The spec came into force at ${showInstant(sinceMs)}, after the slot ${showInstant(slotMs)}; creating, editing or resuming never fires retroactively.`;
    return { verdict: 'before-not-before', summary, ...about };
  }
  if (state.watermarkMs === undefined || slotMs > state.watermarkMs) {
    const settled =
      state.watermarkMs === undefined
        ? 'no slot was decided yet'
        : `slots are decided up to ${showInstant(state.watermarkMs)}`;
    const summary = `The slot ${showInstant(slotMs)} is not decided yet (${settled}): no scheduler is at work, or it is behind. It is still owed.`;
    return { verdict: 'undecided', summary, ...about };
  }
  return {
    verdict: 'forgotten',
    summary: `The slot ${showInstant(slotMs)} was decided, but the record is no longer kept: only the newest decisions of a schedule are.`,
    ...about,
  };
}

function slotNear(schedule: Schedule, atMs: number): number | undefined {
  const before = schedule.previous(atMs);
  if (before === atMs) return before;
  // Asked to the second, answered with the slot within that second.
  const after = atMs % 1_000 === 0 ? schedule.next(atMs) : undefined;
  return after !== undefined && after - atMs <= TYPING_TOLERANCE_MS ? after : undefined;
}

function isOutside(slotMs: number, { startMs = -Infinity, endMs = Infinity }: EraTiming): boolean {
  return slotMs < startMs || slotMs > endMs;
}

function windowSentence(slotMs: number, { startMs, endMs }: EraTiming): string {
  return startMs !== undefined && slotMs < startMs
    ? `The slot ${showInstant(slotMs)} lies before startTime (${showInstant(startMs)}).`
    : `The slot ${showInstant(slotMs)} lies after endTime (${showInstant(endMs ?? slotMs)}).`;
}

function eraSentence({ timingOf }: WhyInput, era: Era): string {
  return `In force ${spanOf(era)}, as ${showGeneration(era.generation)}: ${timingOf(era).text}${era.suspended ? ', suspended' : ''}.`;
}

function showGeneration(generation: number): string {
  // An API server counts far below what one edit of a file adds.
  const edits = editsOf(generation);
  return edits === 0 ? `generation ${generation}` : `edition ${edits}`;
}

function spanOf({ fromMs, untilMs }: Era): string {
  return untilMs === undefined
    ? `since ${showInstant(fromMs)}`
    : `from ${showInstant(fromMs)} until ${showInstant(untilMs)}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
