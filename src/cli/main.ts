/** The command `tidemill`: puts the commands together and turns whatever they end with into an exit code. */
import { Command, CommanderError } from 'commander';
import type { Surroundings } from './command.ts';
import { addCommands, calledBy, type Whole } from './commands.ts';
import { EXIT, EXIT_MEANINGS, type ExitCode } from './exit-codes.ts';
import { type Io, processIo } from './io.ts';
import { reportError } from './report-error.ts';
import { VERSION_LINE } from './version.ts';

export type CreateProgram = (surroundings: Surroundings, whole: Whole) => Command | Promise<Command>;

/** Runs one command line. Rejects only where the command cannot be loaded: the install is broken. */
export async function main(
  argv: readonly string[],
  io: Io,
  create: CreateProgram = createProgram,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const done = (result: ExitCode): void => {
    code = result;
  };
  const program = await create({ io, done }, calledBy(argv));
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    // Commander has printed its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return reportError(error, io, argv.includes('--json'));
  }
}

/** @param whole - the commands that can be called; default: all */
export async function createProgram(surroundings: Surroundings, whole: Whole = () => true): Promise<Command> {
  const program = newProgram(surroundings.io, {
    name: 'tidemill',
    description: 'Kubernetes-native scheduler and task queue in TypeScript, on Redis.',
    example: 'tidemill dev schedules/ --tasks src/tasks.ts',
  });
  await addCommands(program, surroundings, whole);
  return program;
}

/** A program without commands yet. */
export function newProgram(
  { stdout, stderr, columns, color }: Io,
  {
    name,
    description,
    example,
  }: { readonly name: string; readonly description: string; readonly example: string },
): Command {
  return new Command(name)
    .description(description)
    .version(VERSION_LINE, '-V, --version', 'print version, commit and Node')
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => Math.min(columns() ?? 100, 120),
      getErrHelpWidth: () => Math.min(columns() ?? 100, 120),
      getOutHasColors: () => color,
      getErrHasColors: () => color,
    })
    .showHelpAfterError('(add --help for what is possible)')
    .exitOverride()
    .addHelpText(
      'after',
      `\nExit codes:\n${EXIT_MEANINGS.map(({ code, meaning }) => `  ${String(code).padEnd(3)} ${meaning}\n`).join('')}` +
        `\nExample:\n  $ ${example}\n`,
    );
}

/** What the binaries call. Ends the process. */
export async function runProcess(create: CreateProgram = createProgram): Promise<void> {
  // A reader such as `head` that has seen enough closes the pipe: that is no failure of ours.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  const code = await main(process.argv.slice(2), processIo(), create);
  // Not left to an empty event loop: a task that ignores its signal, or forgot a timer or a socket, would keep the process.
  await Promise.all([process.stdout, process.stderr].map(written));
  process.exit(code);
}

/** Resolves when what was written before has left, or cannot leave any more. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}
