/**
 * Keeps a process that runs for months small. V8 lets a heap grow to several times of what lives in it before it looks
 * for garbage; a controller of 10,000 objects makes much of it, so that 100 MB of objects became 600 MB of process.
 */
import { restartProcess } from './restart.ts';

/** A smaller nursery, and a heap that may grow by half before the next full collection. Measured: see `bench/controller.ts`. */
const FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=50'] as const;
/** Whoever sets one of these knows better. */
const HEAP_FLAG = /--(max-)?semi-space|--heap-growing/;

/** Starts this process again with the flags, which V8 reads only at its start. Returns where that is not possible, or done. */
export function keepHeapSmall(): void {
  const given = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''];
  if (process.execve === undefined || given.some((flags) => HEAP_FLAG.test(flags))) return;
  restartProcess(FLAGS);
}
