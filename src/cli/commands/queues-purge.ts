/** `tidemill queues purge`: cancels everything that waits in a queue, after saying how much that is. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { InspectPort } from '../../broker/broker.ts';
import { addCommand, type Surroundings } from '../command.ts';
import { withBroker } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { requireQueue } from '../known-queue.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { QueuesSettings } from '../settings.ts';

/** Cancelled in one transition: Redis serves others in between. */
const RUNS_PER_CALL = 1_000;

export function addPurge(queues: Command, surroundings: Surroundings): void {
  addCommand(
    queues,
    {
      name: 'purge',
      summary: 'cancel everything that waits in a queue',
      details:
        'Pending and delayed runs end as cancelled, with their records kept; runs that are executing go on. Without --yes it only counts.',
      args: [['<queue>', 'name of the queue']],
      examples: [
        'tidemill queues purge reports',
        'tidemill queues purge reports --yes --reason "wrong import"',
      ],
      settings: QueuesSettings,
      rules: REDIS_RULES,
      flags: [
        { flags: '--yes', help: 'do it' },
        { flags: '--reason <text>', help: 'what the records of the cancelled runs say (default: purged)' },
      ],
      options: z.object({
        yes: z.boolean().default(false),
        reason: z.string().min(1).max(200).default('purged'),
      }),
      run: async ({ settings, args: [queue = ''], options: { yes, reason }, json, io }) => {
        const { waiting, cancelled } = await withBroker({ settings, io }, async (broker) => {
          await requireQueue(broker, queue);
          const { inspect } = broker.queue(queue);
          const { pending, delayed } = await inspect.stats();
          return { waiting: pending + delayed, cancelled: yes ? await purge(inspect, reason) : 0 };
        });
        if (json) writeJson(io, { queue, waiting, cancelled });
        else if (yes) io.stdout.write(`queue ${queue}: ${cancelled} runs cancelled\n`);
        else
          io.stdout.write(
            `queue ${queue}: ${waiting} runs wait; nothing was changed: add --yes to cancel them\n`,
          );
        return EXIT.ok;
      },
    },
    surroundings,
  );
}

async function purge(inspect: InspectPort, reason: string): Promise<number> {
  let total = 0;
  while (true) {
    const { cancelled, more } = await inspect.purge(reason, RUNS_PER_CALL);
    total += cancelled;
    if (!more) return total;
  }
}
