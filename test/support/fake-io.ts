/** The world as a command under test sees it: what it writes is kept, and nothing of the real environment gets in. */
import { readFileSync } from 'node:fs';
import { main } from '../../src/cli/main.ts';
import type { Io } from '../../src/cli/io.ts';
import { systemClock } from '../../src/runtime/clock.ts';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What was written to stdout, as JSON. */
  readonly json: () => unknown;
}

export interface FakeIoOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly isTerminal?: boolean;
  readonly readFile?: (path: string) => string;
}

export function fakeIo(options: FakeIoOptions = {}): {
  readonly io: Io;
  readonly stdout: () => string;
  readonly stderr: () => string;
} {
  let stdout = '';
  let stderr = '';
  const { environment = {}, cwd = process.cwd(), isTerminal = false } = options;
  const io: Io = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    environment,
    cwd,
    isTerminal,
    color: false,
    columns: () => undefined,
    clock: systemClock,
    readFile: options.readFile ?? ((path) => readFileSync(path, 'utf8')),
  };
  return { io, stdout: () => stdout, stderr: () => stderr };
}

/** Runs one command line in this process. */
export async function tidemill(args: readonly string[], options: FakeIoOptions = {}): Promise<CommandResult> {
  const { io, stdout, stderr } = fakeIo(options);
  const code = await main(args, io);
  return { code, stdout: stdout(), stderr: stderr(), json: () => JSON.parse(stdout()) as unknown };
}
