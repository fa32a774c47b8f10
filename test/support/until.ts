/** Waiting for a condition that no signal announces: looked at often, with a deadline, never a fixed sleep. */
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 50;

/**
 * @returns the first value that is neither `false` nor `undefined`
 * @throws Error with `what` and the last thing that was seen, at the deadline
 */
export async function until<T>(
  what: string,
  look: () => T | false | undefined | Promise<T | false | undefined>,
  {
    deadlineMs = 30_000,
    describe = () => '',
  }: { readonly deadlineMs?: number; readonly describe?: () => string } = {},
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  while (performance.now() < endMs) {
    const value = await look();
    if (value !== false && value !== undefined) return value;
    await delay(LOOK_EVERY_MS);
  }
  throw new Error(`not within ${deadlineMs} ms: ${what} ${describe()}`.trim());
}
