/** Compares what the broker says we hold with what we run, and mends both: after a lost reply, and every 10 s (twice `idleMs`). */
import type { ConsumerPort } from '../broker/broker.ts';
import type { QueueCalls } from './queue-calls.ts';
import type { QueueSession } from './queue-session.ts';
import { handOutKey, type HeldRun, type RunTable } from './run-table.ts';

export interface HandOut {
  readonly id: string;
  readonly token: string;
}

export interface HeldDifference {
  /** Held by us in the broker's books, unknown here: the reply that gave them to us was lost. To be released. */
  readonly orphans: readonly HandOut[];
  /** Known here, no longer ours: recovered, or settled by a call without a reply. Nothing may be written. */
  readonly gone: readonly HeldRun[];
}

/** Pure. Both sides must be of one moment: no claim and no settle under way. */
export function compareHeld(brokers: readonly HandOut[], ours: readonly HeldRun[]): HeldDifference {
  const theirKeys = new Set(brokers.map(handOutKey));
  const ourKeys = new Set(ours.map(handOutKey));
  return {
    orphans: brokers.filter((run) => !ourKeys.has(handOutKey(run))),
    gone: ours.filter((run) => !theirKeys.has(handOutKey(run))),
  };
}

export interface ReconcileOptions {
  readonly work: ConsumerPort;
  readonly calls: QueueCalls;
  readonly session: QueueSession;
  readonly table: RunTable;
  readonly onLeaseGone: (incarnation: string) => void;
  readonly onOrphan: (orphan: HandOut, incarnation: string) => void;
  /** The run was taken from us: abort it, write nothing. */
  readonly onLost: (run: HeldRun) => void;
}

/** @throws whatever `held` throws: nothing was changed then, and the doubt remains */
export function reconcileHeld(options: ReconcileOptions): Promise<void> {
  const { work, calls, session, table, onLeaseGone, onOrphan, onLost } = options;
  return calls.exclusive(async () => {
    const { incarnation } = session;
    if (incarnation === undefined) return;
    const held = await work.held(incarnation);
    if (held.lease === 'gone') {
      onLeaseGone(incarnation);
      return;
    }
    if (session.incarnation !== incarnation) return;
    const { orphans, gone } = compareHeld(held.runs, table.all());
    // A settlement that was sent without an answer and is no longer held did its work: it is not lost.
    for (const { run } of calls.settlements.resolveDoubt(new Set(held.runs.map(handOutKey))))
      table.remove(run);
    for (const run of gone) if (table.has(run)) onLost(run);
    for (const orphan of orphans) onOrphan(orphan, incarnation);
  });
}
