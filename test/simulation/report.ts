/** Runs seeds and prints what became of them; a failing one with the command that replays it. */
import { describeBreach, type Counts } from './book.ts';
import { describeAction, drawPlan, type Plan } from './plan.ts';
import { shrink } from './shrink.ts';
import { type Found, simulate } from './simulate.ts';

const MOST_SHOWN = 5;

export interface SeedsOptions {
  readonly from: number;
  readonly seeds: number;
  readonly plant?: string;
  readonly json: boolean;
}

export interface SeedsResult {
  readonly seeds: number;
  /** The first that failed. */
  readonly failedSeed?: number;
  readonly breach?: string;
  readonly counts: Counts;
}

/** Seed after seed until one fails. */
export async function findFailure({
  from,
  seeds,
}: Pick<SeedsOptions, 'from' | 'seeds'>): Promise<SeedsResult> {
  let counts: Counts | undefined;
  for (let seed = from; seed < from + seeds; seed += 1) {
    const found = await simulate(drawPlan(seed));
    counts = counts === undefined ? found.counts : sum(counts, found.counts);
    const [first] = found.breaches;
    if (first !== undefined)
      return { seeds: seed - from + 1, failedSeed: seed, breach: describeBreach(first), counts };
  }
  if (counts === undefined) throw new Error('no seed was asked for');
  return { seeds, counts };
}

/** @returns whether a seed failed */
export async function runSeeds(options: SeedsOptions): Promise<boolean> {
  const startedMs = performance.now();
  const result = await findFailure(options);
  const { seeds, failedSeed, breach, counts } = result;
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  print(
    `${seeds} seeds in ${seconds} s: ${failedSeed === undefined ? 'no promise broken' : 'a promise was broken'}`,
  );
  for (const [name, count] of Object.entries(counts)) print(`  ${name.padEnd(22)} ${count}`);
  if (failedSeed !== undefined) print(`${breach ?? ''}\nagain: ${replayCommand(failedSeed, options.plant)}`);
  if (options.json) print(JSON.stringify(result));
  return failedSeed !== undefined;
}

export function replayCommand(seed: number, plant?: string): string {
  return `npm run simulate -- --seed ${seed}${plant === undefined ? '' : ` --plant ${plant}`}`;
}

/** @returns whether it failed */
export async function showSeed(seed: number, plant?: string): Promise<boolean> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const plan = drawPlan(seed);
  const found = await simulate(plan);
  if (found.breaches.length === 0) {
    print(`seed ${seed}: no promise broken; ${JSON.stringify(found.counts)}`);
    return false;
  }
  const least = await shrink({ ...plan, actions: plan.actions.slice(0, found.actionsDone) }, simulate);
  print(`seed ${seed} fails: ${replayCommand(seed, plant)}`);
  print(`${plan.actions.length} actions were drawn; ${least.plan.actions.length} of them are enough:`);
  printPlan(least.plan, print);
  printBreaches(least.found, print);
  return true;
}

function printPlan({ controllers, consumers, weather, actions }: Plan, print: (line: string) => void): void {
  print(`  ${controllers} controllers, ${consumers} consumers, calls gone wrong: ${JSON.stringify(weather)}`);
  for (const action of actions) print(`  ${describeAction(action)}`);
}

function printBreaches({ breaches }: Found, print: (line: string) => void): void {
  for (const breach of breaches.slice(0, MOST_SHOWN)) print(describeBreach(breach));
}

function sum(a: Counts, b: Counts): Counts {
  const total = { ...a };
  for (const name of COUNT_NAMES) total[name] += b[name];
  return total;
}

const COUNT_NAMES: readonly (keyof Counts)[] = [
  ...(['events', 'calls', 'slots', 'fired', 'runs', 'attempts', 'acknowledged', 'ended'] as const),
  ...(['recovered', 'deadLettered', 'acknowledgedLost', 'firedAgainAfterLoss'] as const),
];
