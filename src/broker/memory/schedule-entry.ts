/** What the queue remembers of one schedule, and how runs that begin and end show in it. */
import { slotOfRunId } from '../../task/ids.ts';
import type { TerminalState } from '../../task/run.ts';
import type { DecisionRecord, Era, LastRun, ScheduleState } from '../../task/schedule-state.ts';
import { DECISION_LOG_CAP, ERA_CAP, TRIGGER_MEMORY, type AdoptRequest } from '../broker.ts';
import type { Run } from './run.ts';

export interface ScheduleEntry {
  readonly uid: string;
  install: string;
  namespace: string;
  name: string;
  generation: number;
  withdrawnAtMs: number | undefined;
  suspended: boolean;
  notBeforeMs: number;
  watermarkMs: number | undefined;
  /** Pending, delayed and running runs, oldest first. */
  readonly inFlight: Map<string, Run>;
  readonly counts: { succeeded: number; failed: number; missed: number; skipped: number; fired: number };
  lastSucceededAtMs: number | undefined;
  lastFailedAtMs: number | undefined;
  lastRun: LastRun | undefined;
  /** Oldest first; the last is in force unless the schedule is withdrawn. */
  readonly eras: Era[];
  readonly log: DecisionRecord[];
  /** Requests by hand that were decided, oldest first. */
  readonly requests: string[];
}

export function newEntry({ uid, install, namespace, name }: AdoptRequest): ScheduleEntry {
  return {
    ...{
      uid,
      install,
      namespace,
      name,
      generation: 0,
      withdrawnAtMs: undefined,
      suspended: false,
      notBeforeMs: 0,
    },
    ...{
      watermarkMs: undefined,
      lastSucceededAtMs: undefined,
      lastFailedAtMs: undefined,
      lastRun: undefined,
    },
    ...{ inFlight: new Map<string, Run>(), eras: [], log: [], requests: [] },
    counts: { succeeded: 0, failed: 0, missed: 0, skipped: 0, fired: 0 },
  };
}

/** Begins the era of a generation. */
export function beginEra(entry: ScheduleEntry, request: AdoptRequest, nowMs: number): void {
  const { generation, suspended, spec, install, namespace, name, startMs, settledThroughMs } = request;
  const isUnknown = entry.eras.length === 0;
  if (isUnknown && request.handledRequest !== undefined) remember(entry, request.handledRequest);
  // Its adopter remembers what we lost: the era goes on where it was settled.
  const isRestored = isUnknown && settledThroughMs !== undefined;
  if (isRestored) entry.watermarkMs = settledThroughMs;
  // A new era that began before a slot that was decided ahead would own slots below the watermark, which nobody can decide.
  const afterDecidedMs = (entry.watermarkMs ?? -Infinity) + 1;
  const fromMs = isRestored ? afterDecidedMs : Math.max(nowMs, afterDecidedMs);
  closeEra(entry, fromMs);
  entry.eras.push({ generation, fromMs, suspended, spec });
  if (entry.eras.length > ERA_CAP) entry.eras.shift();
  Object.assign(entry, { generation, suspended, install, namespace, name, withdrawnAtMs: undefined });
  entry.notBeforeMs = Math.max(fromMs, startMs ?? fromMs);
}

export function closeEra(entry: ScheduleEntry, untilMs: number): void {
  const last = entry.eras.pop();
  if (last !== undefined) entry.eras.push(last.untilMs === undefined ? { ...last, untilMs } : last);
}

/** Appends a decision, or lets the newest record grow when the decision is like it. */
export function log(entry: ScheduleEntry, record: DecisionRecord): void {
  entry.counts[record.decision] += record.count;
  const last = entry.log.at(-1);
  if (last !== undefined && isLike(last, record)) {
    entry.log.pop();
    const { toMs, count, countIsExact } = record;
    entry.log.push({
      ...last,
      toMs,
      count: last.count + count,
      countIsExact: last.countIsExact && countIsExact,
    });
    return;
  }
  entry.log.push(record);
  if (entry.log.length > DECISION_LOG_CAP) entry.log.shift();
}

function isLike(a: DecisionRecord, b: DecisionRecord): boolean {
  const byHand = a.request !== undefined || b.request !== undefined;
  return !byHand && a.decision === b.decision && a.reason === b.reason && a.generation === b.generation;
}

export function remember(entry: ScheduleEntry, request: string): void {
  entry.requests.push(request);
  if (entry.requests.length > TRIGGER_MEMORY) entry.requests.shift();
}

export function noteStart(entry: ScheduleEntry, run: Run): void {
  entry.inFlight.set(run.id, run);
}

export function noteEnd(entry: ScheduleEntry, run: Run, state: TerminalState): void {
  entry.inFlight.delete(run.id);
  const endedAtMs = run.endedAtMs ?? 0;
  if (state === 'succeeded') {
    entry.counts.succeeded += 1;
    entry.lastSucceededAtMs = endedAtMs;
  } else if (state === 'failed') {
    entry.counts.failed += 1;
    entry.lastFailedAtMs = endedAtMs;
  }
  const slotMs = slotOfRunId(run.id);
  entry.lastRun = {
    ...{ id: run.id, state, endedAtMs, attempt: run.attempt },
    ...(slotMs === undefined ? {} : { slotMs }),
    ...(run.startedAtMs === undefined ? {} : { startedAtMs: run.startedAtMs }),
    ...(run.error === undefined ? {} : { error: run.error }),
  };
}

export function stateOf(entry: ScheduleEntry): ScheduleState {
  const { uid, generation, withdrawnAtMs, suspended, notBeforeMs, watermarkMs, counts, inFlight } = entry;
  const { lastSucceededAtMs, lastFailedAtMs, lastRun } = entry;
  return {
    ...{
      uid,
      generation,
      withdrawn: withdrawnAtMs !== undefined,
      suspended,
      notBeforeMs,
      active: inFlight.size,
    },
    ...counts,
    ...(watermarkMs === undefined ? {} : { watermarkMs }),
    ...(lastSucceededAtMs === undefined ? {} : { lastSucceededAtMs }),
    ...(lastFailedAtMs === undefined ? {} : { lastFailedAtMs }),
    ...(lastRun === undefined ? {} : { lastRun }),
  };
}
