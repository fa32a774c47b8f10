/** A process that fills a queue of bee-queue. */
import { produce, redisUrl } from '../lib/bulk-producer.ts';
import { beeQueue } from './bee-queue.ts';

const queue = beeQueue(redisUrl());
await queue.ready();
await produce({
  send: async (jobs) => {
    const errors = await queue.saveAll(jobs.map((data) => queue.createJob(data)));
    if (errors.size > 0) throw new Error(`bee-queue refused ${errors.size} jobs`);
  },
  batch: 1_000,
  depth: 2,
});
process.exit(0);
