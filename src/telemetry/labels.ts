/** Keeps label values within a bounded set, whatever names arrive from outside. */

/** Stands for every value outside the set. */
export const OTHER = 'other';

/** A value of the known set as it is; any other as `other`. */
export function knownLabels(known: Iterable<string>): (value: string) => string {
  const set = new Set(known);
  return (value) => (set.has(value) ? value : OTHER);
}

/** The first `max` distinct values as they are, further ones as `other`: for sets that are small but not known at start. */
export function firstLabels(max: number): (value: string) => string {
  const seen = new Set<string>();
  return (value) => {
    if (seen.has(value)) return value;
    if (seen.size >= max) return OTHER;
    seen.add(value);
    return value;
  };
}
