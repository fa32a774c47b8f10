/** How durations, instants and foreign text are shown to a person. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Control characters, and those that break lines or turn the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu;

/** Two units at most: `340ms`, `1.2s`, `3m12s`, `5h04m`, `12d3h`. */
export function showDuration(ms: number): string {
  const length = Math.abs(ms);
  const sign = ms < 0 ? '-' : '';
  if (length < SECOND_MS) return `${sign}${Math.round(length)}ms`;
  if (length < 10 * SECOND_MS) return `${sign}${(length / SECOND_MS).toFixed(1)}s`;
  if (length < MINUTE_MS) return `${sign}${Math.round(length / SECOND_MS)}s`;
  const two = (big: number, small: number, units: readonly [string, string]): string =>
    `${sign}${Math.floor(length / big)}${units[0]}${String(Math.floor((length % big) / small)).padStart(2, '0')}${units[1]}`;
  if (length < HOUR_MS) return two(MINUTE_MS, SECOND_MS, ['m', 's']);
  if (length < DAY_MS) return two(HOUR_MS, MINUTE_MS, ['h', 'm']);
  return two(DAY_MS, HOUR_MS, ['d', 'h']);
}

/** `2026-11-24 07:30:00Z`, with milliseconds where there are any. */
export function showInstant(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('.000Z', 'Z');
}

/** The instant in a time zone, with its offset: `2026-11-24 08:30:00 +01:00`. */
export function showInZone(ms: number, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  }).formatToParts(ms);
  const part = (type: Intl.DateTimeFormatPartTypes): string =>
    parts.find((found) => found.type === type)?.value ?? '';
  const offset = part('timeZoneName').replace('GMT', '') || '+00:00';
  return `${part('year')}-${part('month')}-${part('day')} ${part('hour')}:${part('minute')}:${part('second')} ${offset}`;
}

/** `12s ago`, `in 3m05s`, `now`. */
export function showRelative(ms: number, nowMs: number): string {
  const distance = ms - nowMs;
  if (Math.abs(distance) < SECOND_MS) return 'now';
  return distance < 0 ? `${showDuration(-distance)} ago` : `in ${showDuration(distance)}`;
}

/** Foreign text on one line: what could move the cursor, colour the terminal or forge a line is shown as an escape. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    if (character === '\n') return '\\n';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(0, length - 1))}…`;
}

/** `1 run`, `2 runs`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** How long an attempt took; 0 for a run that was handed out before it was due, and ended before that. */
export const showTook = (startedAtMs: number, endedAtMs: number): string =>
  showDuration(Math.max(0, endedAtMs - startedAtMs));
