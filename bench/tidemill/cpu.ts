/** A CPU-bound task that tells when its body began. Its output goes to the log of its parent, so it tells by a file. */
import { defineTask } from 'tidemill';
import { z } from 'zod';
import { noteStart } from '../lib/start-file.ts';

export const cpu = defineTask({
  name: 'cpu',
  cpuBound: true,
  params: z.object({ id: z.number(), text: z.string() }),
  run({ params }) {
    noteStart(params.id);
    return 'ok';
  },
});
