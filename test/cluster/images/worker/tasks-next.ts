/** The task set of the next image. */
import { defineTask } from 'tidemill';

export { crunch, tick, work } from './tasks.ts';

export const newlyAdded = defineTask({
  name: 'newly-added',
  run: () => ({ done: true }),
});
