/** `tidemill schedules`: what is in force, when it fires next, why a slot did or did not, and a run at once. */
import type { Command } from 'commander';
import { addGroup, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { addSchedulesExport } from './schedules-export.ts';
import { addSchedulesList } from './schedules-ls.ts';
import { addSchedulesNext } from './schedules-next.ts';
import { addSchedulesTrigger } from './schedules-trigger.ts';
import { addSchedulesWhy } from './schedules-why.ts';

export function addSchedules(program: Command, surroundings: Surroundings): void {
  const schedules = addGroup(program, HEADS.schedules);
  addSchedulesList(schedules, surroundings);
  addSchedulesNext(schedules, surroundings);
  addSchedulesWhy(schedules, surroundings);
  addSchedulesTrigger(schedules, surroundings);
  addSchedulesExport(schedules, surroundings);
}
