/** A candidate for a Lease in a process of its own: tells its parent whenever it begins or ceases to lead. */
import { z } from 'zod';
import { connectKube } from '../../../src/kube/connect.ts';
import { LeaseApi } from '../../../src/kube/lease-api.ts';
import { runWithLease } from '../../../src/kube/lease-election.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

const options = z
  .object({
    kubeconfig: z.string(),
    namespace: z.string(),
    name: z.string(),
    identity: z.string(),
    clockOffsetMs: z.number(),
    leaseMs: z.number(),
    retryMs: z.number(),
    renewDeadlineMs: z.number(),
  })
  .parse(JSON.parse(process.argv[2] ?? ''));

const clock = { ...systemClock, now: () => systemClock.now() + options.clockOffsetMs };
const stop = new AbortController();
process.once('SIGTERM', () => {
  stop.abort();
});
await using connection = connectKube({ kubeconfig: options.kubeconfig, clock, requestTimeoutMs: 1_000 });
await runWithLease(
  {
    ...options,
    leases: new LeaseApi(connection, options),
    clock,
    log: silentLog,
    onChange: (leading) => process.send?.(leading),
  },
  stop.signal,
  async (signal) => {
    await clock.sleep(Number.MAX_SAFE_INTEGER, signal);
  },
);
process.disconnect();
