/**
 * Schedules by the clock on the wall: a cron expression in a time zone. The calendar part (`local-calendar.ts`) knows no
 * zones; here stands what happens when the clocks change.
 */
import { checkedJitterMs } from './every.ts';
import { type CronFields, parseCron } from './cron-fields.ts';
import { type LocalMs, nextLocal, previousLocal } from './local-calendar.ts';
import type { CronSpec, Schedule } from './schedule.ts';
import { canonicalTimeZone, DEFAULT_TIME_ZONE, type TimeZone, timeZone } from './time-zone.ts';

/** A fixed time in a longer gap is left out: that was no change of the clocks but a day struck from the calendar (Samoa, 2011). */
export const LONGEST_SHIFTED_GAP_MS = 3 * 3_600_000;

const DAY_MS = 86_400_000;
/** 1970 to 9999: what every part of the system can write down. */
const LAST_SLOT_MS = 253_402_300_799_999;

export interface CronOptions {
  /** IANA name; default `Etc/UTC`, never the zone of the machine. */
  readonly timeZone?: string;
  /** Starts each run up to this much after its slot, always by the same amount. At most 1 h. */
  readonly jitter?: string | number;
}

/**
 * A schedule from five cron fields (minute, hour, day-of-month, month, day-of-week) or a nickname such as `@daily`.
 * The accepted grammar is told at `parseCron`. When day-of-month and day-of-week are both restricted, a day matches
 * when either does, as in CronJob; every field but a lone `*` is restricted, a step of `*` too.
 *
 * When the clocks change, a time without `*` or step in minute and hour happens once: in a gap of up to 3 h at its end,
 * in a fold at the first of the two. Other expressions follow elapsed time: nothing in a gap, both in a fold.
 *
 * @throws ScheduleError (SCHEDULE_INVALID)
 */
export function cron(expression: string, options: CronOptions = {}): Schedule {
  const fields = parseCron(expression);
  const zoneName = canonicalTimeZone(options.timeZone ?? DEFAULT_TIME_ZONE);
  const spec: CronSpec = {
    kind: 'cron',
    expression,
    timeZone: zoneName,
    jitterMs: checkedJitterMs(options.jitter ?? 0),
  };
  return new CronSchedule(spec, fields, timeZone(zoneName));
}

/** The rule for one expression; also asked by `hazards.ts`. */
export class CronSchedule implements Schedule {
  readonly spec: CronSpec;
  readonly fields: CronFields;
  readonly zone: TimeZone;

  constructor(spec: CronSpec, fields: CronFields, zone: TimeZone) {
    this.spec = spec;
    this.fields = fields;
    this.zone = zone;
  }

  next(afterMs: number): number | undefined {
    if (!(afterMs < LAST_SLOT_MS)) return undefined;
    const fromMs = Math.max(afterMs, -1);
    const slotMs = this.fields.fixedTime ? this.#nextFixed(fromMs) : this.#nextInterval(fromMs);
    return slotMs !== undefined && slotMs <= LAST_SLOT_MS ? slotMs : undefined;
  }

  previous(atMs: number): number | undefined {
    if (!(atMs >= 0)) return undefined;
    const fromMs = Math.min(atMs, LAST_SLOT_MS);
    const slotMs = this.fields.fixedTime ? this.#previousFixed(fromMs) : this.#previousInterval(fromMs);
    return slotMs !== undefined && slotMs >= 0 ? slotMs : undefined;
  }

  /** When a fixed local time happens; `undefined` when it lies in a gap too long to be made up for. */
  fixedSlot(localMs: LocalMs): number | undefined {
    const [firstMs] = this.zone.instantsOf(localMs);
    if (firstMs !== undefined) return firstMs;
    const gap = this.zone.gapAround(localMs);
    return gap !== undefined && gap.shiftMs <= LONGEST_SHIFTED_GAP_MS ? gap.atMs : undefined;
  }

  #nextFixed(afterMs: number): number | undefined {
    // Local times up to the one shown now have happened; of the later ones a fold may have had some before now as well.
    let localMs = nextLocal(this.fields, afterMs + this.zone.offsetAt(afterMs));
    while (localMs !== undefined && localMs <= LAST_SLOT_MS) {
      const slotMs = this.fixedSlot(localMs);
      if (slotMs !== undefined && slotMs > afterMs) return slotMs;
      localMs = nextLocal(this.fields, localMs);
    }
    return undefined;
  }

  #previousFixed(atMs: number): number | undefined {
    // In the second half of a fold, times later on the clock than now have happened already: begin above them.
    const offsets = this.zone.segments(Math.max(0, atMs - DAY_MS), atMs).map(({ offsetMs }) => offsetMs);
    let localMs = previousLocal(this.fields, atMs + Math.max(...offsets));
    while (localMs !== undefined && localMs > -DAY_MS) {
      const slotMs = this.fixedSlot(localMs);
      if (slotMs !== undefined && slotMs <= atMs) return slotMs;
      localMs = previousLocal(this.fields, localMs - 1);
    }
    return undefined;
  }

  #nextInterval(afterMs: number): number | undefined {
    let fromMs = afterMs;
    let segment = this.zone.segmentAt(fromMs);
    while (segment.startMs <= LAST_SLOT_MS) {
      const localMs = nextLocal(this.fields, fromMs + segment.offsetMs);
      if (localMs === undefined) return undefined;
      if (localMs - segment.offsetMs < segment.endMs) return localMs - segment.offsetMs;
      segment = this.zone.segmentAt(segment.endMs);
      fromMs = segment.startMs - 1;
    }
    return undefined;
  }

  #previousInterval(atMs: number): number | undefined {
    let fromMs = atMs;
    let segment = this.zone.segmentAt(fromMs);
    while (segment.endMs > 0) {
      const localMs = previousLocal(this.fields, fromMs + segment.offsetMs);
      if (localMs === undefined) return undefined;
      if (localMs - segment.offsetMs >= segment.startMs) return localMs - segment.offsetMs;
      segment = this.zone.segmentAt(segment.startMs - 1);
      fromMs = segment.endMs - 1;
    }
    return undefined;
  }
}
