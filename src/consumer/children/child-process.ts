/** The life of one child process, seen from the parent: forked, ready, one run after the other, ended and reaped. */
import type { ChildProcess } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TidemillError, unreachable } from '../../runtime/errors.ts';
import { cut } from '../../runtime/printable.ts';
import type { ExecuteRequest } from '../executor.ts';
import { ChildOutput } from './child-output.ts';
import {
  ChildRun,
  type EnqueueMessage,
  type LogMessage,
  type ResultMessage,
  type RunEnd,
} from './child-run.ts';
import { type ChildExit, type StopCause, stopCauseOf } from './classify.ts';
import { type ChildOptions, forkChild } from './fork-child.ts';
import { LogMeter } from './log-limits.ts';
import type { ChildEnd } from './observer.ts';
import { type ChildMessage, parseChildMessage, type ParentMessage } from './protocol.ts';
import { describeExit, reap } from './reap.ts';
import { killAfter, signalGroup, terminateGroup } from './terminate.ts';

/** A child that ends closes its channel a moment before its exit is seen. */
const DISCONNECT_GRACE_MS = 500;

/** Characters of why a child could not load its tasks, as it says itself. */
const LONGEST_START_PROBLEM = 4_000;

type State = 'starting' | 'idle' | 'busy' | 'ending' | 'ended';

export class WarmChild {
  /** 0 when the process could not be made at all. */
  readonly pid: number;
  /** Resolves when the process and all of its group are gone. Never rejects. */
  readonly exited: Promise<ChildExit>;
  readonly startedAtMs: number;
  readonly #options: ChildOptions;
  readonly #process: ChildProcess;
  readonly #output: ChildOutput;
  readonly #ready = Promise.withResolvers<undefined>();
  /** Of what it logs outside its runs, over its whole life. */
  readonly #meter = new LogMeter();
  #state: State = 'starting';
  #end: ChildEnd | undefined;
  #startProblem: string | undefined;
  #run: ChildRun | undefined;
  #runs = 0;
  #rssBytes = 0;
  #rssAtStartBytes = 0;
  #lastTask: string | undefined;

  /** Forks at once; `ready` says how that went. */
  constructor(options: ChildOptions) {
    this.#options = options;
    this.startedAtMs = options.clock.monotonic();
    this.#process = forkChild(options);
    this.pid = this.#process.pid ?? 0;
    this.#output = new ChildOutput(this.#process, options.log);
    this.#process.on('message', (received) => this.#receive(received));
    this.#process.on('disconnect', () => void this.#limitDisconnect());
    this.exited = this.#awaitExit();
    this.#ready.promise.catch(() => undefined); // a child may also be stopped before anybody asks
    void this.#limitStart();
    this.#send({ type: 'load', tasks: [...options.tasks], cwd: options.cwd });
  }

  /** Resolves when the tasks are loaded; rejects with CHILD_START, and the process is gone by then. */
  get ready(): Promise<undefined> {
    return this.#ready.promise;
  }

  get state(): State {
    return this.#state;
  }

  /** Why it ended, or will. */
  get end(): ChildEnd {
    return this.#end ?? 'died';
  }

  /** Runs that it was given. */
  get runs(): number {
    return this.#runs;
  }

  /** Growth of its resident memory since it was ready. */
  get rssGrowthBytes(): number {
    return this.#rssBytes - this.#rssAtStartBytes;
  }

  /** Runs one attempt; the child must be idle. Never rejects. Afterwards `state` says whether it can be used again. */
  async run(request: ExecuteRequest): Promise<RunEnd> {
    const run = new ChildRun(++this.#runs, request);
    this.#run = run;
    this.#state = 'busy';
    this.#lastTask = request.task.name;
    this.#output.giveTo(run);
    const abort = (): void => this.#abort(run, stopCauseOf(request.signal.reason), 'aborted');
    request.signal.addEventListener('abort', abort, { once: true });
    this.#send({ type: 'run', run: run.number, record: request.record });
    void this.#limitBegin(run);
    if (request.signal.aborted) abort();
    const end = await run.ended;
    request.signal.removeEventListener('abort', abort);
    if (run.droppedBytes > 0) this.#options.observer.outputTruncated?.(request.task.name, run.droppedBytes);
    this.#output.giveTo(undefined);
    this.#run = undefined;
    this.#becomeIdle();
    return end;
  }

  #becomeIdle(): void {
    if (this.#state === 'busy') this.#state = 'idle';
  }

  /** Ends it: gives it time to dispose of its dependencies, aborts a run that it has. Resolves when it is gone. */
  async stop(end: ChildEnd): Promise<void> {
    switch (this.#state) {
      case 'starting': // nothing to dispose of, and it may never look at its messages
        this.#beginEnd(end);
        signalGroup(this.pid, 'SIGKILL');
        break;
      case 'idle':
        this.#retire(end);
        break;
      case 'busy':
        if (this.#run !== undefined)
          this.#abort(this.#run, { kind: 'shutdown', message: 'the pool of child processes is closed' }, end);
        break;
      default:
    }
    await this.exited;
  }

  #retire(end: ChildEnd): void {
    this.#beginEnd(end);
    this.#send({ type: 'stop' });
    void killAfter(this, this.#options.clock, this.#options.killGraceMs);
  }

  #beginEnd(end: ChildEnd): void {
    this.#end ??= end;
    if (this.#state !== 'ended') this.#state = 'ending';
  }

  // ------------------------------------------------------------------ messages

  #receive(received: unknown): void {
    const parsed = parseChildMessage(received);
    if ('problem' in parsed) this.#breach(parsed.problem);
    else this.#dispatch(parsed.message);
  }

  #dispatch(message: ChildMessage): void {
    switch (message.type) {
      case 'ready':
        this.#becomeReady(message.manifestHash, message.rssBytes);
        break;
      case 'broken':
        this.#failStart(cut(message.message, LONGEST_START_PROBLEM));
        break;
      case 'begun':
        this.#begin(message.run);
        break;
      case 'log':
        this.#log(message);
        break;
      case 'enqueue':
        void this.#enqueue(message);
        break;
      case 'result':
        this.#report(message);
        break;
      default:
        unreachable(message);
    }
  }

  #becomeReady(manifestHash: string, rssBytes: number): void {
    if (this.#state === 'ending') return; // it was stopped while it loaded
    const expected = this.#options.manifestHash;
    if (this.#state !== 'starting') {
      this.#breach('it said twice that it is ready');
      return;
    }
    if (manifestHash !== expected) {
      this.#failStart(
        `it loaded tasks with the manifest ${manifestHash}, but this consumer loaded ${expected}: ` +
          'the tasks module has changed on disk; restart the consumer',
      );
      return;
    }
    this.#state = 'idle';
    this.#rssBytes = this.#rssAtStartBytes = rssBytes;
    this.#options.observer.childStarted?.(this.#options.clock.monotonic() - this.startedAtMs);
    this.#ready.resolve(undefined);
  }

  #begin(number: number): void {
    const run = this.#run;
    if (run?.number === number && !run.begun) run.begin();
    else this.#breach('it began a run that it was not given');
  }

  #log(message: LogMessage): void {
    const { run: number } = message;
    if (number === 0) this.#logOutside(message);
    else if (number > this.#runs) this.#breach('it logged for a run that it was not given');
    // A record of an ended run comes from work that its body left behind: it belongs to nobody.
    else if (number === this.#run?.number && !this.#run.log(message)) {
      this.#breach('it sent more log records than its limit allows');
    }
  }

  #logOutside({ level, message, fields }: LogMessage): void {
    const record = this.#meter.take({ message, ...(fields !== undefined && { fields }) });
    if (record === undefined) this.#breach('it sent more log records outside any run than its limit allows');
    else this.#options.log[level](record.message, { ...record.fields, pid: this.pid });
  }

  async #enqueue(message: EnqueueMessage): Promise<void> {
    const run = this.#run?.number === message.run ? this.#run : undefined;
    const { call } = message;
    if (run?.mayEnqueue === false) this.#breach('it asked for more runs than its limit allows at a time');
    else if (run !== undefined) this.#send(await run.enqueue(message));
    else this.#send({ type: 'enqueue-failed', call, code: 'RUN_STATE', message: 'the run has ended' });
  }

  #report(message: ResultMessage): void {
    const run = this.#run;
    if (run?.number !== message.run || !run.begun || run.reported) {
      this.#breach('it reported a result for a run that it does not have');
      return;
    }
    this.#rssBytes = message.rssBytes;
    this.#options.observer.childRss?.(message.rssBytes);
    // Decided before the run is over, so that nobody can give it another one in between.
    if (!message.reusable) this.#retire('unfit');
    else if (run.cause !== undefined) this.#send({ type: 'stop' }); // SIGKILL is armed already
    void run.report(message);
  }

  #send(message: ParentMessage): void {
    // A child that is gone says so by its exit, so an error to send has nothing to add.
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  // ------------------------------------------------------------------ endings

  /** Passes an abort on in every way there is: message, SIGTERM, and SIGKILL after the grace. */
  #abort(run: ChildRun, cause: StopCause, end: ChildEnd): void {
    if (!run.causeEnd(cause)) return;
    // What an aborted body leaves behind (timers, sockets, half-done work) must not meet the next run.
    this.#beginEnd(end);
    this.#send({ type: 'abort', run: run.number, kind: cause.kind, message: cause.message });
    void terminateGroup(this, this.#options.clock, this.#options.killGraceMs);
  }

  #breach(problem: string): void {
    // Its exit says more than what it did wrong before; only the pipes are still being read.
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    if (this.#state === 'starting') {
      this.#failStart(problem);
      return;
    }
    this.#options.log.error('child broke the protocol and is ended', {
      pid: this.pid,
      problem,
      task: this.#lastTask,
    });
    this.#run?.causeEnd({ kind: 'protocol', message: problem });
    this.#beginEnd('protocol');
    signalGroup(this.pid, 'SIGKILL');
  }

  #failStart(problem: string): void {
    this.#startProblem ??= problem;
    this.#beginEnd('start-failed');
    signalGroup(this.pid, 'SIGKILL');
  }

  async #limitStart(): Promise<void> {
    const { startTimeoutMs } = this.#options;
    const overdue = (): void => {
      if (this.#state === 'starting') this.#failStart(`it was not ready after ${startTimeoutMs} ms`);
    };
    await this.#limit(startTimeoutMs, overdue, Promise.race([this.#ready.promise, this.exited]));
  }

  async #limitBegin(run: ChildRun): Promise<void> {
    const overdue = (): void => {
      if (run.begun || run.cause !== undefined) return;
      this.#options.log.warn('child does not begin its run and is ended', {
        pid: this.pid,
        runsBefore: run.number - 1,
      });
      this.#beginEnd('unfit');
      signalGroup(this.pid, 'SIGKILL');
    };
    await this.#limit(this.#options.beginTimeoutMs, overdue, run.ended);
  }

  async #limitDisconnect(): Promise<void> {
    await this.#limit(DISCONNECT_GRACE_MS, () => this.#breach('it closed its channel'), this.exited);
  }

  /** Calls `overdue` when `end` takes too long. */
  async #limit(timeMs: number, overdue: () => void, end: Promise<unknown>): Promise<void> {
    // When our own loop was blocked, the timer comes up before the messages that were in time: they are read first.
    using _timer = this.#options.clock.after(timeMs, () => void nextTurn().then(overdue));
    await end.catch(() => undefined);
  }

  async #awaitExit(): Promise<ChildExit> {
    const reaped = await reap(this.#process, this.#options.clock);
    const { stderrTail, lastWords } = this.#output;
    if (this.#state === 'starting') this.#failStart(describeExit(reaped));
    this.#end ??= 'died';
    this.#state = 'ended';
    this.#output.end();
    this.#rejectReady(lastWords);
    // With a run, the run's error tells of the death; a failed start is told by whoever started it.
    if (this.#end === 'died' && this.#run === undefined) {
      this.#options.log.warn('idle child ended', {
        ...reaped,
        pid: this.pid,
        lastTask: this.#lastTask,
        lastWords,
      });
    }
    const exit = { code: reaped.code, signal: reaped.signal, stderrTail };
    this.#run?.endByExit(exit);
    this.#options.observer.childExited?.(this.#end);
    return exit;
  }

  /** Harmless when it was ready once. */
  #rejectReady(lastWords: string): void {
    const problem = this.#startProblem ?? 'it was stopped before it was ready';
    const options = lastWords === '' ? {} : { cause: lastWords };
    this.#ready.reject(
      new TidemillError('CHILD_START', `child process ${this.pid} did not start: ${problem}`, options),
    );
  }
}
