/** Why a schedule did or did not run, as far as its object tells: for people who reach the cluster but not Redis. */
import type { ScheduledTask, ScheduledTaskStatus } from '../../resource/scheduled-task.ts';
import { timingOf } from '../../resource/to-schedule.ts';
import { showDuration, showInstant, showRelative } from '../format.ts';

type Recent = NonNullable<ScheduledTaskStatus['recent']>[number];

export interface StatusAnswer {
  /** What became of the slot that was asked about; `unknown`: the object does not tell. */
  readonly verdict: 'fired' | 'skipped' | 'missed' | 'not-yet' | 'no-slot' | 'unknown' | 'state';
  /** In order, for people. */
  readonly sentences: readonly string[];
}

const VERDICT_OF = { Fired: 'fired', Skipped: 'skipped', Missed: 'missed' } as const;

/** The state of the schedule, and its newest decisions. */
export function stateAnswer({ metadata, status }: ScheduledTask, nowMs: number): StatusAnswer {
  return {
    verdict: 'state',
    sentences: [
      ...readiness(metadata.generation, status),
      ...lastRunSentences(status, nowMs),
      ...triggerSentences(status, nowMs),
      ...(status?.nextScheduleTime === undefined
        ? []
        : [`The next slot is ${instant(status.nextScheduleTime, nowMs)}.`]),
      ...((status?.recent ?? []).length === 0 ? ['No slot has been decided yet.'] : ['Newest decisions:']),
      ...(status?.recent ?? []).map((row) => `  ${decisionLine(row, nowMs)}`),
    ],
  };
}

/** What became of the slot at, or within the second of, an instant. */
export function slotAnswer(object: ScheduledTask, atMs: number, nowMs: number): StatusAnswer {
  const { metadata, status, spec } = object;
  const about = [
    ...readiness(metadata.generation, status),
    `Spec now (generation ${metadata.generation ?? '?'}); what was in force earlier, only \`tidemill schedules why\` with access to Redis can tell.`,
  ];
  const row = (status?.recent ?? []).find(
    ({ slot, count = 1 }) => count === 1 && sameSecond(Date.parse(slot), atMs),
  );
  if (row !== undefined)
    return { verdict: VERDICT_OF[row.decision], sentences: [`${decisionLine(row, nowMs)}.`, ...about] };
  const timing = timingOf(spec);
  if (timing.kind !== 'timing') return { verdict: 'unknown', sentences: [timing.message, ...about] };
  const slotMs = timing.schedule.next(atMs - 1);
  if (slotMs === undefined || !sameSecond(slotMs, atMs))
    return {
      verdict: 'no-slot',
      sentences: [`By its present spec the schedule has no slot at ${showInstant(atMs)}.`, ...about],
    };
  const settled = status?.settledThroughTime;
  if (settled === undefined || Date.parse(settled) < slotMs)
    return {
      verdict: 'not-yet',
      sentences: [
        `The slot ${showInstant(slotMs)} has no decision in the status yet${slotMs > nowMs ? ': it is still ahead' : ': no controller is at work, or it is behind, or the status lags'}.`,
        ...about,
      ],
    };
  return {
    verdict: 'unknown',
    sentences: [
      `The slot ${showInstant(slotMs)} was decided, but the status keeps only the newest decisions: ask \`tidemill schedules why ${metadata.namespace}/${metadata.name} --at ${new Date(slotMs).toISOString()}\`, which reads Redis.`,
      ...about,
    ],
  };
}

function readiness(
  generation: number | undefined,
  status: ScheduledTaskStatus | undefined,
): readonly string[] {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready === undefined) return ['No controller has seen this object yet.'];
  const behind =
    generation !== undefined &&
    (status?.observedGeneration ?? -1) >= 0 &&
    status?.observedGeneration !== generation
      ? [
          `The newest change (generation ${generation}) is not in force yet: the controller acted on generation ${status?.observedGeneration ?? '?'}.`,
        ]
      : [];
  return [`Ready is ${ready.status}, ${ready.reason}: ${ready.message}.`, ...behind];
}

function lastRunSentences(status: ScheduledTaskStatus | undefined, nowMs: number): readonly string[] {
  const run = status?.lastRun;
  if (run?.id === undefined) return [];
  const { startTime, completionTime } = run;
  const took =
    startTime === undefined || completionTime === undefined
      ? ''
      : ` after ${showDuration(Date.parse(completionTime) - Date.parse(startTime))}`;
  const when = completionTime === undefined ? '' : ` ${instant(completionTime, nowMs)}`;
  const why =
    run.reason === undefined
      ? ''
      : `: ${run.reason}${run.message === undefined ? '' : `, ${run.message.split('\n')[0] ?? ''}`}`;
  return [`The last run, ${run.id}, ${run.state ?? 'ended'}${took}${when}${why}.`];
}

function triggerSentences(status: ScheduledTaskStatus | undefined, nowMs: number): readonly string[] {
  const { request, state, runId, time } = status?.lastTrigger ?? {};
  if (request === undefined) return [];
  const run = runId === undefined ? '' : `, run ${runId}`;
  return [
    `The last run by hand, ${request}, is ${state ?? 'unknown'}${run}${time === undefined ? '' : `, ${instant(time, nowMs)}`}.`,
  ];
}

function decisionLine({ slot, count = 1, decision, reason, runId }: Recent, nowMs: number): string {
  const row = count === 1 ? '' : ` and ${count - 1} more in a row`;
  const because = reason === undefined ? '' : ` (${reason})`;
  const run = runId === undefined ? '' : `, run ${runId}`;
  return `${instant(slot, nowMs)}${row}: ${decision}${because}${run}`;
}

const instant = (time: string, nowMs: number): string =>
  `${showInstant(Date.parse(time))} (${showRelative(Date.parse(time), nowMs)})`;

const sameSecond = (slotMs: number, atMs: number): boolean => slotMs >= atMs && slotMs - atMs < 1_000;
