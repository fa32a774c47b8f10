/** Tells log and metrics what the broker answered to a settlement. An `unknown` is never sent again. */
import type { SettleAnswer } from '../broker/broker.ts';
import type { Log } from '../telemetry/log.ts';
import type { ConsumerObserver } from './observer.ts';
import type { SettleEntry } from './settle-batcher.ts';

export interface AnsweredSettlement {
  readonly entry: SettleEntry;
  readonly answer: SettleAnswer;
  readonly queue: string;
  readonly observer: ConsumerObserver;
  readonly log: Log;
}

export function reportAnswer({ entry, answer, queue, observer, log }: AnsweredSettlement): void {
  const { run, outcome } = entry;
  observer.settled({ queue, answer, count: 1 });
  const task = run.record?.task ?? 'unknown';
  if (answer === 'unknown') {
    // After a lost reply this is what success looks like: the first sending settled it. A run that was replaced, or
    // cancelled, was taken from us before we were told to stop it.
    if (run.sentBefore || run.record === undefined || outcome.kind === 'cancelled') {
      log.debug('settlement had been answered before', { queue, task, run: run.id });
      return;
    }
    observer.leaseLost({ queue, task, runId: run.id });
    log.warn('settlement refused: the lease was lost', { queue, task, run: run.id, outcome: outcome.kind });
    return;
  }
  if (answer !== 'settled') return;
  if (outcome.kind === 'failed' || outcome.kind === 'rejected') {
    observer.deadLettered({ queue, task, runId: run.id, reason: outcome.error.reason });
  }
}
