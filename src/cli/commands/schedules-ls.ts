/** `tidemill schedules ls`: the schedules in force, with their counts. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { ScheduleState } from '../../task/schedule-state.ts';
import { addCommand, type Surroundings } from '../command.ts';
import { withBroker } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { nameOf, type ScheduleInForce, schedulesInForce } from '../find-schedule.ts';
import { showRelative } from '../format.ts';
import { writeJson } from '../output.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { ScheduleSettings } from '../settings.ts';
import { overdueSlot } from '../overdue.ts';
import { nextSlots } from '../show-timing.ts';
import { type Column, table } from '../table.ts';

interface Row {
  readonly schedule: string;
  readonly queue: string;
  readonly timing: string;
  readonly state: ScheduleState;
  readonly nextMs: number | undefined;
  /** The slot came more than a minute ago, and nobody has decided it. */
  readonly isOverdue: boolean;
}

const MOST_SHOWN = 1_000;

export function addSchedulesList(parent: Command, surroundings: Surroundings): void {
  addCommand(
    parent,
    {
      name: 'ls',
      summary: 'list the schedules that are in force',
      details:
        'LAST says how the newest ended run of the schedule ended. ACTIVE counts runs that wait or run. NEXT is overdue when the slot\n' +
        'came more than a minute ago and nobody has decided it: no scheduler or controller is at work.',
      examples: ['tidemill schedules ls'],
      settings: ScheduleSettings,
      rules: REDIS_RULES,
      options: z.object({}),
      jsonHelp: 'print {"schedules": [...]} instead of a table',
      run: async ({ settings, json, io }) => {
        const { rows, hidden, nowMs } = await withBroker({ settings, io }, async (broker) => {
          const { total, schedules } = await schedulesInForce(broker, settings.install, MOST_SHOWN);
          const nowMs = await broker.now();
          const rows = schedules.map((schedule) => rowOf(schedule, nowMs));
          return { rows, hidden: Math.max(0, total - MOST_SHOWN), nowMs };
        });
        if (json) writeJson(io, { schedules: rows.map(rowJson) });
        else if (rows.length === 0)
          io.stderr.write(`no schedule is in force in install ${settings.install}\n`);
        else io.stdout.write(table(columns(nowMs), rows));
        if (hidden > 0) io.stderr.write(`and ${hidden} more\n`);
        return EXIT.ok;
      },
    },
    surroundings,
  );
}

function rowOf(schedule: ScheduleInForce, nowMs: number): Row {
  const { state, timing } = schedule;
  const owedMs = overdueSlot(state, timing, nowMs);
  const next =
    state.suspended || timing?.schedule === undefined ? [] : nextSlots(timing.schedule, nowMs, 1, timing);
  return {
    schedule: nameOf(schedule),
    queue: schedule.queue.name,
    timing: timing?.text ?? '-',
    state,
    nextMs: owedMs ?? next[0],
    isOverdue: owedMs !== undefined,
  };
}

function columns(nowMs: number): readonly Column<Row>[] {
  return [
    { heading: 'SCHEDULE', cell: ({ schedule }) => schedule },
    { heading: 'QUEUE', cell: ({ queue }) => queue },
    { heading: 'TIMING', cell: ({ timing }) => timing },
    {
      heading: 'NEXT',
      cell: ({ state, nextMs, isOverdue }) => {
        if (state.suspended) return 'suspended';
        return nextMs && `${isOverdue ? 'overdue: ' : ''}${showRelative(nextMs, nowMs)}`;
      },
    },
    {
      heading: 'LAST',
      cell: ({ state: { lastRun } }) =>
        lastRun && `${lastRun.state} ${showRelative(lastRun.endedAtMs, nowMs)}`,
    },
    { heading: 'ACTIVE', cell: ({ state }) => state.active, align: 'right' },
    { heading: 'FIRED', cell: ({ state }) => state.fired, align: 'right' },
    { heading: 'FAILED', cell: ({ state }) => state.failed, align: 'right' },
    { heading: 'SKIPPED', cell: ({ state }) => state.skipped, align: 'right' },
    { heading: 'MISSED', cell: ({ state }) => state.missed, align: 'right' },
  ];
}

function rowJson({
  schedule,
  queue,
  timing,
  state,
  nextMs,
  isOverdue,
}: Row): Readonly<Record<string, unknown>> {
  return {
    schedule,
    queue,
    timing,
    next: nextMs === undefined ? undefined : new Date(nextMs).toISOString(),
    overdue: isOverdue,
    ...state,
  };
}
