/** `npm run test:faults -- [ROW...] [--long] [--json] [--record] [--planted]`: injects faults into real parts and prints what came of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { printJson, progress } from '../../bench/lib/report.ts';
import { BuildCopy } from '../support/build-copy.ts';
import { ensureServers } from '../support/ensure-servers.ts';
import { writePage } from './page.ts';
import { readRecords, recordFigures } from './records.ts';
import { PLANTS, tryPlant } from './plants.ts';
import { ROWS } from './registry.ts';
import type { FaultRow, Figures, Outcome, Size } from './row.ts';

const HELP = `npm run test:faults -- [ROW...] [flags]

Breaks real processes, servers and connections, row by row of the fault matrix (docs/reference/faults.md), and prints
figures. Exit 1 when a promise was broken.

  ROW        numbers of rows (default: all that this suite injects)
  --long     at the sizes of the matrix: minutes a row, where the short form takes seconds
  --json     the last line is the result as one JSON object
  --record   keeps the figures for docs/reference/faults.md, and writes that page
  --planted  plants bugs in copies of the build instead, one at a time; exit 1 unless a row finds each
  --help     this text`;

/** Rows that mostly wait for leases and time-outs run beside each other; the others have the machine for themselves. */
const WAITING_AT_ONCE = 5;
/** Between the first rows of those, since each begins with processes that start, and a start is what costs a core. */
const STAGGER_MS = 2_000;
const PLANTS_AT_ONCE = 3;

export interface RowResult {
  readonly row: number;
  readonly size: Size;
  readonly seconds: number;
  readonly figures: Figures;
  readonly broken: readonly string[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    planted: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${HELP}\n`);
  process.exit(0);
}
const unknown = positionals.filter((word) => !ROWS.some(({ row }) => String(row) === word));
if (unknown.length > 0) {
  process.stderr.write(
    `no row ${unknown.join(', ')} here; this suite injects ${ROWS.map(({ row }) => row).join(', ')}\n`,
  );
  process.exit(64);
}
const size: Size = values.long ? 'long' : 'short';
const rows = ROWS.filter(({ row }) => positionals.length === 0 || positionals.includes(String(row)));

async function measured(row: FaultRow, build: BuildCopy): Promise<RowResult> {
  const startMs = performance.now();
  const { figures, broken } = await row.measure(size, { build }).catch((error: unknown): Outcome => ({
    figures: {},
    broken: [`the row failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`],
  }));
  const seconds = Math.round((performance.now() - startMs) / 100) / 10;
  const told = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  progress(
    `row ${row.row}, ${row.fault}: ${broken.length === 0 ? 'holds' : 'BROKEN'} (${seconds} s)\n  ${told.join(', ')}`,
  );
  for (const sentence of broken) progress(`  ${sentence}`);
  return { row: row.row, size, seconds, figures, broken };
}

/** Acts on each, so many at once, in their order. */
async function inTurns<T, R>(
  all: readonly T[],
  atOnce: number,
  act: (one: T) => Promise<R>,
): Promise<readonly R[]> {
  const waiting = [...all];
  const results: R[] = [];
  const lane = async (_: unknown, index: number): Promise<void> => {
    await sleep(index * STAGGER_MS);
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) results.push(await act(one));
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, lane));
  return results;
}

/** The longest first, by the last recorded run: else one that began last would be waited for alone. */
function longestFirst(chosen: readonly FaultRow[]): readonly FaultRow[] {
  const records = readRecords();
  const seconds = ({ row }: FaultRow): number => records[`${row} ${size}`]?.seconds ?? Infinity;
  return chosen.toSorted((left, right) => (seconds(left) < seconds(right) ? 1 : -1));
}

/** @returns how many bugs no row has found */
async function tryPlants(): Promise<number> {
  const results = await inTurns(PLANTS, PLANTS_AT_ONCE, tryPlant);
  for (const { bug, row, isFound, said } of results)
    progress(`${isFound ? 'found' : 'NOT FOUND'} by row ${row}: ${bug}\n  ${said.join('\n  ')}`);
  return results.filter(({ isFound }) => !isFound).length;
}

await ensureServers({ controlPlane: false, charts: false, cluster: false });
if (values.planted) process.exit((await tryPlants()) === 0 ? 0 : 1);
const startMs = performance.now();
using build = new BuildCopy();
const patient = rows.filter(({ waits }) => waits);
const busy = rows.filter(({ waits }) => !waits);
const results = [
  ...(await inTurns(longestFirst(patient), WAITING_AT_ONCE, (row) => measured(row, build))),
  ...(await inTurns(busy, 1, (row) => measured(row, build))),
].toSorted((left, right) => left.row - right.row);
const broken = results.filter((result) => result.broken.length > 0);
progress(
  `\n${results.length} rows in ${Math.round((performance.now() - startMs) / 1_000)} s, ${broken.length} broken${broken.map(({ row }) => ` ${row}`).join(',')}`,
);
if (values.record) {
  recordFigures(results);
  await writePage();
}
printJson(values.json, { size, rows: results });
process.exitCode = broken.length === 0 ? 0 : 1;
