/** The tasks of the proofs on a cluster: each body tells its log when it begins, so that executions can be counted from outside. */
import { setTimeout as delay } from 'node:timers/promises';
import { defineTask } from 'tidemill';
import { z } from 'zod';

const HOARD_BYTES = 16 * 1_024 * 1_024;
const Duration = z.object({ ms: z.number() });

export const work = defineTask({
  name: 'work',
  params: Duration,
  async run({ params, run, log, signal }) {
    log.info('body begins', { id: run.id, attempt: run.attempt });
    await delay(params.ms, undefined, { signal });
    return { done: true };
  },
});

/** Tells how late it is: the log line is the first line of user code. */
export const tick = defineTask({
  name: 'tick',
  run({ run, log }) {
    log.info('body begins', { id: run.id, attempt: run.attempt, slot: run.slot?.toISOString() });
  },
});

export const crunch = defineTask({
  name: 'crunch',
  cpuBound: true,
  params: Duration,
  run({ params, run, log }) {
    log.info('body begins', { id: run.id, attempt: run.attempt });
    const endMs = performance.now() + params.ms;
    while (performance.now() < endMs);
    return { crunched: params.ms };
  },
});

/** Needs more heap than a child may have. */
export const exhaustHeap = defineTask({
  name: 'exhaust-heap',
  cpuBound: true,
  retry: { attempts: 1 },
  run() {
    const hoard: string[] = [];
    while (true) hoard.push(Array.from({ length: 10_000 }, (_, index) => `${index}${hoard.length}`).join());
  },
});

/** Needs more memory than its pod may have, and none of it is heap: the kernel kills a process of the pod. */
export const exhaustPod = defineTask({
  name: 'exhaust-pod',
  retry: { attempts: 1 },
  async run({ log, run }) {
    log.info('body begins', { id: run.id, attempt: run.attempt });
    const hoard: Buffer[] = [];
    while (true) {
      hoard.push(Buffer.alloc(HOARD_BYTES, 1));
      await delay(5);
    }
  },
});
