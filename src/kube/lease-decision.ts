/**
 * Who may hold a Lease: the rules of client-go's leader election, as pure decisions. How old a Lease is is told by how long
 * it has not changed before our own eyes, never by the times written in it: clocks differ. It is no fence: a former
 * holder may act for a while, which whatever it acts on must bear.
 */

/** What a Lease says. */
export interface LeaseRecord {
  /** Empty: nobody. */
  readonly holder: string;
  readonly leaseMs: number;
  /** How often it went from one holder to another. */
  readonly transitions: number;
}

/** A Lease as it was read or written. */
export interface LeaseSnapshot extends LeaseRecord {
  /** Changes with every write, and is what a write is guarded by. */
  readonly version: string;
}

export interface Observation {
  readonly lease: LeaseSnapshot;
  /** Monotonic: when this version was first seen here. */
  readonly sinceMs: number;
}

export type LeaseDecision =
  | { readonly kind: 'wait' } // another one holds it
  | { readonly kind: 'renew'; readonly record: LeaseRecord } // it is ours
  | { readonly kind: 'take'; readonly record: LeaseRecord }; // nobody's, or its holder has not renewed it in time

/** A version that was seen before keeps the time at which it was first seen. */
export function observe(before: Observation | undefined, lease: LeaseSnapshot, nowMs: number): Observation {
  return before?.lease.version === lease.version ? before : { lease, sinceMs: nowMs };
}

/** @param observed - `undefined`: there is no Lease. @param leaseMs - for how long we ask. @param nowMs - monotonic */
export function decide(
  observed: Observation | undefined,
  identity: string,
  leaseMs: number,
  nowMs: number,
): LeaseDecision {
  if (observed === undefined) return { kind: 'take', record: { holder: identity, leaseMs, transitions: 0 } };
  const { lease, sinceMs } = observed;
  if (lease.holder === identity) {
    return { kind: 'renew', record: { holder: identity, leaseMs, transitions: lease.transitions } };
  }
  // Its own duration counts, not ours: a holder with a longer one renews more seldom, and one that left has set it short.
  if (lease.holder !== '' && nowMs < sinceMs + lease.leaseMs) return { kind: 'wait' };
  return { kind: 'take', record: { holder: identity, leaseMs, transitions: lease.transitions + 1 } };
}

/** What the holder leaves behind when it goes, so that the next one need not wait. */
export function released({ transitions }: LeaseRecord): LeaseRecord {
  return { holder: '', leaseMs: RELEASED_LEASE_MS, transitions };
}
/** The shortest that a Lease can say. */
const RELEASED_LEASE_MS = 1_000;
