/** One of many no-op tasks: each is a lane of its own in the queue. */
import { defineTask } from 'tidemill';
import { z } from 'zod';
import { countRun } from '../lib/run-counter.ts';

const params = z.object({ id: z.number(), text: z.string() });

export const laneName = (index: number): string => `lane-${index}`;

export function lane(index: number) {
  return defineTask({
    name: laneName(index),
    maxConcurrency: 1_000,
    params,
    run() {
      countRun();
      return 'ok';
    },
  });
}
export type Lane = ReturnType<typeof lane>;
