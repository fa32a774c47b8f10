/** Everything that a command sees of the world outside: streams, environment, folder and time. Tests hand in their own. */
import { readFileSync } from 'node:fs';
import { styleText } from 'node:util';
import { type Clock, systemClock } from '../runtime/clock.ts';

export interface Io {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Whether a person is likely to read stdout. */
  readonly isTerminal: boolean;
  readonly color: boolean;
  /** Width of the terminal; `undefined` where there is none: then nothing is cut. */
  readonly columns: () => number | undefined;
  readonly clock: Clock;
  readonly readFile: (path: string) => string;
}

export function processIo(): Io {
  const isTerminal = process.stdout.isTTY;
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    cwd: process.cwd(),
    isTerminal,
    color: wantsColor(process.env, isTerminal),
    columns: () => (process.stdout.isTTY ? process.stdout.columns : undefined),
    clock: systemClock,
    readFile: (path) => readFileSync(path, 'utf8'),
  };
}

/** NO_COLOR and FORCE_COLOR as https://no-color.org has them. */
function wantsColor(environment: Io['environment'], isTerminal: boolean): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false;
  const forced = environment['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0';
  return isTerminal && environment['TERM'] !== 'dumb';
}

export type Style = Parameters<typeof styleText>[0];

export function styled({ color }: Pick<Io, 'color'>, style: Style, text: string): string {
  return color ? styleText(style, text, { validateStream: false }) : text;
}
