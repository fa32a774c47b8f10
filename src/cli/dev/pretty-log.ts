/** Shows the JSON lines of our log to a person: what tasks say, and warnings of our own. */
import { z } from 'zod';
import { shorten } from '../format.ts';
import type { Io, Style } from '../io.ts';
import { renderLine } from './render.ts';

const LogLine = z.looseObject({ level: z.string(), time: z.string(), msg: z.string().default('') });
const LEVEL_STYLES: Readonly<Record<string, Style>> = {
  debug: 'dim',
  info: 'dim',
  warn: 'yellow',
  error: 'red',
};
/** Fields that every line of a run has. The task is the subject; the rest would fill the line. */
const BOUND = new Set(['level', 'time', 'msg', 'task', 'run', 'queue', 'attempt']);
const VALUE_LENGTH = 80;

/**
 * @returns a line to be shown, or `undefined` for one that says nothing new here: our own information, beside the events
 */
export function prettyLogLine(json: string, io: Pick<Io, 'color'>): string | undefined {
  const line = LogLine.parse(JSON.parse(json));
  const isOfRun = 'run' in line && 'task' in line;
  if (!isOfRun && line.level !== 'warn' && line.level !== 'error') return undefined;
  const fields = Object.entries(line).flatMap(([name, value]) =>
    BOUND.has(name) ? [] : [`${name}=${show(value)}`],
  );
  const subject = typeof line['task'] === 'string' ? line['task'] : 'tidemill';
  const mark = line.level === 'warn' || line.level === 'error' ? '!' : '·';
  return renderLine(
    Date.parse(line.time),
    { mark, style: LEVEL_STYLES[line.level] ?? 'dim', subject, text: [line.msg, ...fields].join(' ') },
    io,
  );
}

function show(value: unknown): string {
  if (typeof value === 'string')
    return /^[\w.:/@+-]+$/.test(value)
      ? shorten(value, VALUE_LENGTH)
      : shorten(JSON.stringify(value), VALUE_LENGTH);
  if (typeof value === 'object' && value !== null && 'message' in value)
    return shorten(JSON.stringify(value.message), VALUE_LENGTH * 2);
  return shorten(JSON.stringify(value), VALUE_LENGTH);
}
