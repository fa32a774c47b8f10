/** Values as the API server takes them: times in RFC 3339; and whether two are the same. */
/** Years 0 to 9999: what RFC 3339 can write. */
const EARLIEST_MS = Date.parse('0000-01-01T00:00:00Z');
const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** With milliseconds only where there are any; `undefined` for an instant that cannot be written. */
export function rfc3339(ms: number | undefined): string | undefined {
  if (ms === undefined || !(ms >= EARLIEST_MS && ms <= LATEST_MS)) return undefined;
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** To the second, as Kubernetes itself writes the times of conditions. */
export function seconds(ms: number): string {
  return rfc3339(Math.floor(ms / 1_000) * 1_000) ?? '1970-01-01T00:00:00Z';
}

export function millisOf(time: string | undefined): number | undefined {
  const ms = time === undefined ? NaN : Date.parse(time);
  return Number.isFinite(ms) ? ms : undefined;
}

export function laterTime(known: string | undefined, ms: number | undefined): string | undefined {
  const knownMs = millisOf(known);
  if (knownMs !== undefined && !(ms !== undefined && ms > knownMs)) return known;
  return rfc3339(ms) ?? known;
}

/** Whether two values are the same JSON; a field that is undefined is an absent one. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right))
    return left.length === right.length && left.every((item, index) => sameJson(item, right[index]));
  if (!isRecord(left) || !isRecord(right)) return left === right;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => sameJson(left[name], right[name]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
