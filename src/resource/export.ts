/** Schedules in code as `ScheduledTask` objects: what `tidemill schedules export` prints, and what `dev` gives its engine. */
import { stringify } from 'yaml';
import { formatDuration } from '../schedule/duration.ts';
import type { ScheduleSpec } from '../schedule/schedule.ts';
import { DEFAULT_TIME_ZONE } from '../schedule/time-zone.ts';
import { OBJECT_NAME_MAX_LENGTH } from './metadata.ts';
import { API_VERSION, KIND, type ScheduledTaskSpecInput } from './scheduled-task.ts';

/** The part of a task that is needed here. */
export interface TaskWithSchedules {
  readonly name: string;
  readonly schedules: readonly ScheduleSpec[];
}

export interface ExportedObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: typeof KIND;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: ScheduledTaskSpecInput;
}

/**
 * One object for each schedule, named after its task: `report`, `report-2` …
 * @param namespace - left out of the metadata when absent: whoever applies the file decides then
 */
export function exportSchedules(tasks: readonly TaskWithSchedules[], namespace?: string): ExportedObject[] {
  const taken = new Set<string>();
  return tasks.flatMap((task) =>
    task.schedules.map((schedule) => ({
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name: freeName(task.name, taken), ...(namespace !== undefined && { namespace }) },
      spec: { task: task.name, ...timingFields(schedule) },
    })),
  );
}

/** The objects as one YAML text, one document each. */
export function renderSchedules(objects: readonly ExportedObject[]): string {
  return objects.map((object) => stringify(object, { lineWidth: 0 })).join('---\n');
}

function timingFields(spec: ScheduleSpec): Omit<ScheduledTaskSpecInput, 'task'> {
  const jitter = spec.jitterMs === 0 ? {} : { jitter: formatDuration(spec.jitterMs) };
  if (spec.kind === 'cron') {
    return {
      schedule: spec.expression,
      ...(spec.timeZone !== DEFAULT_TIME_ZONE && { timeZone: spec.timeZone }),
      ...jitter,
    };
  }
  const offset = spec.offsetMs === 0 ? {} : { offset: formatDuration(spec.offsetMs) };
  return { every: formatDuration(spec.intervalMs), ...offset, ...jitter };
}

/** Two tasks (`a.b` and `a-b`) may want one name, and a name may be too long: a number makes it free. */
function freeName(taskName: string, taken: Set<string>): string {
  const base = dnsName(taskName);
  for (let number = 1; ; number++) {
    const suffix = number === 1 ? '' : `-${number}`;
    const name = `${base.slice(0, OBJECT_NAME_MAX_LENGTH - suffix.length).replace(/-+$/, '')}${suffix}`;
    if (taken.has(name)) continue;
    taken.add(name);
    return name;
  }
}

/** Task names may hold `.` and `_`; `_` is not allowed in names of objects, and `.` only between parts. */
const dnsName = (taskName: string): string => taskName.replace(/[^a-z0-9]+/g, '-');
