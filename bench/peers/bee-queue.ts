/** bee-queue as its documentation advises: no events, no stored jobs, succeeded jobs removed. */
import Queue from 'bee-queue';
import { CONCURRENCY, type Job, QUEUE } from '../lib/job.ts';

const LEAN = { getEvents: false, sendEvents: false, storeJobs: false, removeOnSuccess: true } as const;

export function beeQueue<Data = Job>(url: string): Queue<Data> {
  return new Queue<Data>(QUEUE, { redis: url, isWorker: false, ...LEAN });
}

export async function beeWorker<Data>(url: string, body: (data: Data) => unknown): Promise<Queue<Data>> {
  const queue = new Queue<Data>(QUEUE, { redis: url, isWorker: true, ...LEAN });
  await queue.ready();
  queue.process(CONCURRENCY, async ({ data }) => body(data));
  return queue;
}
