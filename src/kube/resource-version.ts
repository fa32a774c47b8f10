/** Versions of objects and lists. They are opaque by contract, but comparable as decimal numbers on every server that stores in etcd. */

const DECIMAL = /^\d{1,20}$/;

/** Whether `left` is surely older than `right`; false also when they cannot be compared. */
export function isOlder(left: string | undefined, right: string | undefined): boolean {
  if (left === undefined || right === undefined || !DECIMAL.test(left) || !DECIMAL.test(right)) return false;
  return BigInt(left) < BigInt(right);
}
