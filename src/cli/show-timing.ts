/** A schedule in words, its next slots, and instants that people type. */
import { timingOfEra } from '../resource/to-schedule.ts';
import { TidemillError } from '../runtime/errors.ts';
import { formatDuration } from '../schedule/duration.ts';
import { clockHazards } from '../schedule/hazards.ts';
import type { Schedule, ScheduleSpec } from '../schedule/schedule.ts';
import { DEFAULT_TIME_ZONE, timeZone } from '../schedule/time-zone.ts';
import type { Era } from '../task/schedule-state.ts';
import { showInstant, showInZone, showRelative } from './format.ts';
import type { EraTiming } from './why.ts';

/** `every 30s, offset 5s` or `cron "0 9 * * 1-5" in Europe/Rome`. */
export function showSpec(spec: ScheduleSpec): string {
  const jitter = spec.jitterMs === 0 ? '' : `, jitter ${formatDuration(spec.jitterMs)}`;
  if (spec.kind === 'cron') return `cron "${spec.expression}" in ${spec.timeZone}${jitter}`;
  const offset = spec.offsetMs === 0 ? '' : `, offset ${formatDuration(spec.offsetMs)}`;
  return `every ${formatDuration(spec.intervalMs)}${offset}${jitter}`;
}

export function eraTiming({ spec }: Era): EraTiming {
  const timing = timingOfEra(spec);
  if (timing === undefined) return { schedule: undefined, text: 'a spec that this version cannot read' };
  if (timing.kind === 'invalid') return { schedule: undefined, text: timing.message };
  const { startMs, endMs } = timing.policy;
  return {
    schedule: timing.schedule,
    text: showSpec(timing.schedule.spec),
    ...(startMs !== undefined && { startMs }),
    ...(endMs !== undefined && { endMs }),
  };
}

export function zoneOf(schedule: Schedule | undefined): string {
  return schedule?.spec.kind === 'cron' ? schedule.spec.timeZone : DEFAULT_TIME_ZONE;
}

/** The window of an object: no slot outside it. */
export interface Window {
  readonly startMs?: number;
  readonly endMs?: number;
}

/** The next `count` slots after an instant. */
export function nextSlots(
  schedule: Schedule,
  afterMs: number,
  count: number,
  { startMs, endMs = Infinity }: Window = {},
): readonly number[] {
  const slots: number[] = [];
  let fromMs = startMs === undefined ? afterMs : Math.max(afterMs, startMs - 1);
  while (slots.length < count) {
    const slotMs = schedule.next(fromMs);
    if (slotMs === undefined || slotMs > endMs) break;
    slots.push(slotMs);
    fromMs = slotMs;
  }
  return slots;
}

const YEAR_MS = 366 * 24 * 3_600_000;

/** What the changes of the clocks do to a schedule within a year. */
export function hazardTexts(schedule: Schedule, nowMs: number): readonly string[] {
  return clockHazards(schedule, nowMs, nowMs + YEAR_MS).map(({ text }) => text);
}

/** One slot in the zone of its schedule and in UTC. */
export function showSlot(slotMs: number, zone: string, nowMs: number): string {
  const inZone = zone === DEFAULT_TIME_ZONE ? '' : `${showInZone(slotMs, zone)}   `;
  return `${inZone}${showInstant(slotMs)}   ${showRelative(slotMs, nowMs)}`;
}

const LOCAL_TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?))?$/;
const ZONED_TIME = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)? ?(Z|[+-]\d{2}:?\d{2})$/;

/**
 * An instant as people type it. Without an offset it is local time in the zone of the schedule.
 * @throws TidemillError TIME_INVALID
 */
export function parseInstant(text: string, zone: string): number {
  const zoned = ZONED_TIME.test(text) ? Date.parse(text.replace(' ', 'T').replaceAll(' ', '')) : NaN;
  if (!Number.isNaN(zoned)) return zoned;
  const [, date, time = '00:00'] = LOCAL_TIME.exec(text) ?? [];
  const localMs = date === undefined ? NaN : Date.parse(`${date}T${time}Z`);
  if (Number.isNaN(localMs)) {
    throw new TidemillError(
      'TIME_INVALID',
      `time ${JSON.stringify(text.slice(0, 60))} must be like 2026-03-29T02:30 (in the schedule's zone) or 2026-03-29T00:30:00Z`,
    );
  }
  const [instantMs] = timeZone(zone).instantsOf(localMs);
  if (instantMs !== undefined) return instantMs;
  throw new TidemillError(
    'TIME_INVALID',
    `the clocks in ${zone} never show ${text}: they are moved forward over it; give the time in UTC, with a Z`,
  );
}
