/** Time zones through `Intl`: which names are valid, and what the clocks of a zone show at an instant. */
import { messageOf } from '../runtime/errors.ts';
import type { LocalMs } from './local-calendar.ts';
import { quote, requireText, ScheduleError } from './schedule-error.ts';

/** Never the zone of the machine: the same object must mean the same everywhere. */
export const DEFAULT_TIME_ZONE = 'Etc/UTC';

export const TIME_ZONE_MAX_LENGTH = 64;
export const TIME_ZONE_RULE =
  'must be an IANA time zone name such as Europe/Rome or Etc/UTC (no offsets, not Local)';
/** Also the CRD's rule, so RE2 must understand it. */
export const TIME_ZONE_PATTERN = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/;

/** All three-letter names of IANA. ICU takes more, most of them ambiguous (IST: India, Israel or Ireland). */
const IANA_THREE_LETTERS = /^(cet|eet|est|gmt|hst|met|mst|prc|roc|rok|uct|utc|wet)$/i;
const ICU_ONLY = /^(systemv\/.*|[a-z]{3})$/i;

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** No zone is further from UTC, so the local time and UTC of an instant differ by less. */
const FARTHEST_OFFSET_MS = 15 * HOUR_MS;
/** Offsets are looked up and kept for this long a stretch at a time. */
const CHUNK_MS = 400 * DAY_MS;
/** The two nearest changes of any zone since 1970 are 7 days apart (Brazil, October 2000), so none hides between samples. */
const SAMPLE_MS = 3 * DAY_MS;
/** Stretches kept for a zone: 70 years. Beyond that the zone starts afresh. */
const MOST_CHUNKS = 64;

/** A stretch with one offset: `local = instant + offsetMs` from `startMs` until before `endMs`. */
export interface OffsetSegment {
  readonly startMs: number;
  readonly endMs: number;
  readonly offsetMs: number;
}

/** The clocks were moved: forward by a positive `shiftMs` (a gap in local time), back by a negative (a fold). */
export interface ClockChange {
  readonly atMs: number;
  readonly shiftMs: number;
  /** Local time just after the change. */
  readonly localMs: LocalMs;
}

/**
 * Checks a name. An alias (`Asia/Kolkata`) stays as it was written; the name of a zone comes back in its own case
 * (`Europe/berlin` is Europe/Berlin).
 * @throws ScheduleError (SCHEDULE_INVALID) with reason UnknownTimeZone
 */
export function canonicalTimeZone(name: string): string {
  requireText('timeZone', name);
  if (name.length > TIME_ZONE_MAX_LENGTH || !TIME_ZONE_PATTERN.test(name) || name.toLowerCase() === 'local') {
    throw unknownZone(`time zone ${quote(name)} ${TIME_ZONE_RULE}`);
  }
  const resolved = resolvedName(name);
  return resolved.toLowerCase() === name.toLowerCase() ? resolved : name;
}

function resolvedName(name: string): string {
  const unknown = `time zone ${quote(name)} is not an IANA name known to this build (time zone data ${process.versions['tz'] ?? 'of unknown version'}): use one such as Europe/Rome`;
  if (ICU_ONLY.test(name) && !IANA_THREE_LETTERS.test(name)) throw unknownZone(unknown);
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
  } catch (cause) {
    throw unknownZone(`${unknown} (${messageOf(cause)})`, cause);
  }
}

const unknownZone = (message: string, cause?: unknown): ScheduleError =>
  new ScheduleError('UnknownTimeZone', 'timeZone', message, { cause });

/** What the clocks of one zone show. Kept once per zone and process: looking offsets up in `Intl` is slow. */
export class TimeZone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  readonly #chunks = new Map<number, readonly OffsetSegment[]>();

  /** @throws RangeError when the name is not known: check it with `canonicalTimeZone` first */
  constructor(name: string) {
    this.name = name;
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  offsetAt(instantMs: number): number {
    return this.segmentAt(instantMs).offsetMs;
  }

  /** The stretch around an instant. It may end although the offset goes on: compare with the next one. */
  segmentAt(instantMs: number): OffsetSegment {
    const segments = this.#chunk(Math.floor(instantMs / CHUNK_MS));
    const found = segments.find(({ endMs }) => instantMs < endMs);
    if (found === undefined) throw new RangeError(`no instant ${instantMs}`);
    return found;
  }

  /** Stretches that touch a span, ascending. */
  segments(fromMs: number, toMs: number): OffsetSegment[] {
    const segments = [this.segmentAt(fromMs)];
    for (let last = segments[0]; last !== undefined && last.endMs <= toMs; last = segments.at(-1)) {
      segments.push(this.segmentAt(last.endMs));
    }
    return segments;
  }

  /** Changes of the clocks after `fromMs` and at or before `toMs`, ascending. */
  changes(fromMs: number, toMs: number): ClockChange[] {
    const segments = this.segments(fromMs, toMs);
    return segments.flatMap(({ startMs, offsetMs }, index) => {
      const shiftMs = offsetMs - (segments[index - 1]?.offsetMs ?? offsetMs);
      return shiftMs === 0 ? [] : [{ atMs: startMs, shiftMs, localMs: startMs + offsetMs }];
    });
  }

  /** Instants at which the clocks show a local time: none in a gap, two in a fold, ascending. */
  instantsOf(localMs: LocalMs): number[] {
    return this.segments(localMs - FARTHEST_OFFSET_MS, localMs + FARTHEST_OFFSET_MS).flatMap(
      ({ startMs, endMs, offsetMs }) => {
        const instantMs = localMs - offsetMs;
        return instantMs >= startMs && instantMs < endMs ? [instantMs] : [];
      },
    );
  }

  /** The change that left a local time out; `undefined` for a local time that exists. */
  gapAround(localMs: LocalMs): ClockChange | undefined {
    return this.changes(localMs - FARTHEST_OFFSET_MS - DAY_MS, localMs + FARTHEST_OFFSET_MS + DAY_MS).find(
      (change) => localMs < change.localMs && localMs >= change.localMs - change.shiftMs,
    );
  }

  #chunk(index: number): readonly OffsetSegment[] {
    const known = this.#chunks.get(index);
    if (known !== undefined) return known;
    if (this.#chunks.size >= MOST_CHUNKS) this.#chunks.clear();
    const segments = this.#lookUp(index * CHUNK_MS, (index + 1) * CHUNK_MS);
    this.#chunks.set(index, segments);
    return segments;
  }

  #lookUp(startMs: number, endMs: number): OffsetSegment[] {
    const segments: OffsetSegment[] = [];
    let segmentStartMs = startMs;
    let offsetMs = this.#readOffset(startMs);
    for (let sampleMs = startMs; sampleMs < endMs; sampleMs += SAMPLE_MS) {
      const untilMs = Math.min(sampleMs + SAMPLE_MS, endMs - 1_000);
      const laterOffsetMs = this.#readOffset(untilMs);
      if (laterOffsetMs === offsetMs) continue;
      const changeMs = this.#findChange(sampleMs, untilMs, offsetMs);
      segments.push({ startMs: segmentStartMs, endMs: changeMs, offsetMs });
      segmentStartMs = changeMs;
      offsetMs = laterOffsetMs;
    }
    return [...segments, { startMs: segmentStartMs, endMs, offsetMs }];
  }

  /** First second with another offset; the offset is `beforeMs` at `fromMs` and another at `toMs`. */
  #findChange(fromMs: number, toMs: number, offsetMs: number): number {
    let [beforeMs, afterMs] = [fromMs, toMs];
    while (afterMs - beforeMs > 1_000) {
      const middleMs = Math.floor((beforeMs + afterMs) / 2_000) * 1_000;
      if (this.#readOffset(middleMs) === offsetMs) beforeMs = middleMs;
      else afterMs = middleMs;
    }
    return afterMs;
  }

  #readOffset(instantMs: number): number {
    const parts = new Map(
      this.#format.formatToParts(instantMs).map(({ type, value }) => [type, Number(value)]),
    );
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const localMs = Date.UTC(
      part('year'),
      part('month') - 1,
      part('day'),
      part('hour'),
      part('minute'),
      part('second'),
    );
    return localMs - Math.floor(instantMs / 1_000) * 1_000;
  }
}

/** At most one for each name that IANA has, about 600. */
const zones = new Map<string, TimeZone>();

/** The zone of a name that `canonicalTimeZone` gave back. */
export function timeZone(canonicalName: string): TimeZone {
  const known = zones.get(canonicalName);
  if (known !== undefined) return known;
  const zone = new TimeZone(canonicalName);
  zones.set(canonicalName, zone);
  return zone;
}

/** Local time and offset, such as `2026-03-08T03:00:00-04:00`. */
export function localText(zone: TimeZone, instantMs: number): string {
  const offsetMs = zone.offsetAt(instantMs);
  const offset = new Date(Math.abs(offsetMs)).toISOString().slice(11, 16);
  return `${wallClockText(instantMs + offsetMs)}${offsetMs < 0 ? '-' : '+'}${offset}`;
}

/** A local time without a zone, such as `2026-03-08T02:30:00`: it may exist twice, or not at all. */
export function wallClockText(localMs: LocalMs): string {
  return new Date(localMs).toISOString().slice(0, 19);
}
