/** `tidemill tasks`: what the consumers of a queue can run, and switching one task off and on. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { Broker, Queue, TaskStats } from '../../broker/broker.ts';
import { TidemillError } from '../../runtime/errors.ts';
import type { TaskDescription } from '../../task/manifest.ts';
import { DEFAULT_QUEUE, isReservedTaskName, isTaskName, TASK_NAME_RULE } from '../../task/names.ts';
import { didYouMean } from '../../task/near-names.ts';
import { addCommand, addGroup, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { queuesOf, withBroker } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { shorten } from '../format.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { InspectSettings } from '../settings.ts';
import { type Column, table } from '../table.ts';
import { addSwitches } from './switches.ts';

interface TaskRow extends TaskStats {
  readonly queue: string;
  readonly description: string | undefined;
  readonly tags: readonly string[];
}

const COLUMNS: readonly Column<TaskRow>[] = [
  { heading: 'QUEUE', cell: ({ queue }) => queue },
  { heading: 'TASK', cell: ({ task }) => task },
  { heading: 'KIND', cell: ({ executor }) => executor },
  { heading: 'HIGH', cell: ({ pending }) => pending.high, align: 'right' },
  { heading: 'MEDIUM', cell: ({ pending }) => pending.medium, align: 'right' },
  { heading: 'LOW', cell: ({ pending }) => pending.low, align: 'right' },
  {
    heading: 'RUNNING',
    cell: ({ running, maxConcurrency }) =>
      maxConcurrency === undefined ? running : `${running}/${maxConcurrency}`,
    align: 'right',
  },
  { heading: 'STATE', cell: ({ paused, known }) => (paused ? 'paused' : known ? 'active' : 'no consumer') },
  {
    heading: 'DESCRIPTION',
    cell: ({ description }) => (description === undefined ? '' : shorten(description, 60)),
  },
];

export function addTasks(program: Command, surroundings: Surroundings): void {
  const tasks = addGroup(program, HEADS.tasks);

  addList(tasks, surroundings);
  addSwitches(tasks, surroundings, {
    noun: 'task',
    details:
      'Runs that are executing go on; what is enqueued waits. The other tasks of the queue are not touched.',
    examples: ['fetch-data', 'fetch-data --queue reports'],
    settings: InspectSettings,
    set: setPaused,
  });
}

function addList(tasks: Command, surroundings: Surroundings): void {
  addCommand(
    tasks,
    {
      name: 'ls',
      summary: 'list the tasks that consumers have published, with what waits and runs',
      details:
        'HIGH, MEDIUM and LOW count the runs that wait, by priority. RUNNING shows the limit of the task where it has one.\n' +
        'The tasks that every consumer has of itself are left out: --built-in shows them as well.',
      examples: ['tidemill tasks ls', 'tidemill tasks ls --queue reports --tag nightly --json'],
      settings: InspectSettings,
      rules: REDIS_RULES,
      flags: [
        {
          flags: '--tag <tag>',
          help: 'only tasks with this tag; may be repeated: all must match',
          repeatable: true,
        },
        { flags: '--built-in', help: 'also the built-in tasks, whose names begin with tidemill.' },
      ],
      options: z.object({ tag: z.array(z.string()).default([]), builtIn: z.boolean().default(false) }),
      jsonHelp: 'print {"tasks": [...]} instead of a table',
      run: async ({ settings, options, json, io }) => {
        const rows = await withBroker({ settings, io }, async (broker) =>
          (await Promise.all((await queuesOf(broker, settings.queue)).map(rowsOf)))
            .flat()
            .filter(({ task }) => options.builtIn || !isReservedTaskName(task)),
        );
        const shown = rows.filter((row) => options.tag.every((tag) => row.tags.includes(tag)));
        if (json) writeJson(io, { tasks: shown });
        else if (shown.length === 0)
          io.stderr.write(
            rows.length === 0
              ? 'no task is known here: has a consumer been started yet?\n'
              : 'no task has these tags\n',
          );
        else io.stdout.write(table(COLUMNS, shown));
        return EXIT.ok;
      },
    },
    surroundings,
  );
}

async function setPaused(
  broker: Broker,
  {
    name: task,
    settings,
    paused,
  }: {
    readonly name: string;
    readonly settings: z.output<typeof InspectSettings>;
    readonly paused: boolean;
  },
): Promise<{ readonly queue: string; readonly task: string }> {
  if (!isTaskName(task))
    throw new TidemillError('TASK_UNKNOWN', `task name ${JSON.stringify(task)} must be ${TASK_NAME_RULE}`);
  const { name: queue, inspect } = broker.queue(settings.queue ?? DEFAULT_QUEUE);
  const known = (await inspect.tasks()).map((stats) => stats.task);
  if (!known.includes(task)) {
    throw new TidemillError(
      'TASK_UNKNOWN',
      `queue ${queue} knows no task ${task}${didYouMean(task, known)}: nothing was changed`,
    );
  }
  await inspect.setTaskPaused(task, paused);
  return { queue, task };
}

async function rowsOf({ name, inspect }: Queue): Promise<readonly TaskRow[]> {
  const [stats, manifests] = await Promise.all([inspect.tasks(), inspect.manifests()]);
  // Live manifests stand first: theirs is the description that counts.
  const described = new Map<string, TaskDescription>();
  for (const { manifest } of manifests) {
    for (const task of manifest.tasks) if (!described.has(task.name)) described.set(task.name, task);
  }
  return stats.map((row) => {
    const description = described.get(row.task);
    return { ...row, queue: name, description: description?.description, tags: description?.tags ?? [] };
  });
}
