/** Runs the loops of a process side by side: when one fails, the others are told to stop, and end before the failure is told. */
import type { Shutdown } from '../runtime/shutdown.ts';

export async function runTogether(
  shutdown: Pick<Shutdown, 'signal' | 'stop'>,
  loops: readonly ((signal: AbortSignal) => Promise<unknown>)[],
): Promise<void> {
  const { signal } = shutdown;
  const ends = loops.map(async (loop) => {
    try {
      await loop(signal);
    } catch (error) {
      shutdown.stop('failed');
      throw error;
    }
  });
  for (const end of await Promise.allSettled(ends)) if (end.status === 'rejected') throw end.reason;
}
