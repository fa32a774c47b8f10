/** `tidemill doctor`: whether what waits in the queues has somebody to do it. */
import type { Broker, QueueStats, TaskStats } from '../../broker/broker.ts';
import { plural } from '../format.ts';
import type { Finding } from './finding.ts';

/** What is known of one queue. */
export interface QueueState {
  readonly stats: QueueStats;
  readonly tasks: readonly TaskStats[];
  /** Consumers that are registered, those whose lease is over included. */
  readonly registered: number;
}

/** One finding that names the queues, and a warning for each reason why runs wait in vain. */
export async function queueFindings(broker: Broker, names: readonly string[]): Promise<readonly Finding[]> {
  const states = await Promise.all(
    names.map(async (name): Promise<QueueState> => {
      const { inspect } = broker.queue(name);
      const [stats, tasks, consumers] = await Promise.all([
        inspect.stats(),
        inspect.tasks(),
        inspect.consumers(),
      ]);
      return { stats, tasks, registered: consumers.length };
    }),
  );
  return [
    { check: 'queues', result: 'ok', message: names.length === 0 ? 'none was used yet' : names.join(', ') },
    ...states
      .flatMap(reasonsToWait)
      .map((message): Finding => ({ check: 'queues', result: 'warning', message })),
  ];
}

/** Why runs of a queue wait in vain; empty when none does. Pure. */
export function reasonsToWait({ stats, tasks, registered }: QueueState): readonly string[] {
  const { queue, pending, delayed, running, paused, consumers } = stats;
  const work = pending + delayed + running;
  if (work === 0) return [];
  const reasons: string[] = [];
  if (paused)
    reasons.push(
      `${queue} is paused, and ${waiting(pending + delayed)} in it: tidemill queues resume ${queue}`,
    );
  if (consumers === 0) {
    const gone =
      registered === 0
        ? 'no consumer is registered'
        : `no consumer is alive: the leases of all ${registered} registered ones are over`;
    reasons.push(`${queue} has ${plural(work, 'run')}, and ${gone}`);
    return reasons;
  }
  for (const task of tasks) {
    const count = task.pending.high + task.pending.medium + task.pending.low;
    if (count === 0) continue;
    if (!task.known)
      reasons.push(`${waiting(count)} in ${queue} for ${task.task}, and no live consumer knows that task`);
    if (task.paused)
      reasons.push(
        `${task.task} is paused in ${queue}, and ${waiting(count)}: tidemill tasks resume ${task.task} --queue ${queue}`,
      );
  }
  return reasons;
}

const waiting = (runs: number): string => `${plural(runs, 'run')} ${runs === 1 ? 'waits' : 'wait'}`;
