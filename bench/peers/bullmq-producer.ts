/** A process that fills a queue of BullMQ. */
import { produce, redisUrl } from '../lib/bulk-producer.ts';
import { bullQueue } from './bullmq.ts';

await using bull = await bullQueue(redisUrl());
await produce({
  send: (jobs) => bull.queue.addBulk(jobs.map((data) => ({ name: 'noop', data }))),
  batch: 1_000,
  depth: 2,
});
