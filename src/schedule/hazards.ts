/** Where changes of the clocks bend a cron schedule within a span: shown by `schedules next`, before it happens. */
import { CronSchedule, LONGEST_SHIFTED_GAP_MS } from './cron.ts';
import { type LocalMs, nextLocal } from './local-calendar.ts';
import type { Schedule, Slot } from './schedule.ts';
import { type ClockChange, localText, type TimeZone, wallClockText } from './time-zone.ts';

/**
 * - `shifted`: local times that do not exist fire once, when the gap ends
 * - `skipped`: local times that do not exist do not fire
 * - `once`: local times that happen twice fire at the first
 * - `repeated`: local times that happen twice fire both times
 */
export type HazardKind = 'shifted' | 'skipped' | 'once' | 'repeated';

export interface Hazard {
  readonly kind: HazardKind;
  /** When the clocks change, ms since the epoch. */
  readonly changeMs: number;
  /** The local times concerned, such as `2026-03-08T02:30:00`: at most the first ten. */
  readonly localTimes: readonly string[];
  /** How many local times are concerned. */
  readonly count: number;
  /** When they fire, ms since the epoch: at most the first ten; empty for `skipped`. */
  readonly slots: readonly Slot[];
  /** One sentence with local and UTC times. */
  readonly text: string;
}

const MOST_SHOWN = 10;

/**
 * Hazards of a schedule after `fromMs` and up to `toMs`, ascending. Empty for `every`, and for expressions that fire in
 * all 24 hours and follow elapsed time: nothing is lost or doubled there.
 */
export function clockHazards(schedule: Schedule, fromMs: number, toMs: number): Hazard[] {
  if (!(schedule instanceof CronSchedule)) return [];
  const { fixedTime, hours } = schedule.fields;
  if (!fixedTime && hours.length === 24) return [];
  return schedule.zone.changes(fromMs, toMs).flatMap((change) => {
    const hazard = change.shiftMs > 0 ? gapHazard(schedule, change) : foldHazard(schedule, change);
    return hazard === undefined ? [] : [hazard];
  });
}

function gapHazard(schedule: CronSchedule, change: ClockChange): Hazard | undefined {
  const localTimes = localTimesIn(schedule, change.localMs - change.shiftMs, change.localMs);
  if (localTimes.length === 0) return undefined;
  const shifted = schedule.fields.fixedTime && change.shiftMs <= LONGEST_SHIFTED_GAP_MS;
  const slots = shifted ? [change.atMs] : [];
  const tail = shifted
    ? `fires once, when the clocks have moved: ${bothTexts(schedule.zone, change.atMs)}`
    : 'does not fire';
  return hazard(shifted ? 'shifted' : 'skipped', change, localTimes, slots, `does not exist and ${tail}`);
}

function foldHazard(schedule: CronSchedule, change: ClockChange): Hazard | undefined {
  const localTimes = localTimesIn(schedule, change.localMs, change.localMs - change.shiftMs);
  if (localTimes.length === 0) return undefined;
  const { fixedTime } = schedule.fields;
  const slots = localTimes
    .slice(0, MOST_SHOWN)
    .flatMap((localMs) => schedule.zone.instantsOf(localMs).slice(0, fixedTime ? 1 : 2))
    .sort((a, b) => a - b);
  const shown = slots.slice(0, MOST_SHOWN).map((slotMs) => bothTexts(schedule.zone, slotMs));
  const tail = `happens twice and fires ${fixedTime ? 'the first time only' : 'both times'}: ${shown.join(', ')}`;
  return hazard(fixedTime ? 'once' : 'repeated', change, localTimes, slots, tail);
}

function hazard(
  kind: HazardKind,
  { atMs }: ClockChange,
  localMs: readonly LocalMs[],
  slots: readonly Slot[],
  tail: string,
): Hazard {
  const localTimes = localMs.slice(0, MOST_SHOWN).map(wallClockText);
  const more = localMs.length > 1 ? ` (and ${localMs.length - 1} more like it)` : '';
  const text = `${localTimes[0] ?? ''}${more} ${tail}`;
  return { kind, changeMs: atMs, localTimes, count: localMs.length, slots: slots.slice(0, MOST_SHOWN), text };
}

const bothTexts = (zone: TimeZone, instantMs: number): string =>
  `${localText(zone, instantMs)} (${new Date(instantMs).toISOString()})`;

/** Matching local times from the first, inclusive, until before the second. */
function localTimesIn(schedule: CronSchedule, fromMs: LocalMs, untilMs: LocalMs): LocalMs[] {
  const localTimes: LocalMs[] = [];
  let localMs = nextLocal(schedule.fields, fromMs - 1);
  while (localMs !== undefined && localMs < untilMs) {
    localTimes.push(localMs);
    localMs = nextLocal(schedule.fields, localMs);
  }
  return localTimes;
}
