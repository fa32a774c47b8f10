/** `npm run simulate`: many seeds, or one again. */
import { parseArgs } from 'node:util';
import { plantBug } from './plant.ts';
import { PLANTED } from './planted.ts';

const HELP = `npm run simulate -- [flags]

Plays an installation on a virtual clock in which everything fails. Exit 1 when a promise was broken.

  --seeds N     how many (default 1000), from --from (default 1) on
  --seed N      this one; prints what was done, and what is left of it when all is left out that does not matter
  --plant NAME  with that rule of ours switched off: --plant list names them
  --json        the last line is the result as one JSON object
  --help        this text`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    plant: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(`${HELP}\n`);
} else if (values.plant === 'list') {
  for (const { name, what } of PLANTED) process.stdout.write(`${name.padEnd(28)} ${what}\n`);
} else {
  if (values.plant !== undefined) plantBug(values.plant);
  // Loaded after the bug is planted, in what it loads.
  const { runSeeds, showSeed } = await import('./report.ts');
  const hasFailed =
    values.seed === undefined
      ? await runSeeds({
          from: Number(values.from),
          seeds: Number(values.seeds),
          json: values.json,
          ...(values.plant !== undefined && { plant: values.plant }),
        })
      : await showSeed(Number(values.seed), values.plant);
  process.exitCode = hasFailed ? 1 : 0;
}
