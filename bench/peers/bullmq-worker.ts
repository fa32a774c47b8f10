/** A process that works on a queue of BullMQ, `BENCH_CONCURRENCY` jobs at once: counts no-op jobs, or tells when each began. */
import { redisUrl } from '../lib/bulk-producer.ts';
import { CONCURRENCY, type Job } from '../lib/job.ts';
import { countRun } from '../lib/run-counter.ts';
import { tellStart } from '../lib/start-report.ts';
import { bullWorker } from './bullmq.ts';

const wantsStarts = process.argv[2] === 'starts';
const concurrency = Number(process.env['BENCH_CONCURRENCY'] ?? CONCURRENCY);
await bullWorker<Job>(
  redisUrl(),
  ({ id }) => {
    if (wantsStarts) tellStart(id);
    else countRun();
    return 'ok';
  },
  concurrency,
);
