/** Which waiting runs an incarnation is handed, and in which order. */
import { EXECUTORS, type Executor } from '../../task/run.ts';
import type { ClaimedRun } from '../broker.ts';
import type { Lane } from './lanes.ts';
import type { Incarnation, QueueState } from './queue-state.ts';
import { recordOf, type Run } from './run.ts';

type Slots = Readonly<Record<Executor, number>>;

/** Takes up to as many runs as there are free slots, one suspect first, then the lanes by turns. */
export function claim(queue: QueueState, incarnation: Incarnation, slots: Slots): ClaimedRun[] {
  if (queue.paused) return [];
  const left = { ...slots };
  const claimed: ClaimedRun[] = [];
  const handOut = (run: Run): void => {
    queue.start(run, incarnation);
    claimed.push({ record: recordOf(run, queue.name), token: run.token ?? '', suspect: run.suspect });
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
  return claimed;
}

/** Whether a further claim with free slots would find something. */
export function hasMoreFor(queue: QueueState, incarnation: Incarnation): boolean {
  if (queue.paused) return false;
  for (const lane of queue.lanes.all()) {
    if (lane.ready && lane.kind !== 'suspect' && incarnation.taskNames.has(lane.task)) return true;
  }
  return suspectLane(queue, incarnation, { io: 1, cpu: 1 }) !== undefined;
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
