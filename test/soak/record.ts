/** Figures of the last recorded soak, kept in `docs/reference/soak.json` for the page of faults. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { SoakResult } from './report.ts';

const RECORD = join(import.meta.dirname, '../../docs/reference/soak.json');

const SoakFigures = z.strictObject({
  minutes: z.number(),
  seed: z.number(),
  faults: z.number(),
  runs: z.number(),
  lost: z.number(),
  settledTwice: z.number(),
  slots: z.number(),
  undecided: z.number(),
  doubled: z.number(),
  byHand: z.number(),
  byHandUndecided: z.number(),
  byHandDoubled: z.number(),
  startsGivenUp: z.number(),
  processesLeft: z.number(),
  /** Most that a process which was never killed has grown by after its warm-up. */
  grownMiB: z.number(),
});
export type SoakFigures = z.infer<typeof SoakFigures>;

export function figuresOf({ runs, slots, triggers, trends, ...result }: SoakResult): SoakFigures {
  return {
    ...{ minutes: result.minutes, seed: result.seed },
    faults: Object.values(result.faults).reduce((sum, count) => sum + count, 0),
    ...{ runs: runs.runs, lost: runs.lost, settledTwice: runs.settledTwice },
    ...{ slots: slots.slots, undecided: slots.undecided, doubled: slots.doubled },
    ...{ byHand: triggers.requested, byHandUndecided: triggers.undecided, byHandDoubled: triggers.doubled },
    ...{ startsGivenUp: result.startsGivenUp, processesLeft: result.leakedProcesses },
    grownMiB: Math.ceil(Math.max(...trends.map(({ hours, rssMiBPerHour }) => hours * rssMiBPerHour))),
  };
}

export function readSoak(): SoakFigures {
  return SoakFigures.parse(JSON.parse(readFileSync(RECORD, 'utf8')));
}

/** Keeps the figures when nothing was broken; of one that was broken the earlier ones stay. */
export function keepSoak(result: SoakResult): void {
  if (result.violations.length > 0) return;
  writeFileSync(RECORD, `${JSON.stringify(figuresOf(result), null, 2)}\n`);
}
