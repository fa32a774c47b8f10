/** Replaces this process by a fresh one of the same command line: same process id, same terminal, nothing left of the old. */
import { TidemillError } from '../runtime/errors.ts';

/**
 * A module that was imported once cannot be imported anew with all that it imports, and a supervisor with a child would
 * have to pass signals and the terminal on. `execve` does neither: the operating system swaps the program.
 *
 * @param nodeFlags - for the new one, beside those of this one
 * @throws TidemillError INTERNAL where the platform cannot do that
 */
export function restartProcess(nodeFlags: readonly string[] = []): never {
  if (process.execve === undefined) {
    throw new TidemillError(
      'INTERNAL',
      'this platform cannot replace a process: start tidemill dev again, with --no-watch',
    );
  }
  const [node = process.execPath, script = '', ...args] = process.argv;
  return process.execve(node, [node, ...process.execArgv, ...nodeFlags, script, ...args], process.env);
}
