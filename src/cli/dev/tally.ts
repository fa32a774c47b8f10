/** Counts what `dev` has seen, for the summary at its end. */
import { showDuration } from '../format.ts';
import { type Column, table } from '../table.ts';
import type { DevEvent, RunEvent } from './events.ts';

export interface TaskTally {
  readonly task: string;
  succeeded: number;
  failed: number;
  retried: number;
  /** Cancelled, given back, refused or lost. */
  other: number;
  totalMs: number;
  longestMs: number;
}

export interface ScheduleTally {
  readonly schedule: string;
  fired: number;
  skipped: number;
  missed: number;
}

export class Tally {
  readonly #tasks = new Map<string, TaskTally>();
  readonly #schedules = new Map<string, ScheduleTally>();

  add(event: DevEvent): void {
    switch (event.event) {
      case 'run':
        this.#addRun(event);
        break;
      case 'fired':
        this.#schedule(event.schedule).fired += 1;
        break;
      case 'skipped':
        this.#schedule(event.schedule).skipped += 1;
        break;
      case 'missed':
        this.#schedule(event.schedule).missed += event.count;
        break;
      default: // says nothing that is counted
    }
  }

  get tasks(): readonly TaskTally[] {
    return [...this.#tasks.values()].sort((a, b) => (a.task < b.task ? -1 : 1));
  }

  get schedules(): readonly ScheduleTally[] {
    return [...this.#schedules.values()].sort((a, b) => (a.schedule < b.schedule ? -1 : 1));
  }

  render(): string {
    const parts = [
      ...(this.#schedules.size === 0 ? [] : [table(SCHEDULE_COLUMNS, this.schedules)]),
      ...(this.#tasks.size === 0 ? [] : [table(TASK_COLUMNS, this.tasks)]),
    ];
    return parts.join('\n');
  }

  #addRun({ task, outcome, durationMs }: RunEvent): void {
    const tally = this.#tasks.get(task) ?? {
      task,
      succeeded: 0,
      failed: 0,
      retried: 0,
      other: 0,
      totalMs: 0,
      longestMs: 0,
    };
    this.#tasks.set(task, tally);
    if (outcome === 'succeeded') tally.succeeded += 1;
    else if (outcome === 'failed') tally.failed += 1;
    else if (outcome === 'retry') tally.retried += 1;
    else tally.other += 1;
    tally.totalMs += durationMs;
    tally.longestMs = Math.max(tally.longestMs, durationMs);
  }

  #schedule(schedule: string): ScheduleTally {
    const tally = this.#schedules.get(schedule) ?? { schedule, fired: 0, skipped: 0, missed: 0 };
    this.#schedules.set(schedule, tally);
    return tally;
  }
}

const attemptsOf = ({ succeeded, failed, retried, other }: TaskTally): number =>
  succeeded + failed + retried + other;

const TASK_COLUMNS: readonly Column<TaskTally>[] = [
  { heading: 'TASK', cell: ({ task }) => task },
  { heading: 'SUCCEEDED', cell: ({ succeeded }) => succeeded, align: 'right' },
  { heading: 'FAILED', cell: ({ failed }) => failed, align: 'right' },
  { heading: 'RETRIED', cell: ({ retried }) => retried, align: 'right' },
  { heading: 'OTHER', cell: ({ other }) => other, align: 'right' },
  { heading: 'MEAN', cell: (tally) => showDuration(tally.totalMs / attemptsOf(tally)), align: 'right' },
  { heading: 'LONGEST', cell: ({ longestMs }) => showDuration(longestMs), align: 'right' },
];

const SCHEDULE_COLUMNS: readonly Column<ScheduleTally>[] = [
  { heading: 'SCHEDULE', cell: ({ schedule }) => schedule },
  { heading: 'FIRED', cell: ({ fired }) => fired, align: 'right' },
  { heading: 'SKIPPED', cell: ({ skipped }) => skipped, align: 'right' },
  { heading: 'MISSED', cell: ({ missed }) => missed, align: 'right' },
];
