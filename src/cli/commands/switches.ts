/** `pause` and `resume`: the same pair of commands for queues and for tasks. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { Broker } from '../../broker/broker.ts';
import { addCommand, type Surroundings } from '../command.ts';
import { withBroker } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES, type RedisSettings } from '../redis-settings.ts';

type RedisSchema = z.ZodObject & z.ZodType<RedisSettings>;

/** What can be paused. */
export interface Switched<S extends RedisSchema> {
  readonly noun: 'queue' | 'task';
  /** What goes on while it is paused. */
  readonly details: string;
  /** What follows the verb. */
  readonly examples: readonly string[];
  readonly settings: S;
  /**
   * @returns what was switched, as `--json` names it
   * @throws TidemillError when nothing of that name is known: nothing was changed then
   */
  readonly set: (
    broker: Broker,
    target: { readonly name: string; readonly settings: Readonly<z.output<S>>; readonly paused: boolean },
  ) => Promise<{ readonly queue: string; readonly task?: string }>;
}

export function addSwitches<S extends RedisSchema>(
  parent: Command,
  surroundings: Surroundings,
  { noun, details, examples, settings, set }: Switched<S>,
): void {
  for (const [verb, paused] of [['pause', true] as const, ['resume', false] as const]) {
    addCommand(
      parent,
      {
        name: verb,
        summary: paused ? `stop handing out runs of a ${noun}` : `hand out runs of a ${noun} again`,
        ...(paused && { details }),
        args: [[`<${noun}>`, `name of the ${noun}`]],
        examples: examples.map((example) => `tidemill ${noun}s ${verb} ${example}`),
        settings,
        rules: REDIS_RULES,
        options: z.object({}),
        run: async ({ settings: values, args: [name = ''], json, io }) => {
          const target = await withBroker({ settings: values, io }, (broker) =>
            set(broker, { name, settings: values, paused }),
          );
          if (json) writeJson(io, { ...target, paused });
          else io.stdout.write(`${sentence(target, paused)}\n`);
          return EXIT.ok;
        },
      },
      surroundings,
    );
  }
}

function sentence(
  { queue, task }: { readonly queue: string; readonly task?: string },
  paused: boolean,
): string {
  const where = task === undefined ? '' : ` in queue ${queue}`;
  const state = paused ? `paused${where}: its runs wait until it is resumed` : `active${where}`;
  return `${task === undefined ? `queue ${queue}` : `task ${task}`} is ${state}`;
}
