/** `npm run fuzz`: throws a million inputs at each parser, or at those that are named. */
import { parseArgs } from 'node:util';
import { fuzz, inputAt, reportText } from './fuzz.ts';
import { TARGETS } from './targets.ts';

const DEFAULT_INPUTS = 1_000_000;
const HELP = `npm run fuzz -- [NAME...] [flags]

Throws inputs at parsers and looks for crashes, slow answers and what leaks. Exit 1 with any finding.

  NAME           ${TARGETS.map(({ name }) => name).join(', ')} (default: all)
  --inputs N     how many for each (default ${DEFAULT_INPUTS}; a million manifests take a quarter of an hour)
  --seed S       what is drawn (default: a new one, which is printed)
  --at INDEX     shows one input again, as a finding names it
  --help         this text`;

/** Told in between: a million manifests take a quarter of an hour. */
const REPORTED_EVERY = 100_000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ inputs: { type: 'string' }, seed: { type: 'string' }, at: { type: 'string' } },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${HELP}\n`);
  process.exit(0);
}

function wholeNumber(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`--${name} must be a whole number, not ${JSON.stringify(text)}`);
}

const inputs = wholeNumber('inputs', values.inputs, DEFAULT_INPUTS);
const seed = wholeNumber('seed', values.seed, Math.floor(Math.random() * 2 ** 31));
const unknown = positionals.find((word) => TARGETS.every(({ name }) => name !== word));
if (unknown !== undefined) {
  throw new Error(
    `no fuzzer is named ${JSON.stringify(unknown)}: there are ${TARGETS.map(({ name }) => name).join(', ')}`,
  );
}

for (const target of TARGETS) {
  if (positionals.length > 0 && !positionals.includes(target.name)) continue;
  if (values.at !== undefined) {
    const from = wholeNumber('at', values.at, 0);
    process.stdout.write(`${JSON.stringify(inputAt(target, seed, from))}\n`);
    const report = fuzz(target, { seed, inputs: 1, from });
    process.stdout.write(`${reportText(report)}\n`);
    if (report.findings.length > 0) process.exitCode = 1;
    continue;
  }
  const startMs = performance.now();
  for (let from = 0; from < inputs; from += REPORTED_EVERY) {
    const report = fuzz(target, { seed, inputs: Math.min(REPORTED_EVERY, inputs - from), from });
    const tookS = Math.round((performance.now() - startMs) / 1_000);
    process.stdout.write(`${reportText(report)}, ${tookS} s\n`);
    if (report.findings.length === 0) continue;
    process.exitCode = 1;
    break;
  }
}
