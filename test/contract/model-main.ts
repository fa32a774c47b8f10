/** `npm run model`: the memory broker beside a real Redis and a real Valkey, at length. */
import { parseArgs } from 'node:util';
import { ensureServers } from '../support/ensure-servers.ts';
import { seedFromEnvironment } from '../support/random.ts';
import { findServers } from '../support/servers.ts';
import { PLANTED_SCRIPTS, plantScript } from './planted-lua.ts';

const HELP = `npm run model -- [flags]

Puts random operations to the queue in memory and to real servers, and compares every answer. Exit 1 when they differ.

  --steps N      operations on each server (default 100000), half of them of each kind of plan
  --server NAME  redis or valkey only
  --seed N       repeats what a failure printed
  --most N       longest plan (default 300)
  --whole        shows a failing plan as it was drawn
  --plant NAME   with that rule of the scripts switched off: --plant list names them
  --help         this text`;

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '100000' },
    server: { type: 'string' },
    seed: { type: 'string' },
    most: { type: 'string', default: '300' },
    plant: { type: 'string' },
    whole: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const print = (line: string): void => void process.stdout.write(`${line}\n`);

if (values.help) {
  print(HELP);
} else if (values.plant === 'list') {
  for (const { name, what } of PLANTED_SCRIPTS) print(`${name.padEnd(28)} ${what}`);
} else {
  if (values.plant !== undefined) plantScript(values.plant);
  process.exitCode = (await compareAll()) ? 0 : 1;
}

/** @returns whether they decide alike */
async function compareAll(): Promise<boolean> {
  await ensureServers({ controlPlane: false, charts: false, cluster: false });
  // Loaded after the bug is planted, in what it loads.
  const { runModel } = await import('./model-compare.ts');
  const seed = values.seed === undefined ? seedFromEnvironment() : Number(values.seed);
  const servers = findServers().servers.filter(
    ({ name }) => values.server === undefined || name === values.server,
  );
  for (const { name, version, binary } of servers) {
    for (const kind of ['order', 'cancel'] as const) {
      const startedMs = performance.now();
      try {
        const { plans, steps } = await runModel({
          ...{
            binary,
            kind,
            seed,
            steps: Number(values.steps) / 2,
            mostStepsOfPlan: Number(values.most),
            shrinks: !values.whole,
          },
        });
        const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
        print(
          `${name} ${version}, ${kind}: ${steps} operations in ${plans} plans, all alike, in ${seconds} s`,
        );
      } catch (error) {
        print(
          `${name} ${version}, ${kind}: the brokers differ\n${error instanceof Error ? error.message : String(error)}`,
        );
        print(
          `again: npm run model -- --seed ${seed} --server ${name} --steps ${values.steps} --most ${values.most}`,
        );
        return false;
      }
    }
  }
  return servers.length > 0;
}
