/** Aligns rows under headings. Cells are foreign text: they are made harmless here. */
import { printable } from './format.ts';

export interface Column<Row> {
  readonly heading: string;
  readonly cell: (row: Row) => string | number | undefined;
  /** Numbers read better on the right. */
  readonly align?: 'left' | 'right';
}

const GAP = '  ';
const GRAPHEMES = new Intl.Segmenter();

/** Lines without trailing blanks, ending in a newline. Missing cells are shown as `-`. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [
    columns.map(({ heading }) => heading),
    ...rows.map((row) => columns.map(({ cell }) => printable(String(cell(row) ?? '-')))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => widthOf(line[index] ?? ''))));
  return cells
    .map((line) => {
      const padded = line.map((text, index) =>
        pad(text, widths[index] ?? 0, columns[index]?.align ?? 'left'),
      );
      return `${padded.join(GAP).trimEnd()}\n`;
    })
    .join('');
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'right' ? blanks + text : text + blanks;
}

function widthOf(text: string): number {
  // Segmenting costs 100 times what counting does, and nearly all cells are ASCII.
  return /^[\x20-\x7e]*$/.test(text) ? text.length : [...GRAPHEMES.segment(text)].length;
}
