/** Spreads things evenly and always alike: the same text gives the same fraction in every process and every version. */

/**
 * A number from 0 up to, but not including, 1. Not for secrets.
 * FNV-1a over UTF-16 units, then the finaliser of MurmurHash3, since FNV alone leaves near texts near each other.
 */
export function stableFraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
