/** `tidemill schedules`: what is in force, when it fires next, why a slot did or did not, and a run at once. */
import type { Command } from 'commander';
import type { Surroundings } from '../command.ts';
import { addSchedulesExport } from './schedules-export.ts';
import { addSchedulesList } from './schedules-ls.ts';
import { addSchedulesNext } from './schedules-next.ts';
import { addSchedulesTrigger } from './schedules-trigger.ts';
import { addSchedulesWhy } from './schedules-why.ts';

export function addSchedules(program: Command, surroundings: Surroundings): void {
  const schedules = program
    .command('schedules')
    .summary('see when schedules fire, why they did or did not, and run one now')
    .description('See when schedules fire, why they did or did not, and run one now.');
  addSchedulesList(schedules, surroundings);
  addSchedulesNext(schedules, surroundings);
  addSchedulesWhy(schedules, surroundings);
  addSchedulesTrigger(schedules, surroundings);
  addSchedulesExport(schedules, surroundings);
}
