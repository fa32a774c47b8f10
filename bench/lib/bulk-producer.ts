/** What every producing process does: a few jobs to warm up, then the measured ones; ours and the peers' alike. */
import { z } from 'zod';
import { inBatches, type Job, job } from './job.ts';
import { sharedNowMs, tell } from './measured-process.ts';

const Environment = z.object({
  BENCH_REDIS: z.string(),
  BENCH_WARM_RUNS: z.coerce.number(),
  BENCH_RUNS: z.coerce.number(),
});

export function redisUrl(): string {
  return Environment.pick({ BENCH_REDIS: true }).parse(process.env).BENCH_REDIS;
}

export interface BulkSender {
  /** Resolves when Redis has them all. */
  readonly send: (jobs: readonly Job[]) => Promise<unknown>;
  readonly batch: number;
  /** Batches under way at once. */
  readonly depth: number;
}

export async function produce({ send, batch, depth }: BulkSender): Promise<void> {
  const { BENCH_WARM_RUNS: warmRuns, BENCH_RUNS: runs } = Environment.parse(process.env);
  const sendSome = (first: number, count: number): Promise<unknown> =>
    send(Array.from({ length: count }, (_, index) => job(first + index)));
  await inBatches(warmRuns, batch, depth, sendSome);
  const sinceMs = sharedNowMs();
  await inBatches(runs, batch, depth, sendSome);
  tell({ runs, ms: sharedNowMs() - sinceMs });
}
