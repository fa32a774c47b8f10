/** Where the events and the log of `dev` go: lines for a person, or JSON for a program; counted either way. */
import { type DevEvent, type Tell } from './events.ts';
import { createLog, type Log, type LogLevel } from '../../telemetry/log.ts';
import type { Io } from '../io.ts';
import { prettyLogLine } from './pretty-log.ts';
import { renderEvent } from './render.ts';
import { Screen } from './screen.ts';
import { Tally } from './tally.ts';

export class DevConsole implements Disposable {
  readonly log: Log;
  readonly tally = new Tally();
  readonly #io: Io;
  readonly #screen: Screen | undefined;

  constructor({ io, json, level }: { readonly io: Io; readonly json: boolean; readonly level: LogLevel }) {
    this.#io = io;
    this.#screen = json ? undefined : new Screen(io);
    this.log = createLog({ level, clock: io.clock, destination: { write: (line) => this.#logLine(line) } });
  }

  /** Shows this text at the bottom of a terminal from now on. */
  watch(status: () => string): void {
    this.#screen?.watch(status);
  }

  readonly tell: Tell = (event) => {
    this.tally.add(event);
    this.#write(this.#screen === undefined ? jsonLine(event) : renderEvent(event, this.#io));
  };

  /** Ends the bottom line and says what was seen. */
  summarise(sinceMs: number): void {
    this.#screen?.[Symbol.dispose]();
    const { tasks, schedules } = this.tally;
    if (this.#screen === undefined)
      this.#write(
        `${JSON.stringify({ event: 'summary', durationMs: this.#io.clock.now() - sinceMs, tasks, schedules })}\n`,
      );
    else this.#write(`\n${this.tally.render()}`);
  }

  [Symbol.dispose](): void {
    this.#screen?.[Symbol.dispose]();
  }

  #logLine(line: string): void {
    const shown = this.#screen === undefined ? line : prettyLogLine(line, this.#io);
    if (shown !== undefined) this.#write(shown);
  }

  #write(text: string): void {
    if (this.#screen === undefined) this.#io.stdout.write(text);
    else this.#screen.line(text);
  }
}

/** Instants as ISO texts, as everywhere in our JSON. */
function jsonLine({ atMs, ...event }: DevEvent): string {
  const fields = Object.entries(event).map(
    ([name, value]: readonly [string, unknown]): readonly [string, unknown] => {
      const isInstant =
        name.endsWith('Ms') &&
        name !== 'durationMs' &&
        name !== 'delayMs' &&
        name !== 'lagMs' &&
        name !== 'retryInMs';
      return isInstant && typeof value === 'number'
        ? [name.slice(0, -2), new Date(value).toISOString()]
        : [name, value];
    },
  );
  return `${JSON.stringify({ time: new Date(atMs).toISOString(), ...Object.fromEntries(fields) })}\n`;
}
