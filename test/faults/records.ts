/** Figures of measured runs, kept in `docs/reference/faults.json`: the page is made from these and from nothing else. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

export const RECORDS = join(import.meta.dirname, '../../docs/reference/faults.json');

const Recorded = z.strictObject({
  size: z.enum(['short', 'long']),
  seconds: z.number(),
  figures: z.record(z.string(), z.number()),
});
const Records = z.record(z.string(), Recorded);
export type Records = z.infer<typeof Records>;

export function readRecords(): Records {
  return Records.parse(JSON.parse(readFileSync(RECORDS, 'utf8')));
}

interface Result extends z.infer<typeof Recorded> {
  readonly row: number;
  readonly broken: readonly string[];
}

/** Keeps what held; of a row that was broken the earlier figures stay, and the run has failed anyway. */
export function recordFigures(results: readonly Result[]): void {
  const kept = readRecords();
  for (const { row, size, seconds, figures, broken } of results)
    if (broken.length === 0) kept[`${row} ${size}`] = { size, seconds, figures };
  const sorted = Object.entries(kept).toSorted(([left], [right]) =>
    left.localeCompare(right, 'en', { numeric: true }),
  );
  writeFileSync(RECORDS, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
}
