/** Decides the slots of one schedule: each exactly once, whatever else fires beside us. */
import type { Decision, DecisionReason } from '../../schedule/reasons.ts';
import { slotRunId, triggerRunId } from '../../task/ids.ts';
import type { RunOptions } from '../../task/run.ts';
import type { ConcurrencyPolicy } from '../../task/schedule-state.ts';
import {
  FUTURE_SLOT_TOLERANCE_MS,
  type FireDecision,
  type FireEntry,
  type FireReply,
  type FireRequest,
} from '../broker.ts';
import type { QueueState } from './queue-state.ts';
import type { Run } from './run.ts';
import { takeRequest } from './requests.ts';
import { log, remember, type ScheduleEntry } from './schedule-entry.ts';

type Refusal = Extract<FireDecision, { decision: 'refused' }>['why'] | 'duplicate';
type SlotEntry = Extract<FireEntry, { kind: 'slot' }>;
type TriggerEntry = Extract<FireEntry, { kind: 'trigger' }>;

export function fire(queue: QueueState, request: FireRequest): FireReply {
  const schedule = queue.schedules.get(request.uid);
  const withdrawn = schedule?.withdrawnAtMs !== undefined;
  if (schedule === undefined || withdrawn || schedule.generation !== request.generation) {
    return { outcome: 'stale', generation: schedule?.generation ?? 0, withdrawn };
  }
  const { expectedWatermarkMs = -Infinity } = request;
  if ((schedule.watermarkMs ?? -Infinity) < expectedWatermarkMs) return { outcome: 'behind' };
  const decisions: FireDecision[] = [];
  let halfDecided = false;
  for (const entry of request.entries) {
    const decision: FireDecision = halfDecided
      ? refused('watermark')
      : decide(queue, schedule, request, entry);
    // What follows would move the watermark over slots that nobody has decided.
    halfDecided ||=
      decision.decision === 'refused' && (decision.why === 'watermark' || decision.why === 'ahead');
    decisions.push(decision);
  }
  const { watermarkMs } = schedule;
  return { outcome: 'ok', decisions, ...(watermarkMs === undefined ? {} : { watermarkMs }) };
}

const refused = (why: Exclude<Refusal, 'duplicate'>): FireDecision => ({ decision: 'refused', why });

function decide(
  queue: QueueState,
  schedule: ScheduleEntry,
  request: FireRequest,
  entry: FireEntry,
): FireDecision {
  if (entry.kind === 'trigger') return decideTrigger(queue, schedule, request, entry);
  const fromMs = entry.kind === 'slot' ? entry.slotMs : entry.fromMs;
  const toMs = entry.kind === 'slot' ? entry.slotMs : entry.toMs;
  const why = refusal(schedule, fromMs, toMs, queue.clock.now());
  if (why === 'duplicate') return { decision: 'duplicate' };
  if (why !== undefined) return refused(why);
  const isAhead = entry.kind === 'slot' && entry.slotMs > queue.clock.now();
  if (isAhead && !isUnopposed(queue, schedule, request.concurrencyPolicy)) return refused('ahead');
  schedule.watermarkMs = toMs;
  if (entry.kind === 'slot') return decideSlot(queue, schedule, request, entry);
  const { count, countIsExact, reason } = entry;
  const record = { fromMs, toMs, count, countIsExact, decision: 'missed', reason } as const;
  log(schedule, { ...record, generation: schedule.generation, decidedAtMs: queue.clock.now() });
  return { decision: 'missed', reason };
}

/** Why a slot or range may not be decided now; `undefined`: it may. */
function refusal(schedule: ScheduleEntry, fromMs: number, toMs: number, nowMs: number): Refusal | undefined {
  const watermarkMs = schedule.watermarkMs ?? -Infinity;
  if (toMs <= watermarkMs) return 'duplicate';
  if (fromMs <= watermarkMs) return 'watermark';
  if (fromMs < schedule.notBeforeMs) return 'not-before';
  if (schedule.suspended) return 'suspended';
  return toMs > nowMs + FUTURE_SLOT_TOLERANCE_MS ? 'future' : undefined;
}

/** Whether a slot that is still ahead is decided now as it would be when it comes, whatever ends until then. */
function isUnopposed(queue: QueueState, schedule: ScheduleEntry, policy: ConcurrencyPolicy): boolean {
  const { admitted, toReplace } = admit(queue, schedule, policy);
  return admitted && toReplace.length === 0;
}

function decideSlot(
  queue: QueueState,
  schedule: ScheduleEntry,
  request: FireRequest,
  entry: SlotEntry,
): FireDecision {
  const { slotMs, delayMs, expiresAtMs } = entry;
  const runId = slotRunId(schedule.uid, slotMs);
  // Its run is there although the watermark is not: a broker that lost writes. The slot was fired.
  if (queue.runs.has(runId)) return { decision: 'duplicate' };
  const verdict = admit(queue, schedule, request.concurrencyPolicy);
  if (verdict.admitted) {
    replace(queue, verdict.toReplace);
    const options = withSource(request.run.options, 'schedule', slotMs);
    const { task, priority, params } = request.run;
    const aheadMs = Math.max(0, slotMs - queue.clock.now());
    queue.add({ id: runId, task, priority, params, options, delayMs: aheadMs + delayMs, expiresAtMs });
  }
  const reason = verdict.admitted && verdict.toReplace.length === 0 ? entry.reason : verdict.reason;
  const outcome = {
    decision: verdict.admitted ? 'fired' : 'skipped',
    ...(reason === undefined ? {} : { reason }),
  } as const;
  const span = { fromMs: slotMs, toMs: slotMs, count: 1, countIsExact: true };
  log(schedule, { ...span, ...outcome, generation: schedule.generation, decidedAtMs: queue.clock.now() });
  return verdict.admitted ? { ...outcome, runId } : outcome;
}

function decideTrigger(
  queue: QueueState,
  schedule: ScheduleEntry,
  request: FireRequest,
  entry: TriggerEntry,
): FireDecision {
  const runId = triggerRunId(schedule.uid, entry.request);
  takeRequest(queue, schedule.uid, entry.request);
  if (schedule.requests.includes(entry.request) || queue.runs.has(runId)) return { decision: 'duplicate' };
  const nowMs = queue.clock.now();
  const span = { fromMs: nowMs, toMs: nowMs, count: 1, countIsExact: true, request: entry.request };
  const note = (outcome: { readonly decision: Decision; readonly reason: DecisionReason }): void => {
    log(schedule, { ...span, ...outcome, generation: schedule.generation, decidedAtMs: nowMs });
    remember(schedule, entry.request);
  };
  const reason = nowMs > (entry.notAfterMs ?? Infinity) ? 'DeadlineExceeded' : entry.refusal;
  if (reason !== undefined) {
    note({ decision: 'skipped', reason });
    return { decision: 'skipped', reason };
  }
  const verdict = admit(queue, schedule, request.concurrencyPolicy);
  if (verdict.admitted) {
    replace(queue, verdict.toReplace);
    const { task, priority, expiresInMs } = request.run;
    const params = entry.params ?? request.run.params;
    const options = withSource(request.run.options, 'trigger', undefined);
    const expiresAtMs = expiresInMs === undefined ? undefined : nowMs + expiresInMs;
    queue.add({ id: runId, task, priority, params, options, delayMs: 0, expiresAtMs });
  }
  const outcome = verdict.admitted
    ? ({ decision: 'fired', reason: 'Triggered' } as const)
    : ({ decision: 'skipped', reason: verdict.reason } as const);
  note(outcome);
  return verdict.admitted ? { ...outcome, runId } : outcome;
}

interface Verdict {
  readonly admitted: boolean;
  readonly reason: DecisionReason;
  /** Runs that must end first. */
  readonly toReplace: readonly Run[];
}

/** Whether one more run may be enqueued: by the overlap policy, then by the room there is. */
function admit(queue: QueueState, schedule: ScheduleEntry, policy: ConcurrencyPolicy): Verdict {
  const inFlight = [...schedule.inFlight.values()];
  if (policy === 'Forbid' && inFlight.length > 0)
    return { admitted: false, reason: 'Overlap', toReplace: [] };
  const toReplace = policy === 'Replace' ? inFlight : [];
  const waiting = queue.waiting - toReplace.filter((run) => run.state !== 'running').length;
  const { maxPending, maxPendingPerSchedule } = queue.settings;
  const hasRoom = waiting < maxPending && inFlight.length - toReplace.length < maxPendingPerSchedule;
  return hasRoom
    ? { admitted: true, reason: 'Replaced', toReplace }
    : { admitted: false, reason: 'Backlog', toReplace: [] };
}

/** Ends what waits and fences what runs, so that nothing of it can be settled any more. */
function replace(queue: QueueState, runs: readonly Run[]): void {
  // In the order of their ids, which is that of their slots: the newest is the last run that the schedule shows.
  const ordered = runs.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  for (const run of ordered) {
    if (run.state === 'running' && run.incarnation !== undefined) {
      queue.incarnations.get(run.incarnation)?.fenced.set(run.id, 'Replaced');
    }
    queue.end(run, 'cancelled', { cancelReason: 'Replaced' });
  }
}

/** The options as given, with the source and slot that only the firing knows. */
function withSource(
  options: RunOptions,
  source: 'schedule' | 'trigger',
  slotMs: number | undefined,
): RunOptions {
  const { schedule } = options;
  if (schedule === undefined) return { ...options, source };
  const { slotMs: _given, ...rest } = schedule;
  return { ...options, source, schedule: { ...rest, ...(slotMs === undefined ? {} : { slotMs }) } };
}
