/** The error of a schedule that can never be evaluated, with the reason that the object's condition shows. */
import { TidemillError } from '../runtime/errors.ts';
import { escapeRisky } from '../runtime/printable.ts';

/** Also condition reasons: `NeverFires` and `InvalidSchedule` need another expression, `UnknownTimeZone` another zone. */
export const SCHEDULE_ERROR_REASONS = ['InvalidSchedule', 'UnknownTimeZone', 'NeverFires'] as const;
export type ScheduleErrorReason = (typeof SCHEDULE_ERROR_REASONS)[number];

/** The field of a `ScheduledTask` (and the argument in code) that holds the wrong value. */
export type ScheduleField = 'schedule' | 'timeZone' | 'every' | 'offset' | 'jitter';

/** No retry mends it: only an edit does. The message names value and rule; `field` says where the value stands. */
export class ScheduleError extends TidemillError {
  readonly reason: ScheduleErrorReason;
  readonly field: ScheduleField;

  constructor(
    reason: ScheduleErrorReason,
    field: ScheduleField,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super('SCHEDULE_INVALID', message, options);
    this.reason = reason;
    this.field = field;
  }
}

/** Plain JavaScript may pass anything. @throws ScheduleError */
export function requireText(field: ScheduleField, value: unknown): asserts value is string {
  if (typeof value === 'string') return;
  const message = `${field} must be a text, not ${value === null ? 'null' : `of type ${typeof value}`}`;
  throw new ScheduleError('InvalidSchedule', field, message);
}

/** A user's text for an error message: quoted, control and invisible characters escaped, cut at 60 characters. */
export function quote(text: string): string {
  const shown = escapeRisky(JSON.stringify(text.slice(0, 60)));
  return text.length <= 60 ? shown : `${shown}… (${text.length} characters)`;
}
