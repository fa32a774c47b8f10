/** What the claim loop of one queue is made of. */
import type { ConsumerPort } from '../broker/broker.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Executor } from '../task/run.ts';
import type { Log } from '../telemetry/log.ts';
import type { ConsumerObserver } from './observer.ts';
import type { QueueCalls } from './queue-calls.ts';
import type { QueueSession } from './queue-session.ts';
import type { Runner } from './runner.ts';
import type { HeldRun, RunTable } from './run-table.ts';
import type { SlotPool } from './slots.ts';

export interface ClaimLoopOptions {
  readonly queue: string;
  readonly work: ConsumerPort;
  readonly calls: QueueCalls;
  readonly session: QueueSession;
  readonly table: RunTable;
  readonly runner: Runner;
  readonly slots: Readonly<Record<Executor, SlotPool>>;
  /** False while no CPU-bound run can be started. */
  readonly cpuReady: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: ConsumerObserver;
  readonly random: () => number;
  readonly release: (run: HeldRun) => void;
  /** Longest wait for a wake-up, ms: a lost one costs no more than this. */
  readonly idleMs: number;
}
