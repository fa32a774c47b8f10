/** Shows why a command failed: to a person as sentences, with `--json` as one line that a program can read. */
import { messageOf, ProblemsError, TidemillError } from '../runtime/errors.ts';
import { escapeRisky, plainLines } from '../runtime/printable.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';
import { type Io, styled } from './io.ts';

export function reportError(error: unknown, io: Io, json: boolean): ExitCode {
  if (json) io.stderr.write(`${escapeRisky(JSON.stringify({ error: errorObject(error) }))}\n`);
  else io.stderr.write(`${styled(io, 'red', 'error:')} ${indented(plainLines(errorText(error)))}\n`);
  return error instanceof TidemillError ? exitCodeOf(error.code) : EXIT.failure;
}

/** A line break of somebody else's must not begin a line that looks like one of ours. */
const indented = (text: string): string => text.replaceAll(/\n(?!\s)/g, '\n  ');

function errorObject(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof TidemillError)) return { code: 'INTERNAL', message: messageOf(error) };
  const causes = causesOf(error);
  return {
    code: error.code,
    message: error.message,
    ...(error instanceof ProblemsError && { problems: error.problems }),
    ...(causes.length > 0 && { causes }),
  };
}

function errorText(error: unknown): string {
  if (error instanceof TidemillError) {
    const told = error.message;
    const causes = causesOf(error).filter((cause) => !told.includes(cause));
    return [told, ...causes.map((cause) => `  because: ${cause}`)].join('\n');
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${stack}\n  This is a defect in tidemill: please report it with the lines above.`;
}

/** Messages of the chain of causes. A chain that bites its own tail ends. */
function causesOf(error: Error): readonly string[] {
  const seen = new Set<unknown>([error]);
  const messages: string[] = [];
  for (
    let cause = error.cause;
    cause !== undefined && !seen.has(cause);
    cause = cause instanceof Error ? cause.cause : undefined
  ) {
    seen.add(cause);
    messages.push(messageOf(cause));
  }
  return messages;
}
