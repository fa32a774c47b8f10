/** Writes answers for programs: one JSON document, or one object a line. */
import type { Io } from './io.ts';

/** One JSON document, on one line when it goes to a program. */
export function writeJson({ stdout, isTerminal }: Pick<Io, 'stdout' | 'isTerminal'>, value: unknown): void {
  stdout.write(`${JSON.stringify(value, undefined, isTerminal ? 2 : undefined)}\n`);
}
