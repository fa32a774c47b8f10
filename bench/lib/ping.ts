/** Enqueues one job at a time on an idle queue, and measures how long it takes until its body begins. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type Job, job } from './job.ts';
import { type MeasuredProcess, sharedNowMs } from './measured-process.ts';

const Start = z.object({ id: z.number(), atMs: z.number() });
/** Long enough for a consumer to settle and to fall asleep again; spread, so that no timer of theirs beats with ours. */
const SHORTEST_PAUSE_MS = 4;
const PAUSE_SPREAD_MS = 8;

/** @returns how long each took, ms, from before the call to the first line of the body */
export async function ping(
  runs: number,
  enqueue: (job: Job) => Promise<unknown>,
  nextStart: () => Promise<z.output<typeof Start>>,
): Promise<number[]> {
  const latencies: number[] = [];
  for (let id = 0; id < runs; id += 1) {
    await sleep(SHORTEST_PAUSE_MS + Math.random() * PAUSE_SPREAD_MS);
    const sentMs = sharedNowMs();
    const [start] = await Promise.all([nextStart(), enqueue(job(id))]);
    if (start.id !== id) throw new Error(`run ${start.id} began where ${id} was expected`);
    latencies.push(start.atMs - sentMs);
  }
  return latencies;
}

export const nextStartOf = (process: MeasuredProcess) => () => process.next(Start);
