/** Which waiting runs an incarnation is handed, and in which order. */
import { EXECUTORS, type Executor } from '../../task/run.ts';
import { type ClaimBudget, type ClaimedRun, EARLY_CLAIM_MS } from '../broker.ts';
import type { Lane } from './lanes.ts';
import type { Incarnation, QueueState } from './queue-state.ts';
import { recordOf, type Run } from './run.ts';

type Slots = Readonly<Record<Executor, number>>;

/** Takes up to as many runs as there are free slots, one suspect first, then the lanes by turns; then those that are due soon. */
export function claim(queue: QueueState, incarnation: Incarnation, want: ClaimBudget): ClaimedRun[] {
  if (queue.paused) return [];
  const left = { io: want.io, cpu: want.cpu };
  const claimed: ClaimedRun[] = [];
  const handOut = (run: Run, early = false): void => {
    queue.start(run, incarnation);
    claimed.push({ record: recordOf(run, queue.name), token: run.token ?? '', suspect: run.suspect, early });
  };

  const suspects = suspectLane(queue, incarnation, left);
  const suspect = suspects?.runs.first;
  if (suspects !== undefined && suspect !== undefined) {
    const executor = queue.executorOf(suspect.task);
    if (executor !== undefined) left[executor] -= 1;
    handOut(suspect);
    queue.lanes.charge(suspects, 1);
  }
  for (const executor of EXECUTORS) claimFromLanes(queue, incarnation, executor, left[executor], handOut);
  const { early = 0 } = want;
  if (early > 0 && !hasMoreFor(queue, incarnation, ['io']))
    for (const run of earlyRuns(queue, incarnation, early)) handOut(run, true);
  return claimed;
}

/** Delayed runs that may be handed out before they are due: nothing but their time holds them back. */
function earlyRuns(queue: QueueState, incarnation: Incarnation, count: number): Run[] {
  const nowMs = queue.clock.now();
  const ids = queue.delayed.between(nowMs - EARLY_CLAIM_MS, nowMs + EARLY_CLAIM_MS, count);
  return ids.flatMap((id) => {
    const run = queue.runs.get(id);
    return run !== undefined && goesEarly(queue, run) && incarnation.taskNames.has(run.task) ? [run] : [];
  });
}

function goesEarly(queue: QueueState, run: Run): boolean {
  return run.attempt === 0 && !run.suspect && !isExpired(queue, run) && queue.goesEarly(run.task);
}

/** Whether a further claim with free slots would find something. */
export function hasMoreFor(
  queue: QueueState,
  incarnation: Incarnation,
  executors: readonly Executor[] = EXECUTORS,
): boolean {
  if (queue.paused) return false;
  for (const lane of queue.lanes.all()) {
    const executor = queue.executorOf(lane.task);
    if (executor === undefined || !executors.includes(executor)) continue;
    if (lane.ready && lane.kind !== 'suspect' && incarnation.taskNames.has(lane.task)) return true;
  }
  const slots = { io: Number(executors.includes('io')), cpu: Number(executors.includes('cpu')) };
  return suspectLane(queue, incarnation, slots) !== undefined;
}

function claimFromLanes(
  queue: QueueState,
  incarnation: Incarnation,
  executor: Executor,
  slots: number,
  handOut: (run: Run) => void,
): void {
  const lanes = queue.lanes.candidates(executor, (task) => incarnation.taskNames.has(task));
  let left = slots;
  for (let turn = queue.lanes.turn(lanes); turn !== undefined && left > 0; turn = queue.lanes.turn(lanes)) {
    const { lane, quantum } = turn;
    const wanted = Math.min(quantum, left);
    let taken = 0;
    for (let run = lane.runs.first; run !== undefined && taken < wanted; run = lane.runs.first) {
      if (isExpired(queue, run)) {
        queue.end(run, 'expired', {});
        continue;
      }
      handOut(run);
      taken += 1;
    }
    queue.lanes.charge(lane, taken);
    left -= taken;
  }
}

/** Where the next suspect waits that may be handed out: none to an incarnation that holds one. */
function suspectLane(queue: QueueState, incarnation: Incarnation, slots: Slots): Lane | undefined {
  const suspects = queue.lanes.suspectTurn(
    (task, executor) => slots[executor] > 0 && incarnation.taskNames.has(task),
  );
  return suspects !== undefined && holdsSuspect(incarnation) ? undefined : suspects;
}

function holdsSuspect(incarnation: Incarnation): boolean {
  for (const run of incarnation.held.values()) if (run.suspect) return true;
  return false;
}

function isExpired(queue: QueueState, run: Run): boolean {
  return run.attempt === 0 && run.expiresAtMs !== undefined && run.expiresAtMs <= queue.clock.now();
}
