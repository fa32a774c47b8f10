/** Why runs of a queue wait in vain: for the doctor, and for whoever asks about one slot. */
import type { Queue, QueueStats, TaskStats } from '../broker/broker.ts';
import { plural } from './format.ts';

/** What is known of one queue. */
export interface QueueState {
  readonly stats: QueueStats;
  readonly tasks: readonly TaskStats[];
  /** Consumers that are registered, those whose lease is over included. */
  readonly registered: number;
}

export async function readQueueState({ inspect }: Queue): Promise<QueueState> {
  const [stats, tasks, consumers] = await Promise.all([
    inspect.stats(),
    inspect.tasks(),
    inspect.consumers(),
  ]);
  return { stats, tasks, registered: consumers.length };
}

/** Why runs of a queue wait in vain; empty when none does. Pure. */
export function reasonsToWait({ stats, tasks, registered }: QueueState): readonly string[] {
  const { queue, pending, delayed, running, paused, consumers } = stats;
  const work = pending + delayed + running;
  if (work === 0) return [];
  const reasons: string[] = [];
  if (paused)
    reasons.push(
      `queue ${queue} is paused, and ${waiting(pending + delayed)} in it: tidemill queues resume ${queue}`,
    );
  if (consumers === 0) {
    const gone =
      registered === 0
        ? 'no consumer is registered'
        : `no consumer is alive: the leases of all ${registered} registered ones are over`;
    reasons.push(`queue ${queue} has ${plural(work, 'run')}, and ${gone}`);
    return reasons;
  }
  for (const task of tasks) {
    const count = task.pending.high + task.pending.medium + task.pending.low;
    if (count === 0) continue;
    if (!task.known)
      reasons.push(
        `${waiting(count)} in queue ${queue} for ${task.task}, and no live consumer knows that task`,
      );
    if (task.paused)
      reasons.push(
        `task ${task.task} is paused in queue ${queue}, and ${waiting(count)}: tidemill tasks resume ${task.task} --queue ${queue}`,
      );
  }
  return reasons;
}

const waiting = (runs: number): string => `${plural(runs, 'run')} ${runs === 1 ? 'waits' : 'wait'}`;
