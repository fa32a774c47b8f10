/** What a consumer tells whoever watches it (metrics, the output of `dev`): called synchronously, must be quick and not throw. */
import type { Executor, FailureReason, Outcome, RunRecord } from '../task/run.ts';
import type { SettleAnswer } from '../broker/broker.ts';

export interface RunStartedEvent {
  readonly queue: string;
  readonly task: string;
  readonly executor: Executor;
  readonly record: RunRecord;
  /** From ready (enqueued or due) to claimed, by the broker's clock, ms. */
  readonly waitMs: number;
}

/** How an attempt ended for this consumer; `lost`: its lease was gone, nothing was written. */
export type AttemptOutcome = Outcome | { readonly kind: 'lost' };

export interface RunFinishedEvent extends RunStartedEvent {
  readonly outcome: AttemptOutcome;
  /** From start of the body to its end, or to the moment it was given up, ms. */
  readonly durationMs: number;
}

export interface RunLostEvent {
  readonly queue: string;
  readonly task: string;
  readonly runId: string;
}

export interface DeadLetterEvent extends RunLostEvent {
  readonly reason: FailureReason;
}

export interface ConsumerObserver {
  /** A claim was answered. */
  claimed(event: { readonly queue: string; readonly count: number }): void;
  /** A claim or settle call failed; it is repeated with back-off. */
  callFailed(event: {
    readonly queue: string;
    readonly call: 'cycle' | 'held' | 'register';
    readonly error: unknown;
  }): void;
  /** The settle part of a call worked and its claim part did not. */
  claimError(event: { readonly queue: string; readonly message: string }): void;
  runStarted(event: RunStartedEvent): void;
  /** The one place where the end of an attempt is counted: once for each `runStarted`. */
  runFinished(event: RunFinishedEvent): void;
  /** A settlement was answered. `unknown` means that nothing was written: the lease was lost. */
  settled(event: { readonly queue: string; readonly answer: SettleAnswer; readonly count: number }): void;
  /** The broker no longer holds this run for us: it was aborted, or its settlement was refused. */
  leaseLost(event: RunLostEvent): void;
  /** A run ended as failed, here or by recovery. */
  deadLettered(event: DeadLetterEvent): void;
  /** A lease renewal by the heartbeat. */
  leaseRenewal(result: 'ok' | 'lost' | 'error'): void;
  /** A recovery pass that ended incarnations, returned runs or granted an amnesty. */
  recovered(event: {
    readonly queue: string;
    readonly ended: number;
    readonly returned: number;
    readonly amnesty: boolean;
  }): void;
  promoted(event: {
    readonly queue: string;
    readonly promoted: number;
    readonly expired: number;
    readonly dropped: number;
  }): void;
  /** The event loop stood still. `task`: whose code was running, as far as it could be told. */
  loopBlocked(event: {
    readonly task: string | undefined;
    readonly lagMs: number;
    readonly at: string | undefined;
  }): void;
  /** A body went on after its deadline and grace: its slot is out of use until it returns. `leaked`: slots out of use now. */
  slotLeaked(event: {
    readonly queue: string;
    readonly task: string;
    readonly runId: string;
    readonly leaked: number;
  }): void;
  slotReturned(event: {
    readonly queue: string;
    readonly task: string;
    readonly runId: string;
    readonly leaked: number;
  }): void;
  /** Slots changed hands. */
  slots(event: { readonly executor: Executor; readonly total: number; readonly busy: number }): void;
  /** The consumer drains: by signal, or because too many slots leaked and it asks to be replaced. */
  draining(event: { readonly reason: 'signal' | 'leaked-slots'; readonly running: number }): void;
}

const ignore = (): void => undefined;

/** Watches nothing; spread it to implement only some of the calls. */
export const SILENT_OBSERVER: ConsumerObserver = {
  claimed: ignore,
  callFailed: ignore,
  claimError: ignore,
  runStarted: ignore,
  runFinished: ignore,
  settled: ignore,
  leaseLost: ignore,
  deadLettered: ignore,
  leaseRenewal: ignore,
  recovered: ignore,
  promoted: ignore,
  loopBlocked: ignore,
  slotLeaked: ignore,
  slotReturned: ignore,
  slots: ignore,
  draining: ignore,
};
