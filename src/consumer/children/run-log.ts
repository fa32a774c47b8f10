/** The log of one run inside a child: records travel to the parent, up to a limit that a loop cannot get past. */
import type { TaskLog } from '../../task/define-task.ts';
import { textOf } from '../../task/thrown.ts';
import { loggableFields, loggableText } from '../../telemetry/log-fields.ts';
import { MAX_LOG_BYTES, MAX_LOG_RECORDS } from './log-limits.ts';
import type { ChildMessage } from './protocol.ts';

type Fields = Readonly<Record<string, unknown>>;
type Level = Extract<ChildMessage, { type: 'log' }>['level'];

export class RunLog implements TaskLog {
  readonly #run: number;
  readonly #send: (message: ChildMessage) => unknown;
  #records = 0;
  #bytes = 0;
  #dropped = 0;

  /** @param run - number of the run; 0 for what belongs to none */
  constructor(run: number, send: (message: ChildMessage) => unknown) {
    this.#run = run;
    this.#send = send;
  }

  /** Records that were over the limit. */
  get dropped(): number {
    return this.#dropped;
  }

  debug(message: string, fields?: Fields): void {
    this.#write('debug', message, fields);
  }

  info(message: string, fields?: Fields): void {
    this.#write('info', message, fields);
  }

  warn(message: string, fields?: Fields): void {
    this.#write('warn', message, fields);
  }

  error(message: string, fields?: Fields): void {
    this.#write('error', message, fields);
  }

  #write(level: Level, message: unknown, fields: Fields | undefined): void {
    if (this.#records >= MAX_LOG_RECORDS || this.#bytes >= MAX_LOG_BYTES) {
      this.#dropped += 1;
      return;
    }
    const text = loggableText(textOf(message)); // authors in plain JavaScript log what they like
    // Made plain here: a function among the fields cannot be sent, and must not be what fails the run.
    const plain = fields === undefined ? undefined : loggableFields(fields);
    this.#records += 1;
    this.#bytes += text.length + (plain === undefined ? 0 : JSON.stringify(plain).length);
    this.#send({
      type: 'log',
      run: this.#run,
      level,
      message: text,
      ...(plain !== undefined && { fields: plain }),
    });
  }
}
