/**
 * Runs the benches one after the other, and compares with an earlier run: before a release.
 *
 *   npm run bench -- [queue latency ticks cpu memory start] [--save FILE] [--compare FILE] [--tolerance 0.25]
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { BENCHES, comparable, type Compared, worseBy } from './lib/compared.ts';
import { printTable, progress, rounded } from './lib/report.ts';

const HELP = `npm run bench -- [${BENCHES.join(' ')}] [flags]

Runs the benches that are named, or all, and prints how we do beside the peers of the same run.

  --save FILE        writes the ratios to FILE
  --compare FILE     compares with the ratios in FILE; exit 1 when one is worse by more than the tolerance
  --tolerance SHARE  how much worse a ratio may be (default 0.25, since a shared machine is noisy)
  --help             this text`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    save: { type: 'string' },
    compare: { type: 'string' },
    tolerance: { type: 'string', default: '0.25' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const tolerance = Number(values.tolerance);
const unknown = positionals.filter((name) => !BENCHES.includes(name));
if (unknown.length > 0 || !(tolerance >= 0)) {
  process.stderr.write(
    `not understood: ${unknown.join(' ') || `--tolerance ${values.tolerance}`}\n\n${HELP}\n`,
  );
  process.exit(64);
}

const Saved = z.object({
  ratios: z.record(z.string(), z.object({ value: z.number(), better: z.enum(['higher', 'lower']) })),
});
// Read before anything runs: a wrong path should not cost ten minutes.
const before = values.compare === undefined ? undefined : readSaved(values.compare);

const ratios: Record<string, Compared> = {};
for (const bench of positionals.length > 0 ? positionals : BENCHES) {
  progress(`\n${bench}`);
  Object.assign(ratios, comparable(bench, await resultOf(bench)));
}

console.log('');
const rows = Object.entries(ratios).map(([name, now]) => {
  const earlier = before?.[name];
  const worse = earlier === undefined ? 0 : worseBy(earlier, now);
  return {
    isWorse: worse > tolerance,
    cells: [
      name,
      rounded(now.value, 3),
      now.better,
      earlier === undefined ? '' : rounded(earlier.value, 3),
      verdict(worse, earlier),
    ],
  };
});
printTable(
  ['', 'now', 'better is', 'before', ''],
  rows.map(({ cells }) => cells),
);
if (values.save !== undefined) {
  writeFileSync(values.save, `${JSON.stringify({ node: process.version, ratios }, null, 2)}\n`);
  progress(`written to ${values.save}`);
}
if (rows.some(({ isWorse }) => isWorse)) process.exitCode = 1;

function verdict(worse: number, earlier: Compared | undefined): string {
  if (earlier === undefined) return before === undefined ? '' : 'new';
  if (worse > tolerance) return `WORSE by ${(worse * 100).toFixed(0)} %`;
  return worse > 0 ? `within tolerance (${(worse * 100).toFixed(0)} % worse)` : 'as good or better';
}

function readSaved(file: string): z.output<typeof Saved>['ratios'] {
  try {
    return Saved.parse(JSON.parse(readFileSync(file, 'utf8'))).ratios;
  } catch (error) {
    process.stderr.write(`${file} holds no saved ratios (write them with --save): ${String(error)}\n`);
    process.exit(66);
  }
}

/** Its table goes to our stdout; the last line is the result. */
async function resultOf(bench: string): Promise<unknown> {
  const child = spawn(process.execPath, [join(import.meta.dirname, `${bench}.ts`), '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  let last: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (last !== undefined) console.log(last);
    last = line;
  }
  const code = await ended;
  if (code !== 0 || last === undefined)
    throw new Error(`bench ${bench} ended with exit code ${String(code)}`);
  return JSON.parse(last);
}
