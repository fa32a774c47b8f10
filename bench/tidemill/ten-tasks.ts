/** A worker of ten tasks, one of them CPU-bound: what the start-up is measured with. */
import { defineTask } from 'tidemill';
import { z } from 'zod';
import { tellStartAndCpu } from '../lib/start-report.ts';

const params = z.object({ id: z.number(), text: z.string() });
const io = (name: string) => defineTask({ name, params, run: () => undefined });

export const first = defineTask({
  name: 'first',
  params,
  run: (context) => tellStartAndCpu(context.params.id),
});
export const second = io('second');
export const third = io('third');
export const fourth = io('fourth');
export const fifth = io('fifth');
export const sixth = io('sixth');
export const seventh = io('seventh');
export const eighth = io('eighth');
export const ninth = io('ninth');
export const heavy = defineTask({ name: 'heavy', params, cpuBound: true, run: () => undefined });
