/** Counts the runs of a consuming process, ours or a peer's: the same code in all of them. */
import { sharedNowMs, tell } from './measured-process.ts';

/** How often the clock is looked at: on every run it would be part of what is measured. */
const LOOK_EVERY = 256;

const { BENCH_WARM_RUNS, BENCH_RUNS, BENCH_FOR_MS } = process.env;
const warmRuns = Number(BENCH_WARM_RUNS ?? 0);
const lastRun = warmRuns + Number(BENCH_RUNS ?? 0);
const forMs = Number(BENCH_FOR_MS ?? Infinity);

let seen = 0;
let sinceMs = NaN;
let isOver = false;

/** Called by the body of each run. The first are not counted; tells once, at the last run or when the time is over. */
export function countRun(): void {
  seen += 1;
  if (seen === warmRuns) sinceMs = sharedNowMs();
  else if (seen === lastRun || (seen % LOOK_EVERY === 0 && sharedNowMs() - sinceMs > forMs)) tellOnce();
}

function tellOnce(): void {
  if (isOver) return;
  isOver = true;
  tell({ runs: seen - warmRuns, ms: sharedNowMs() - sinceMs });
}
