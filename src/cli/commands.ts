/** All commands, in the order in which `--help` lists them. */
import type { Command } from 'commander';
import type { Surroundings } from './command.ts';
import { addConsumer } from './commands/consumer.ts';
import { addController } from './commands/controller.ts';
import { addCrd } from './commands/crd.ts';
import { addDev } from './commands/dev.ts';
import { addDoctor } from './commands/doctor.ts';
import { addInit } from './commands/init.ts';
import { addQueues } from './commands/queues.ts';
import { addRbac } from './commands/rbac.ts';
import { addRun } from './commands/run.ts';
import { addRuns } from './commands/runs.ts';
import { addScheduler } from './commands/scheduler.ts';
import { addSchedules } from './commands/schedules.ts';
import { addTasks } from './commands/tasks.ts';

export const COMMANDS: readonly ((program: Command, surroundings: Surroundings) => void)[] = [
  addInit,
  addDev,
  addConsumer,
  addScheduler,
  addController,
  addRun,
  addRuns,
  addQueues,
  addTasks,
  addSchedules,
  addCrd,
  addRbac,
  addDoctor,
];
