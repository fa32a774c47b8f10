/** BullMQ as its documentation advises: a client of its own, bulk adds, finished jobs removed. */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { CONCURRENCY, type Job, QUEUE } from '../lib/job.ts';

/** A worker's connection must not give up on a call; a native ES module hands in the client itself. */
function connection(url: string): Redis {
  return new Redis(url, { maxRetriesPerRequest: null });
}

export interface BullQueue<Data> extends AsyncDisposable {
  readonly queue: Queue<Data>;
}

export async function bullQueue<Data = Job>(url: string): Promise<BullQueue<Data>> {
  const client = connection(url);
  const queue = new Queue<Data>(QUEUE, {
    connection: client,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  await queue.waitUntilReady();
  return {
    queue,
    // A client that was handed in is not closed with the queue.
    [Symbol.asyncDispose]: async () => {
      await queue.close();
      client.disconnect();
    },
  };
}

export async function bullWorker<Data>(
  url: string,
  processor: ((data: Data) => unknown) | URL,
  concurrency = CONCURRENCY,
): Promise<Worker<Data>> {
  const body = processor instanceof URL ? processor : async ({ data }: { data: Data }) => processor(data);
  const worker = new Worker<Data>(QUEUE, body, {
    connection: connection(url),
    concurrency,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  worker.on('error', (error) => process.stderr.write(`${String(error)}\n`));
  worker.on('failed', (_job, error) => process.stderr.write(`${String(error)}\n`));
  await worker.waitUntilReady();
  return worker;
}
