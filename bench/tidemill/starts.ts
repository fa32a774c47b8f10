/** A task that tells when its body began. */
import { defineTask } from 'tidemill';
import { z } from 'zod';
import { tellStart } from '../lib/start-report.ts';

export const starts = defineTask({
  name: 'starts',
  maxConcurrency: 1_000,
  params: z.object({ id: z.number(), text: z.string() }),
  run({ params }) {
    tellStart(params.id);
    return 'ok';
  },
});
