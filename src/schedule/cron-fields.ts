/** The cron grammar: five fields or a nickname, read strictly, so that what is accepted means the same to everyone. */
import { quote, requireText, ScheduleError } from './schedule-error.ts';

export const CRON_MAX_LENGTH = 128;

/** Which local minutes an expression names. */
export interface CronFields {
  /** Ascending. */
  readonly minutes: readonly number[];
  /** Ascending. */
  readonly hours: readonly number[];
  /** Index 1 to 31. */
  readonly daysOfMonth: readonly boolean[];
  /** Index 1 to 12. */
  readonly months: readonly boolean[];
  /** Index 0 (Sunday) to 6. */
  readonly daysOfWeek: readonly boolean[];
  /** Both day fields are restricted (not a lone `*`): a day matches when either does. */
  readonly eitherDay: boolean;
  /**
   * Neither minute nor hour holds `*` or a step: the times are wall-clock times, of which a change of the clocks must
   * neither lose nor repeat one. All others are intervals, which follow elapsed time.
   */
  readonly fixedTime: boolean;
}

const NICKNAMES: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);

interface FieldRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** How many different values there are: the largest step. Not `max - min + 1` for the weekday, where 0 and 7 are Sunday. */
  readonly size: number;
  readonly names: readonly string[];
}

const MONTH_NAMES = [
  'JAN',
  'FEB',
  'MAR',
  'APR',
  'MAY',
  'JUN',
  'JUL',
  'AUG',
  'SEP',
  'OCT',
  'NOV',
  'DEC',
] as const;
const WEEKDAY_NAMES = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'] as const;

const MINUTE: FieldRule = { name: 'minute', min: 0, max: 59, size: 60, names: [] };
const HOUR: FieldRule = { name: 'hour', min: 0, max: 23, size: 24, names: [] };
const DAY_OF_MONTH: FieldRule = { name: 'day-of-month', min: 1, max: 31, size: 31, names: [] };
const MONTH: FieldRule = { name: 'month', min: 1, max: 12, size: 12, names: MONTH_NAMES };
const DAY_OF_WEEK: FieldRule = { name: 'day-of-week', min: 0, max: 7, size: 7, names: WEEKDAY_NAMES };

/** Longest length of each month, from index 1: 29 February comes in leap years. */
const LONGEST_MONTH_DAYS = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

export const CRON_SHAPE_RULE =
  'must be five cron fields (minute hour day-of-month month day-of-week) or one of @yearly, @annually, @monthly, ' +
  '@weekly, @daily, @midnight, @hourly; seconds, ?, L, W and # are not supported';
/** A nickname or five fields apart by spaces. Also the CRD's rule, so RE2 must understand it. */
export const CRON_SHAPE_PATTERN =
  /^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9A-Za-z*,/-]+( +[0-9A-Za-z*,/-]+){4})$/;

/**
 * Reads an expression. Stricter than most parsers where these disagree:
 * - a step needs `*` or a range before it (`5/15` means 5 to some, 5-59/15 to others), and is at least 1 and at most
 *   the number of values of its field (a step of 70 minutes would be "at 0" in disguise);
 * - ranges run upwards (`22-2` is refused: write `22-23,0-2`); only `SUN` after another day counts as 7, so `SAT-SUN` is two days;
 * - every part of a list holds something (`1,,2` is refused), numbers have one or two digits, names three letters.
 *
 * @throws ScheduleError (SCHEDULE_INVALID), naming the field, the value and the rule; reason NeverFires for days that
 *   no selected month has, InvalidSchedule otherwise
 */
export function parseCron(expression: string): CronFields {
  requireText('schedule', expression);
  if (expression.length > CRON_MAX_LENGTH) {
    throw invalid(`cron expression ${quote(expression)} must have at most ${CRON_MAX_LENGTH} characters`);
  }
  if (expression.includes('TZ=')) {
    throw invalid(
      `cron expression ${quote(expression)} must not carry TZ= or CRON_TZ=: set timeZone instead`,
    );
  }
  if (!CRON_SHAPE_PATTERN.test(expression))
    throw invalid(`cron expression ${quote(expression)} ${CRON_SHAPE_RULE}`);
  const [minute = '', hour = '', dayOfMonth = '', month = '', dayOfWeek = ''] = (
    NICKNAMES.get(expression) ?? expression
  ).split(/ +/);
  const fields: CronFields = {
    minutes: [...valuesOf(minute, MINUTE)].sort((a, b) => a - b),
    hours: [...valuesOf(hour, HOUR)].sort((a, b) => a - b),
    daysOfMonth: flags(valuesOf(dayOfMonth, DAY_OF_MONTH), 32),
    months: flags(valuesOf(month, MONTH), 13),
    daysOfWeek: flags(new Set([...valuesOf(dayOfWeek, DAY_OF_WEEK)].map((day) => day % 7)), 7),
    eitherDay: dayOfMonth !== '*' && dayOfWeek !== '*',
    fixedTime: !/[*/]/.test(minute + hour),
  };
  if (!fields.eitherDay && neverComes(fields)) {
    throw new ScheduleError(
      'NeverFires',
      'schedule',
      `cron expression ${quote(expression)} never fires: no month of ${quote(month)} has day-of-month ${quote(dayOfMonth)}`,
    );
  }
  return fields;
}

const flags = (values: ReadonlySet<number>, length: number): boolean[] =>
  Array.from({ length }, (_, i) => values.has(i));

function neverComes({ daysOfMonth, months }: CronFields): boolean {
  const firstDay = daysOfMonth.indexOf(true);
  return !months.some((selected, month) => selected && firstDay <= (LONGEST_MONTH_DAYS[month] ?? 0));
}

function valuesOf(field: string, rule: FieldRule): ReadonlySet<number> {
  const values = new Set<number>();
  for (const part of field.split(',')) {
    if (part === '') throw invalid(`${rule.name} ${quote(field)} must not have an empty part in its list`);
    for (const value of partValues(part, rule)) values.add(value);
  }
  return values;
}

function partValues(part: string, rule: FieldRule): number[] {
  const [range = '', stepText, ...moreSteps] = part.split('/');
  if (moreSteps.length > 0) throw invalid(`${rule.name} ${quote(part)} must have at most one step`);
  const [from, to] = bounds(range, part, rule);
  if (stepText === undefined) return sequence(from, to, 1);
  if (range !== '*' && !range.includes('-')) {
    throw invalid(
      `${rule.name} ${quote(part)} must have '*' or a range before its step: write ${range}-${rule.max}/${stepText}`,
    );
  }
  const step = /^[0-9]{1,2}$/.test(stepText) ? Number(stepText) : 0;
  if (step < 1 || step > rule.size) {
    throw invalid(`${rule.name} ${quote(part)} must have a step from 1 to ${rule.size}`);
  }
  return sequence(from, to, step);
}

function sequence(from: number, to: number, step: number): number[] {
  const values: number[] = [];
  for (let value = from; value <= to; value += step) values.push(value);
  return values;
}

function bounds(range: string, part: string, rule: FieldRule): readonly [number, number] {
  // `*` of the weekday ends at 6, or a step would meet Sunday twice: once as 0, once as 7.
  if (range === '*') return [rule.min, rule.min + rule.size - 1];
  const [fromText = '', toText, ...more] = range.split('-');
  if (more.length > 0) throw invalid(`${rule.name} ${quote(part)} must be a number, a range or '*'`);
  const from = valueOf(fromText, part, rule);
  if (toText === undefined) return [from, from];
  const to =
    from > 0 && rule === DAY_OF_WEEK && toText.toUpperCase() === 'SUN' ? 7 : valueOf(toText, part, rule);
  if (from > to) throw invalid(`${rule.name} ${quote(part)} must be a range that runs upwards`);
  return [from, to];
}

function valueOf(text: string, part: string, rule: FieldRule): number {
  const named = rule.names.indexOf(text.toUpperCase());
  if (named !== -1) return named + rule.min;
  const value = /^[0-9]{1,2}$/.test(text) ? Number(text) : -1;
  if (value >= rule.min && value <= rule.max) return value;
  const names = rule.names.length > 0 ? ` or ${rule.names.at(0) ?? ''} to ${rule.names.at(-1) ?? ''}` : '';
  const where = text === part ? '' : ` in ${quote(part)}`;
  throw invalid(
    `${rule.name} ${quote(text)}${where} must be a number from ${rule.min} to ${rule.max}${names}`,
  );
}

const invalid = (message: string): ScheduleError => new ScheduleError('InvalidSchedule', 'schedule', message);
