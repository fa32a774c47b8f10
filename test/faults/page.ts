/** Makes `docs/reference/faults.md` from the rows and the recorded figures. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { ROWS_ELSEWHERE, ROWS_OPEN } from './elsewhere.ts';
import { readRecords, type Records } from './records.ts';
import { ROWS } from './registry.ts';
import type { FaultRow, Figures, RowElsewhere } from './row.ts';
import { readSoak } from '../soak/record.ts';

export const PAGE = join(import.meta.dirname, '../../docs/reference/faults.md');

const HEAD = `# What is broken on purpose, and what came of it

This page says which faults are injected into real processes, servers and connections, what is promised then, and which
figures the last recorded run gave. It is written by \`npm run test:faults -- --record\`, from measurements alone.

\`\`\`sh
npm run test:faults                # the short form of every row
npm run test:faults -- 5 26        # two rows
npm run test:faults -- 1 --long    # a row at its full size
npm run soak -- --minutes 30       # all of it at random, under mixed load
\`\`\`

The numbers of the rows are those of our fault matrix. Leases have their default length of 10 s. Row 19 mounts a small disk
and wants root. A figure that stands under "long" was measured at the full size; where there is none, only the short form was
recorded.

Both builds of row 44 are made from the present tree, since there is no release before it: one is changed to be a later version.
They run on one Node, so on one edition of the time zones. Of row 16, Redis 8.4 and Valkey 9 can move a slot as a whole; that was not
tried. Row 36 edits what Redis holds instead of waiting six hours.
`;

const cell = (text: string): string => text.replaceAll('|', '\\|');

function told(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value.toLocaleString('en-GB')}`)
    .join(', ');
}

function figuresOf(records: Records, { row }: FaultRow): string {
  const sizes = (['short', 'long'] as const).flatMap((size) => {
    const record = records[`${row} ${size}`];
    if (record === undefined) return [];
    return [`**${size}**, ${record.seconds} s: ${told(record.figures)}`];
  });
  return sizes.length === 0 ? 'not recorded yet' : sizes.join('<br>');
}

function rowOf(records: Records, row: FaultRow): string {
  const cells = [
    String(row.row),
    row.fault,
    row.injection,
    row.promise,
    figuresOf(records, row),
    `\`npm run test:faults -- ${row.row}\``,
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

function rowElsewhere({ row, fault, injection, promise, tests }: RowElsewhere): string {
  const named = tests.map(({ file, title }) => `[${title}](../../${file})`).join('<br>');
  return `| ${[String(row), fault, injection, promise, named].map(cell).join(' | ')} |`;
}

export async function renderPage(): Promise<string> {
  const records = readRecords();
  const { seed, minutes, ...soak } = readSoak();
  const text = [
    HEAD,
    '## Injected by this suite\n',
    '| row | fault | injection | promise | figures | command |',
    '| --- | --- | --- | --- | --- | --- |',
    ...ROWS.map((row) => rowOf(records, row)),
    '\n## Injected by other tests\n',
    '| row | fault | injection | promise | tests |',
    '| --- | --- | --- | --- | --- |',
    ...ROWS_ELSEWHERE.map(rowElsewhere),
    '\n## Not injected by a test\n',
    '| row | fault | what there is |',
    '| --- | --- | --- |',
    ...ROWS_OPEN.map(({ row, fault, why }) => `| ${[String(row), fault, why].map(cell).join(' | ')} |`),
    '\n## The last soak\n',
    `Row 47: \`npm run soak -- --minutes ${minutes} --seed ${seed} --record\` gave ${told(soak)}.`,
    '',
  ].join('\n');
  return format(text, { ...(await resolveConfig(PAGE)), parser: 'markdown' });
}

export async function writePage(): Promise<void> {
  writeFileSync(PAGE, await renderPage());
}

if (import.meta.main) await writePage();
