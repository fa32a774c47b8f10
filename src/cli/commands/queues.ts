/** `tidemill queues`: what waits and runs in each queue; switching one off and on, and emptying it. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { Broker, QueueStats } from '../../broker/broker.ts';
import { addCommand, addGroup, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { withBroker } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { showDuration } from '../format.ts';
import { requireQueue } from '../known-queue.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { QueuesSettings } from '../settings.ts';
import { type Column, table } from '../table.ts';
import { addPurge } from './queues-purge.ts';
import { addSwitches } from './switches.ts';

const COLUMNS: readonly Column<QueueStats>[] = [
  { heading: 'QUEUE', cell: ({ queue }) => queue },
  { heading: 'PENDING', cell: ({ pending }) => pending, align: 'right' },
  { heading: 'DELAYED', cell: ({ delayed }) => delayed, align: 'right' },
  { heading: 'RUNNING', cell: ({ running }) => running, align: 'right' },
  {
    heading: 'OLDEST',
    cell: ({ oldestPendingAgeMs }) => (oldestPendingAgeMs > 0 ? showDuration(oldestPendingAgeMs) : undefined),
    align: 'right',
  },
  { heading: 'CONSUMERS', cell: ({ consumers }) => consumers, align: 'right' },
  { heading: 'SUCCEEDED', cell: ({ retainedSucceeded }) => retainedSucceeded, align: 'right' },
  { heading: 'FAILED', cell: ({ retainedFailed }) => retainedFailed, align: 'right' },
  { heading: 'STATE', cell: ({ paused }) => (paused ? 'paused' : 'active') },
];

export function addQueues(program: Command, surroundings: Surroundings): void {
  const queues = addGroup(program, HEADS.queues);

  addList(queues, surroundings);
  addSwitches(queues, surroundings, {
    noun: 'queue',
    details: 'Runs that are executing go on; enqueuing and schedules go on, and their runs wait.',
    examples: ['default'],
    settings: QueuesSettings,
    set: setPaused,
  });
  addPurge(queues, surroundings);
}

function addList(queues: Command, surroundings: Surroundings): void {
  addCommand(
    queues,
    {
      name: 'ls',
      summary: 'list the queues with what waits and runs in them',
      details: 'SUCCEEDED and FAILED count the ended runs that are still kept.',
      examples: ['tidemill queues ls --redis redis://localhost:6379'],
      settings: QueuesSettings,
      rules: REDIS_RULES,
      options: z.object({}),
      jsonHelp: 'print {"queues": [...]} instead of a table',
      run: async ({ settings, json, io }) => {
        const stats = await withBroker({ settings, io }, async (broker) =>
          Promise.all((await broker.queueNames()).map((name) => broker.queue(name).inspect.stats())),
        );
        if (json) writeJson(io, { queues: stats });
        else if (stats.length === 0)
          io.stderr.write('no queue was used yet in this Redis, with this prefix\n');
        else io.stdout.write(table(COLUMNS, stats));
        return EXIT.ok;
      },
    },
    surroundings,
  );
}

async function setPaused(
  broker: Broker,
  { name, paused }: { readonly name: string; readonly paused: boolean },
): Promise<{ readonly queue: string }> {
  await requireQueue(broker, name);
  await broker.queue(name).inspect.setQueuePaused(paused);
  return { queue: name };
}
