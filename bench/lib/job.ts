/** The work of the benches: the same for every queue. */

export interface Job {
  readonly id: number;
  readonly text: string;
}

const TEXT = 'x'.repeat(80);

/** About 100 bytes as JSON. */
export function job(id: number): Job {
  return { id, text: TEXT };
}

export const QUEUE = 'default';
export const CONCURRENCY = 100;

/** Sends `total` jobs in batches, a few of them under way at once. `send` gets the first number of a batch and its size. */
export async function inBatches(
  total: number,
  batch: number,
  depth: number,
  send: (first: number, count: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < total) {
      const first = next;
      next += batch;
      await send(first, Math.min(batch, total - first));
    }
  };
  await Promise.all(Array.from({ length: depth }, sender));
}
