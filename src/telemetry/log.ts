/** The log of a process: one JSON object a line, constant messages, values as fields. The only file that knows pino. */
import { pino, type Logger } from 'pino';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { escapeRisky } from '../runtime/printable.ts';
import type { TaskLog } from '../task/define-task.ts';
import { textOf } from '../task/thrown.ts';
import { type LogFields, loggableFields, loggableText } from './log-fields.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Messages are constants in lower case; what varies goes into fields. An error goes into the field `err`. */
export interface Log extends TaskLog {
  /** A log with these fields on every line. They cannot be overwritten: a field of the same name gets a `_` behind it. */
  child(fields: LogFields): Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** Gets whole lines, each ending in a newline. */
  readonly destination: { write(line: string): unknown };
  readonly clock?: Pick<Clock, 'now'>;
}

type Severity = Exclude<LogLevel, 'silent'>;

/** What every line has of its own. */
const LINE_FIELDS: ReadonlySet<string> = new Set(['level', 'time', 'msg']);

class PinoLog implements Log {
  readonly #logger: Logger;
  /** Names that a caller's field may not take. */
  readonly #taken: ReadonlySet<string>;

  constructor(logger: Logger, taken: ReadonlySet<string>) {
    this.#logger = logger;
    this.#taken = taken;
  }

  debug(message: string, fields?: LogFields): void {
    this.#write('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields);
  }

  child(fields: LogFields): Log {
    const bound = this.#renamed(loggableFields(fields));
    return new PinoLog(this.#logger.child(bound), new Set([...this.#taken, ...Object.keys(bound)]));
  }

  #write(severity: Severity, message: unknown, fields: LogFields | undefined): void {
    if (!this.#logger.isLevelEnabled(severity)) return;
    const text = loggableText(textOf(message)); // authors in plain JavaScript log what they like
    if (fields === undefined) this.#logger[severity](text);
    else this.#logger[severity](this.#renamed(loggableFields(fields)), text);
  }

  #renamed(fields: Record<string, unknown>): Record<string, unknown> {
    if (!Object.keys(fields).some((name) => this.#taken.has(name))) return fields;
    return Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [this.#taken.has(name) ? `${name}_` : name, value]),
    );
  }
}

/** Starts a log. Lines look like `{"level":"info","time":"2026-…Z","msg":"run finished","task":"fetch-data"}`. */
export function createLog({ level, destination, clock = systemClock }: LogOptions): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Errors are already plain objects when they get here.
      serializers: { err: (value: unknown) => value },
    },
    { write: (line: string) => void destination.write(escapeRisky(line)) },
  );
  return new PinoLog(logger, LINE_FIELDS);
}

/** Says nothing. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
