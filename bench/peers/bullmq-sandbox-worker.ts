/** A process whose jobs run in a child process of BullMQ. */
import { redisUrl } from '../lib/bulk-producer.ts';
import type { Job } from '../lib/job.ts';
import { bullWorker } from './bullmq.ts';

await bullWorker<Job>(redisUrl(), new URL('bullmq-sandbox.ts', import.meta.url), 1);
