/** The tasks of this worker: every one that is exported can be run by its name, and be scheduled. */
import { defineTask } from 'tidemill';
import { z } from 'zod';

/** IO-bound: while it waits for the network, others run in the same event loop. */
export const checkSite = defineTask({
  name: 'check-site',
  description: 'Asks a site for a page, and says how it answered',
  params: z.object({ url: z.url(), expectedStatus: z.number().int().default(200) }),
  retry: { attempts: 3, backoff: '2s' },
  timeout: '10s',
  async run({ params, signal, log }) {
    const { status } = await fetch(params.url, { signal });
    log.info('site answered', { status });
    if (status !== params.expectedStatus)
      throw new Error(`${params.url} answered ${status}, expected ${params.expectedStatus}`);
    return { status };
  },
});

/** CPU-bound: it has a process of its own, and may block that for as long as it likes. */
export const countPrimes = defineTask({
  name: 'count-primes',
  description: 'Counts the primes below a number',
  cpuBound: true,
  params: z.object({ below: z.number().int().min(2).max(50_000_000) }),
  timeout: '1m',
  run({ params: { below } }) {
    const composite = new Uint8Array(below);
    let count = 0;
    for (let n = 2; n < below; n++) {
      if (composite[n] === 1) continue;
      count += 1;
      for (let multiple = n * n; multiple < below; multiple += n) composite[multiple] = 1;
    }
    return { count };
  },
});
