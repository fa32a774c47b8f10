/** `tidemill schedules`: what is in force, when it fires next, and why a slot did or did not. */
import type { Command } from 'commander';
import type { Surroundings } from '../command.ts';
import { addSchedulesExport } from './schedules-export.ts';
import { addSchedulesList } from './schedules-ls.ts';
import { addSchedulesNext } from './schedules-next.ts';
import { addSchedulesWhy } from './schedules-why.ts';

export function addSchedules(program: Command, surroundings: Surroundings): void {
  const schedules = program
    .command('schedules')
    .summary('see when schedules fire, and why they did or did not')
    .description('See when schedules fire, and why they did or did not.');
  addSchedulesList(schedules, surroundings);
  addSchedulesNext(schedules, surroundings);
  addSchedulesWhy(schedules, surroundings);
  addSchedulesExport(schedules, surroundings);
}
