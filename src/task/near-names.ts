/** Finds the names that a mistyped one probably meant, for the messages of unknown tasks, options and params. */

/** Longer inputs are no typing mistakes, and comparing them would cost time that an attacker chooses. */
const LONGEST_COMPARED = 128;
const MOST_SHOWN = 3;

/** The known names within a few typing mistakes of `wanted`, nearest first, at most three. */
export function nearNames(wanted: string, known: Iterable<string>): readonly string[] {
  if (wanted.length > LONGEST_COMPARED) return [];
  const reach = Math.max(1, Math.floor(wanted.length / 3));
  return [...known]
    .filter((name) => Math.abs(name.length - wanted.length) <= reach)
    .map((name) => ({ name, distance: editDistance(wanted, name) }))
    .filter(({ distance }) => distance <= reach)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, MOST_SHOWN)
    .map(({ name }) => name);
}

/** ` (did you mean a or b?)`, or nothing when no name is near. */
export function didYouMean(wanted: string, known: Iterable<string>): string {
  const near = nearNames(wanted, known);
  return near.length === 0 ? '' : ` (did you mean ${near.join(' or ')}?)`;
}

/** Single-character insertions, deletions and replacements between two texts (Levenshtein). */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = at(previous, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, at(previous, column) + 1, at(current, column - 1) + 1));
    }
    previous = current;
  }
  return at(previous, b.length);
}

const at = (row: readonly number[], column: number): number => row[column] ?? 0;
