/** Random cron expressions together with the values they stand for, so that a test needs no parser to know the truth. */

/** A small seeded generator: the same cases on every machine. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 up to, but not including, 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  pick<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)]!;
  }
}

export interface RandomField {
  readonly text: string;
  readonly values: ReadonlySet<number>;
}

export interface RandomCron {
  readonly text: string;
  readonly minute: RandomField;
  readonly hour: RandomField;
  readonly day: RandomField;
  readonly month: RandomField;
  /** Values 0 to 6. */
  readonly weekday: RandomField;
}

const span = (from: number, to: number, step = 1): number[] => {
  const values = [];
  for (let value = from; value <= to; value += step) values.push(value);
  return values;
};

function part(random: SeededRandom, min: number, max: number, names: readonly string[]): [string, number[]] {
  const show = (value: number): string => {
    const name = names[value];
    if (name !== undefined && random.fraction() < 0.4)
      return random.fraction() < 0.5 ? name : name.toLowerCase();
    return value < 10 && random.fraction() < 0.2 ? `0${value}` : String(value);
  };
  const from = random.integer(min, max);
  // A range to Sunday means to the end of the week: not what `0` stands for here.
  const to = random.integer(from === 0 && names[0] === 'SUN' ? 1 : from, max);
  const step = random.integer(1, max - min);
  switch (random.integer(0, 5)) {
    case 0:
      return [`${show(from)}-${show(to)}`, span(from, to)];
    case 1:
      return [`${show(from)}-${show(to)}/${step}`, span(from, to, step)];
    case 2:
      return [`*/${step}`, span(min, max, step)];
    default:
      return [show(from), [from]];
  }
}

function field(
  random: SeededRandom,
  min: number,
  max: number,
  starShare: number,
  names: readonly string[] = [],
): RandomField {
  if (random.fraction() < starShare) return { text: '*', values: new Set(span(min, max)) };
  const parts = span(1, random.pick([1, 1, 1, 2, 3])).map(() => part(random, min, max, names));
  return {
    text: parts.map(([text]) => text).join(','),
    values: new Set(parts.flatMap(([, values]) => values)),
  };
}

const MONTHS = ['', 'JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/** @param hours - bounds of the hours that may be named: narrow ones meet the change of the clocks more often */
export function randomCron(
  random: SeededRandom,
  hours: { readonly min: number; readonly max: number },
): RandomCron {
  const minute = field(random, 0, 59, 0.2);
  const anyHour = field(random, hours.min, hours.max, 0);
  const hour = random.fraction() < 0.25 ? field(random, 0, 23, 1) : narrowed(anyHour, hours);
  const day = field(random, 1, 31, 0.7);
  const month = field(random, 1, 12, 0.75, MONTHS);
  const weekday = field(random, 0, 6, 0.7, WEEKDAYS);
  return {
    text: [minute, hour, day, month, weekday].map(({ text }) => text).join(' '),
    minute,
    hour,
    day,
    month,
    weekday,
  };
}

/** A star means all 24 hours in the text, whatever the bounds were. */
function narrowed(
  { text, values }: RandomField,
  { min, max }: { readonly min: number; readonly max: number },
): RandomField {
  if (!text.includes('*')) return { text, values };
  const explicit = [...values].sort((a, b) => a - b).join(',');
  return { text: explicit, values: new Set([...values].filter((value) => value >= min && value <= max)) };
}

/** Whether an expression names a local minute: the rule of the manual page, word by word. */
export function matches(
  cron: RandomCron,
  local: {
    readonly year: number;
    readonly month: number;
    readonly day: number;
    readonly hour: number;
    readonly minute: number;
    /** 0 to 6. */
    readonly weekday: number;
  },
): boolean {
  if (!cron.minute.values.has(local.minute) || !cron.hour.values.has(local.hour)) return false;
  if (!cron.month.values.has(local.month)) return false;
  const day = cron.day.values.has(local.day);
  const weekday = cron.weekday.values.has(local.weekday);
  if (cron.day.text === '*') return weekday;
  if (cron.weekday.text === '*') return day;
  return day || weekday;
}

/** Times that a change of the clocks must neither lose nor repeat. */
export const isFixed = ({ minute, hour }: RandomCron): boolean => !/[*/]/.test(minute.text + hour.text);
