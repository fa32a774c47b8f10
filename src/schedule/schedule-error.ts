/** The error of a schedule that can never be evaluated, with the reason that the object's condition shows. */
import { TidemillError } from '../runtime/errors.ts';

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

/** A user's text for an error message: quoted, control characters escaped, cut at 60 characters. */
export function quote(text: string): string {
  return text.length <= 60
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, 60))}… (${text.length} characters)`;
}
