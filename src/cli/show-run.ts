/** A run as people and programs see it. */
import type { RunRecord } from '../task/run.ts';
import { printable, shorten, showInstant, showRelative, showTook } from './format.ts';
import type { Column } from './table.ts';

export function runColumns(nowMs: number): readonly Column<RunRecord>[] {
  return [
    { heading: 'RUN', cell: ({ id }) => id },
    { heading: 'TASK', cell: ({ task }) => task },
    { heading: 'STATE', cell: ({ state }) => state },
    { heading: 'ATTEMPT', cell: ({ attempt }) => attempt, align: 'right' },
    { heading: 'ENQUEUED', cell: ({ enqueuedAtMs }) => showRelative(enqueuedAtMs, nowMs), align: 'right' },
    { heading: 'TOOK', cell: (run) => durationOf(run, nowMs), align: 'right' },
    { heading: 'NOTE', cell: (run) => shorten(noteOf(run, nowMs), 70) },
  ];
}

function durationOf({ startedAtMs, endedAtMs, state }: RunRecord, nowMs: number): string | undefined {
  if (startedAtMs === undefined) return undefined;
  if (endedAtMs !== undefined) return showTook(startedAtMs, endedAtMs);
  return state === 'running' ? showTook(startedAtMs, nowMs) : undefined;
}

function noteOf({ state, dueAtMs, error, cancelReason, options }: RunRecord, nowMs: number): string {
  const notes = [
    ...(options.schedule === undefined ? [] : [`${options.schedule.namespace}/${options.schedule.name}`]),
    ...(state === 'delayed' && dueAtMs !== undefined ? [`due ${showRelative(dueAtMs, nowMs)}`] : []),
    ...(error === undefined ? [] : [`${error.reason}: ${error.message}`]),
    ...(cancelReason === undefined ? [] : [cancelReason]),
  ];
  return notes.join('; ');
}

/** All about one run, a line for each fact. */
export function runDetails(run: RunRecord, nowMs: number): string {
  const { options, error } = run;
  const at = (ms: number | undefined): string | undefined =>
    ms === undefined ? undefined : `${showInstant(ms)} (${showRelative(ms, nowMs)})`;
  const facts: readonly (readonly [string, string | number | undefined])[] = [
    ['run', run.id],
    ['task', run.task],
    ['queue', run.queue],
    ['state', run.state],
    ['priority', run.priority],
    ['attempt', run.attempt],
    ['deaths', run.deaths === 0 ? undefined : run.deaths],
    ['source', options.source],
    ['schedule', options.schedule && `${options.schedule.namespace}/${options.schedule.name}`],
    ['slot', options.schedule?.slotMs === undefined ? undefined : showInstant(options.schedule.slotMs)],
    ['parent', options.parentId],
    ['root', options.rootId === options.parentId ? undefined : options.rootId],
    ['enqueued', at(run.enqueuedAtMs)],
    ['due', at(run.dueAtMs)],
    ['expires', at(run.expiresAtMs)],
    ['started', at(run.startedAtMs)],
    ['ended', at(run.endedAtMs)],
    ['took', durationOf(run, nowMs)],
    ['held by', run.incarnation],
    ['params', shorten(run.params, 2_000)],
    ['result', run.result === undefined ? undefined : shorten(run.result, 2_000)],
    ['cancelled', run.cancelReason],
    ['error', error && `${error.reason}: ${error.name}: ${error.message}`],
  ];
  const lines = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name.padEnd(10)}${printable(String(value))}\n`],
  );
  const stack =
    error?.stack === undefined ? [] : error.stack.split('\n').map((line) => `  ${printable(line)}\n`);
  return [...lines, ...stack].join('');
}

/** JSON of a run with its texts parsed, instants as ISO texts. */
export function runJson(run: RunRecord): Readonly<Record<string, unknown>> {
  const { params, result, enqueuedAtMs, dueAtMs, expiresAtMs, startedAtMs, endedAtMs, options, ...rest } =
    run;
  const { schedule, ...origin } = options;
  return {
    ...rest,
    ...origin,
    ...(schedule && {
      schedule: {
        uid: schedule.uid,
        namespace: schedule.namespace,
        name: schedule.name,
        slot: isoOf(schedule.slotMs),
      },
    }),
    enqueuedAt: isoOf(enqueuedAtMs),
    dueAt: isoOf(dueAtMs),
    expiresAt: isoOf(expiresAtMs),
    startedAt: isoOf(startedAtMs),
    endedAt: isoOf(endedAtMs),
    params: parsed(params),
    ...(result !== undefined && { result: parsed(result) }),
  };
}

const isoOf = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

/** A record that something else wrote may hold no JSON: then the text is shown as it is. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
