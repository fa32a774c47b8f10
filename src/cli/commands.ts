/** All commands, in the order in which `--help` lists them. A command is loaded when it is called, or asked for its help. */
import type { Command } from 'commander';
import type { Surroundings } from './command.ts';
import { type CommandHead, HEADS } from './command-heads.ts';

type Add = (parent: Command, surroundings: Surroundings) => void;

interface LazyCommand {
  readonly head: CommandHead;
  readonly load: () => Promise<Add>;
}

export const COMMANDS: readonly LazyCommand[] = [
  { head: HEADS.init, load: async () => (await import('./commands/init.ts')).addInit },
  { head: HEADS.dev, load: async () => (await import('./commands/dev.ts')).addDev },
  { head: HEADS.consumer, load: async () => (await import('./commands/consumer.ts')).addConsumer },
  { head: HEADS.scheduler, load: async () => (await import('./commands/scheduler.ts')).addScheduler },
  { head: HEADS.controller, load: async () => (await import('./commands/controller.ts')).addController },
  { head: HEADS.run, load: async () => (await import('./commands/run.ts')).addRun },
  { head: HEADS.runs, load: async () => (await import('./commands/runs.ts')).addRuns },
  { head: HEADS.queues, load: async () => (await import('./commands/queues.ts')).addQueues },
  { head: HEADS.tasks, load: async () => (await import('./commands/tasks.ts')).addTasks },
  { head: HEADS.schedules, load: async () => (await import('./commands/schedules.ts')).addSchedules },
  { head: HEADS.crd, load: async () => (await import('./commands/crd.ts')).addCrd },
  { head: HEADS.rbac, load: async () => (await import('./commands/rbac.ts')).addRbac },
  { head: HEADS.redisAcl, load: async () => (await import('./commands/redis-acl.ts')).addRedisAcl },
  { head: HEADS.doctor, load: async () => (await import('./commands/doctor.ts')).addDoctor },
];

/** Which commands a program is to have whole; of the others `--help` can tell, and no more. */
export type Whole = (name: string) => boolean;

/** Those that a command line can reach: the first word, and after `help` the second. */
export function calledBy(argv: readonly string[]): Whole {
  const words = argv.filter((word) => !word.startsWith('-'));
  return (name) => words[0] === name || (words[0] === 'help' && words[1] === name);
}

export async function addCommands(program: Command, surroundings: Surroundings, whole: Whole): Promise<void> {
  for (const { head, load } of COMMANDS) {
    if (whole(head.name)) (await load())(program, surroundings);
    else addHead(program, head);
  }
}

/** Enough of a command for the list in `--help`, and for a near name to be found. */
function addHead(program: Command, { name, summary, args = [], isGroup = false }: CommandHead): void {
  const command = program.command(name).summary(summary);
  for (const [syntax, help] of args) command.argument(syntax, help);
  if (!isGroup) command.option('--json');
}
