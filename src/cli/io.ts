/** Everything that a command sees of the world outside: streams, environment, folder and time. Tests hand in their own. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
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
  /** Throws when it cannot be read, is no file or pipe, or holds more than 1 MiB. */
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
    readFile: readBoundedFile,
  };
}

/** Settings, certificates and the list of queues are small: whatever is larger was named by mistake. */
const FILE_MAX_BYTES = 1_024 ** 2;

/**
 * A device such as /dev/full never comes to an end, and a process that reads it hangs without a word. Pipes are read, since a
 * shell hands secrets over as one: `<(vault read …)`.
 * @throws Error that says why, in words for after "cannot be read:"
 */
export function readBoundedFile(path: string): string {
  const file = openSync(path, 'r');
  try {
    const found = fstatSync(file);
    if (!found.isFile() && !found.isFIFO())
      throw new Error(`it is ${found.isDirectory() ? 'a folder' : 'a device or socket'}, and not a file`);
    const bytes = Buffer.alloc(FILE_MAX_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null);
    if (length > FILE_MAX_BYTES) throw new Error('it holds more than 1 MiB');
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(file);
  }
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
