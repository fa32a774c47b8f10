/** How an attempt ends: fenced by incarnation and token, and decided by the outcome that the consumer reports. */
import { unreachable } from '../../runtime/errors.ts';
import type { RunError } from '../../task/run.ts';
import { REJECTED_DELAY_MS, type SettleAnswer, type Settlement } from '../broker.ts';
import type { Incarnation, QueueState } from './queue-state.ts';
import type { Run } from './run.ts';
import { descriptionIn } from './task-table.ts';

export function settle(
  queue: QueueState,
  incarnation: Incarnation,
  { id, token, outcome }: Settlement,
): SettleAnswer {
  const run = incarnation.held.get(id);
  incarnation.fenced.delete(id);
  if (run?.token !== token) return 'unknown';
  switch (outcome.kind) {
    case 'succeeded':
      queue.end(run, 'succeeded', outcome.result === undefined ? {} : { result: outcome.result });
      return 'settled';
    case 'failed':
      queue.end(run, 'failed', { error: outcome.error });
      return 'settled';
    case 'cancelled':
      queue.end(run, 'cancelled', { cancelReason: run.cancelRequested ?? outcome.reason });
      return 'settled';
    case 'retry':
      retryLater(queue, run, outcome);
      return 'settled';
    case 'released':
      giveBack(queue, run, outcome.delayMs ?? 0);
      return 'settled';
    case 'rejected':
      return reject(queue, incarnation, run, outcome.error);
    default:
      return unreachable(outcome);
  }
}

/** Back with no attempt used: to the front at once, or after a while to the end. */
export function giveBack(queue: QueueState, run: Run, delayMs: number): void {
  if (endIfCancelled(queue, run)) return;
  queue.withdraw(run);
  run.attempt -= 1;
  if (delayMs > 0) queue.putDelayed(run, queue.clock.now() + delayMs);
  else queue.putBack(run, 'front');
  queue.watchExpiry(run);
}

function retryLater(
  queue: QueueState,
  run: Run,
  { delayMs, error }: { delayMs: number; error: RunError },
): void {
  if (endIfCancelled(queue, run)) return;
  queue.withdraw(run);
  run.error = error;
  run.suspect = false;
  if (delayMs > 0) queue.putDelayed(run, queue.clock.now() + delayMs);
  else queue.putBack(run, 'back');
}

function reject(queue: QueueState, incarnation: Incarnation, run: Run, error: RunError): SettleAnswer {
  if (endIfCancelled(queue, run)) return 'settled';
  if (anotherSchemaIsLive(queue, incarnation, run.task)) {
    giveBack(queue, run, REJECTED_DELAY_MS);
    return 'returned';
  }
  queue.end(run, 'failed', { error });
  return 'settled';
}

/** A run that would go on or be tried again ends instead when its cancellation was asked for. */
export function endIfCancelled(queue: QueueState, run: Run): boolean {
  const cancelReason = run.cancelRequested;
  if (cancelReason === undefined) return false;
  queue.end(run, 'cancelled', { cancelReason });
  return true;
}

/** Whether a registered consumer, perhaps one that could read these params, publishes another schema of the task. */
function anotherSchemaIsLive(queue: QueueState, settler: Incarnation, task: string): boolean {
  const own = descriptionIn(settler.manifest, task)?.schemaHash;
  for (const { manifest } of queue.incarnations.values()) {
    const other = descriptionIn(manifest, task);
    if (other !== undefined && other.schemaHash !== own) return true;
  }
  return false;
}
