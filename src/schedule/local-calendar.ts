/** Walks the local minutes that a cron expression names, on a calendar without time zones: `cron.ts` adds the zone. */
import type { CronFields } from './cron-fields.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Months without a matching day in a row, at most: 29 February from 2096 to 2104, and one to begin with. */
const MOST_EMPTY_MONTHS = 98;

/** Local time as ms since 1970-01-01T00:00 of the wall clock: what `Date.UTC` makes of its fields. */
export type LocalMs = number;

/** First matching minute strictly after a local time. */
export function nextLocal(fields: CronFields, afterMs: LocalMs): LocalMs | undefined {
  const fromMs = (Math.floor(afterMs / MINUTE_MS) + 1) * MINUTE_MS;
  const dayMs = Math.floor(fromMs / DAY_MS) * DAY_MS;
  const withinDay = dayMatches(fields, dayMs) ? firstInDay(fields, (fromMs - dayMs) / MINUTE_MS) : undefined;
  if (withinDay !== undefined) return dayMs + withinDay * MINUTE_MS;
  const matchingDayMs = nextDay(fields, dayMs + DAY_MS);
  return matchingDayMs === undefined ? undefined : matchingDayMs + (firstInDay(fields, 0) ?? 0) * MINUTE_MS;
}

/** Last matching minute at or before a local time. */
export function previousLocal(fields: CronFields, atMs: LocalMs): LocalMs | undefined {
  const dayMs = Math.floor(atMs / DAY_MS) * DAY_MS;
  const minute = Math.floor((atMs - dayMs) / MINUTE_MS);
  const withinDay = dayMatches(fields, dayMs) ? lastInDay(fields, minute) : undefined;
  if (withinDay !== undefined) return dayMs + withinDay * MINUTE_MS;
  const matchingDayMs = previousDay(fields, dayMs - DAY_MS);
  return matchingDayMs === undefined ? undefined : matchingDayMs + (lastInDay(fields, 1439) ?? 0) * MINUTE_MS;
}

function firstInDay({ hours, minutes }: CronFields, fromMinute: number): number | undefined {
  const fromHour = Math.floor(fromMinute / 60);
  for (const hour of hours) {
    if (hour < fromHour) continue;
    const minute = hour > fromHour ? minutes[0] : minutes.find((value) => value >= fromMinute % 60);
    if (minute !== undefined) return hour * 60 + minute;
  }
  return undefined;
}

function lastInDay({ hours, minutes }: CronFields, untilMinute: number): number | undefined {
  const untilHour = Math.floor(untilMinute / 60);
  for (const hour of hours.toReversed()) {
    if (hour > untilHour) continue;
    const minute = hour < untilHour ? minutes.at(-1) : minutes.findLast((value) => value <= untilMinute % 60);
    if (minute !== undefined) return hour * 60 + minute;
  }
  return undefined;
}

function dayMatches({ months, daysOfMonth, daysOfWeek, eitherDay }: CronFields, dayMs: LocalMs): boolean {
  const date = new Date(dayMs);
  if (months[date.getUTCMonth() + 1] !== true) return false;
  const ofMonth = daysOfMonth[date.getUTCDate()] === true;
  const ofWeek = daysOfWeek[date.getUTCDay()] === true;
  return eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek;
}

/** First matching day at or after a day; steps over whole months that are not selected. */
function nextDay(fields: CronFields, fromDayMs: LocalMs): LocalMs | undefined {
  let dayMs = fromDayMs;
  for (let month = 0; month < MOST_EMPTY_MONTHS; month++) {
    const nextMonthMs = monthStart(dayMs, 1);
    if (monthSelected(fields, dayMs)) {
      for (; dayMs < nextMonthMs; dayMs += DAY_MS) if (dayMatches(fields, dayMs)) return dayMs;
    }
    dayMs = nextMonthMs;
  }
  return undefined;
}

/** Last matching day at or before a day. */
function previousDay(fields: CronFields, fromDayMs: LocalMs): LocalMs | undefined {
  let dayMs = fromDayMs;
  for (let month = 0; month < MOST_EMPTY_MONTHS; month++) {
    const monthMs = monthStart(dayMs, 0);
    if (monthSelected(fields, dayMs)) {
      for (; dayMs >= monthMs; dayMs -= DAY_MS) if (dayMatches(fields, dayMs)) return dayMs;
    }
    dayMs = monthMs - DAY_MS;
  }
  return undefined;
}

const monthSelected = ({ months }: CronFields, dayMs: LocalMs): boolean =>
  months[new Date(dayMs).getUTCMonth() + 1] === true;

function monthStart(dayMs: LocalMs, monthsLater: number): LocalMs {
  const date = new Date(dayMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + monthsLater, 1);
}
