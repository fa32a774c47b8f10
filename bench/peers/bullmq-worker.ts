/** A process that works on a queue of BullMQ: counts no-op jobs, or tells when each began. */
import { redisUrl } from '../lib/bulk-producer.ts';
import type { Job } from '../lib/job.ts';
import { countRun } from '../lib/run-counter.ts';
import { tellStart } from '../lib/start-report.ts';
import { bullWorker } from './bullmq.ts';

const wantsStarts = process.argv[2] === 'starts';
await bullWorker<Job>(redisUrl(), ({ id }) => {
  if (wantsStarts) tellStart(id);
  else countRun();
  return 'ok';
});
