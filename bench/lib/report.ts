/** What a bench prints: a table for people and, as its last line, a JSON object for scripts. */

export type Cell = string | number;

/** The first column to the left, numbers to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const cells = [head, ...rows.map((row) => row.map(shown))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  for (const row of cells) {
    const line = widths.map((width, column) =>
      column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width),
    );
    console.log(line.join('  ').trimEnd());
  }
}

function shown(cell: Cell): string {
  return typeof cell === 'number' ? cell.toLocaleString('en-GB', { maximumFractionDigits: 2 }) : cell;
}

export function printJson(wanted: boolean, result: object): void {
  if (wanted) console.log(JSON.stringify(result));
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Rounded to so many digits that a reader can compare, and no more. */
export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
