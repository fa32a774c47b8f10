/** The no-op task, with every feature on: params are parsed, its concurrency is limited, its result is kept. */
import { defineTask } from 'tidemill';
import { z } from 'zod';
import { countRun } from '../lib/run-counter.ts';

/** Never reached by 100 at once: what is measured is the counting, not the waiting. */
const LIMIT = 1_000;

export const noop = defineTask({
  name: 'noop',
  maxConcurrency: LIMIT,
  params: z.object({ id: z.number(), text: z.string() }),
  run() {
    countRun();
    return 'ok';
  },
});
