/** How long to leave an API server alone after it failed. */

/** Never more than one retry a second, whatever goes wrong. */
const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 20_000;
/** A replica that waits up to half as long again does not return with the others. */
const JITTER = 0.5;
/** A server that asks for more is not obeyed: we would look dead for longer than an outage lasts. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Between 1 and 30 s, doubling with each failure in a row. @param failures - in a row, 1 for the first */
export function kubeBackoffMs(failures: number, random: () => number): number {
  const base = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 10));
  return base * (1 + JITTER * random());
}

/** What the server asks for with `Retry-After`: seconds, or an HTTP date. `undefined`: nothing, or nothing readable. */
export function retryAfterMs(headers: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const value = headers['retry-after']?.trim();
  if (value === undefined || value === '') return undefined;
  const askedMs = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - nowMs;
  return Number.isFinite(askedMs) ? Math.min(Math.max(askedMs, 0), LONGEST_RETRY_AFTER_MS) : undefined;
}
