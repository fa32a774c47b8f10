/**
 * One attempt from its start to its end: joins what can stop it, and settles on time even when the body does not listen.
 *
 * The first cause to stop it wins. After the cause comes a grace; a body that is still busy then is left alone, its slot
 * is out of use until it returns, and the attempt ends without it.
 */
import type { Clock, Timer } from '../runtime/clock.ts';
import type { AttemptResult } from '../task/invoke.ts';
import type { ExecuteRequest, RunExecutor } from './executor.ts';
import { StopError } from './stop-error.ts';

/** How long a run may wait inside its executor for a child process before its timeout counts anyway. */
const START_ALLOWANCE_MS = 30_000;

/** How an attempt ended. Exactly one of `result`, `startError` and `abandoned` tells about the body. */
export interface ExecutionEnd {
  readonly result?: AttemptResult;
  /** The body never began, and not by its own fault. */
  readonly startError?: unknown;
  /** The body did not answer the stop within its grace: it may still be running. */
  readonly abandoned?: true;
  readonly stop?: StopError;
  readonly durationMs: number;
}

export interface ExecutionOptions {
  readonly clock: Clock;
  readonly executor: RunExecutor;
  readonly request: Omit<ExecuteRequest, 'signal' | 'started'>;
  /** From the stop to giving up on the body, ms. */
  readonly graceMs: number;
  /** Called once, never before the constructor has returned. */
  readonly onEnd: (end: ExecutionEnd) => void;
}

export class Execution {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #timeoutMs: number;
  readonly #controller = new AbortController();
  readonly #onEnd: (end: ExecutionEnd) => void;
  #returned = false;
  /** Hardly any body outlives its attempt, so nothing is made for those that do not. */
  #whenReturned: PromiseWithResolvers<undefined> | undefined;
  readonly #beganMs: number;
  #timer: Timer | undefined;
  #stop: StopError | undefined;
  #ended = false;

  constructor({ clock, executor, request, graceMs, onEnd }: ExecutionOptions) {
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.#graceMs = graceMs;
    this.#timeoutMs = request.timeoutMs;
    this.#beganMs = clock.monotonic();
    const started = (): void => {
      if (this.#stop === undefined && !this.#ended) this.#arm(request.timeoutMs);
    };
    this.#execute(executor, { ...request, signal: this.#controller.signal, started });
    // An executor in this process has called started() by now.
    if (this.#timer === undefined && !this.#ended) this.#arm(request.timeoutMs + START_ALLOWANCE_MS);
  }

  /** Resolves when the body has really ended, which may be long after the attempt. */
  get returned(): Promise<undefined> {
    this.#whenReturned ??= Promise.withResolvers();
    if (this.#returned) this.#whenReturned.resolve(undefined);
    return this.#whenReturned.promise;
  }

  /** Aborts the body's signal; a later cause is ignored. */
  stop(reason: StopError): void {
    if (this.#stop !== undefined || this.#ended) return;
    this.#stop = reason;
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.after(this.#graceMs, () => this.#finish({ abandoned: true }));
    this.#controller.abort(reason);
  }

  #execute(executor: RunExecutor, request: ExecuteRequest): void {
    // An executor that throws at once is one whose promise rejects.
    const body = new Promise<AttemptResult>((resolve) => {
      resolve(executor.execute(request));
    });
    void body.then(
      (result) => this.#bodyEnded({ result }),
      (error: unknown) => this.#bodyEnded({ startError: error }),
    );
  }

  #bodyEnded(end: Pick<ExecutionEnd, 'result' | 'startError'>): void {
    this.#returned = true;
    this.#whenReturned?.resolve(undefined);
    this.#finish(end);
  }

  #arm(delayMs: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.after(delayMs, () => {
      this.stop(new StopError('timeout', `the run took longer than its timeout of ${this.#timeoutMs} ms`));
    });
  }

  #finish(end: Pick<ExecutionEnd, 'result' | 'startError' | 'abandoned'>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
    const durationMs = this.#clock.monotonic() - this.#beganMs;
    this.#onEnd({ ...end, ...(this.#stop === undefined ? {} : { stop: this.#stop }), durationMs });
  }
}
