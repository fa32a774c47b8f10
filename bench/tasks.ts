/** Tasks of the benches: they do nothing, so that what is measured is everything else. */
import { defineTask } from '../src/index.ts';

export const tick = defineTask({ name: 'tick', run: () => undefined });
