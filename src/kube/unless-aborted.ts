/** Waiting for an answer no longer than one is wanted. */

/**
 * The work's own outcome, unless the signal aborts first: then its reason is thrown, and what becomes of the work is nobody's
 * concern any more. It is not ended by this: closing the connection does that.
 */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => {
    aborted.reject(signal.reason);
  };
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
