/** One run in a child, seen from the parent: its log, its output, what it enqueues, and its one result. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messageOf, TidemillError } from '../../runtime/errors.ts';
import type { AttemptResult } from '../../task/invoke.ts';
import type { ExecuteRequest } from '../executor.ts';
import type { RunOptions } from '../../task/run.ts';
import { type ChildExit, classifyExit, type EndCause } from './classify.ts';
import { ENQUEUE_WINDOW } from './enqueue-relay.ts';
import { LogMeter } from './log-limits.ts';
import { DEFAULT_OUTPUT_LIMITS, type OutputLine, type OutputStream, RunOutput } from './output.ts';
import type { ChildMessage, ParentMessage } from './protocol.ts';

export type LogMessage = Extract<ChildMessage, { type: 'log' }>;
export type EnqueueMessage = Extract<ChildMessage, { type: 'enqueue' }>;
export type ResultMessage = Extract<ChildMessage, { type: 'result' }>;

/** `not-begun`: the child went away, or was of no use, before the body began. Nothing has happened. */
export type RunEnd = AttemptResult | 'not-begun';

export class ChildRun {
  /** Number of the run within its child, from 1. */
  readonly number: number;
  readonly request: ExecuteRequest;
  /** Resolves once, with whatever came first: the result, or how the child ended. */
  readonly ended: Promise<RunEnd>;
  /** Why we ended the child under it, if we did. The first cause stands. */
  #cause: EndCause | undefined;
  readonly #output: RunOutput;
  readonly #resolve: (end: RunEnd) => void;
  readonly #meter = new LogMeter();
  #enqueuesOpen = 0;
  #begun = false;
  #reported = false;

  constructor(number: number, request: ExecuteRequest) {
    this.number = number;
    this.request = request;
    this.#output = new RunOutput((line) => this.#logLine(line), DEFAULT_OUTPUT_LIMITS);
    const { promise, resolve } = Promise.withResolvers<RunEnd>();
    this.ended = promise;
    this.#resolve = resolve;
  }

  get begun(): boolean {
    return this.#begun;
  }

  /** Its result has come; the last of its output may still be read. */
  get reported(): boolean {
    return this.#reported;
  }

  begin(): void {
    this.#begun = true;
    this.request.started();
  }

  get cause(): EndCause | undefined {
    return this.#cause;
  }

  /** Bytes of its output that were not kept. */
  get droppedBytes(): number {
    return this.#output.droppedBytes;
  }

  /** @returns whether this cause is the first one */
  causeEnd(cause: EndCause): boolean {
    if (this.#cause !== undefined) return false;
    this.#cause = cause;
    return true;
  }

  write(stream: OutputStream, chunk: Buffer): void {
    this.#output.write(stream, chunk);
  }

  /** @returns false when the child sent more records than its own limit allows */
  log({ level, message, fields }: LogMessage): boolean {
    const record = this.#meter.take({ message, ...(fields !== undefined && { fields }) });
    if (record !== undefined) this.request.log[level](record.message, record.fields);
    return record !== undefined;
  }

  /** Whether the child may ask for a further run before it has an answer: one of ours waits. */
  get mayEnqueue(): boolean {
    return this.#enqueuesOpen < ENQUEUE_WINDOW;
  }

  /** Hands a child run to the queue; the answer says what the queue said, also when it refused. */
  async enqueue({ call, queue, request }: EnqueueMessage): Promise<ParentMessage> {
    this.#enqueuesOpen += 1;
    try {
      const { id, outcome } = await this.request.enqueue(queue, { ...request, options: this.#lineage });
      return { type: 'enqueued', call, id, outcome };
    } catch (error) {
      const code = error instanceof TidemillError ? error.code : 'INTERNAL';
      return { type: 'enqueue-failed', call, code, message: messageOf(error) };
    } finally {
      this.#enqueuesOpen -= 1;
    }
  }

  /** Said here, not by the child: it could name another parent, or a schedule. */
  get #lineage(): RunOptions {
    const { id, options } = this.request.record;
    return { source: 'task', parentId: id, rootId: options.rootId ?? id };
  }

  /** Ends the run with the result that its child reported. */
  async report({ result, droppedLogs }: ResultMessage): Promise<void> {
    this.#reported = true;
    // The pipes are apart from the message channel. What the body wrote before its result is in their buffers by now,
    // and one turn of the event loop reads it; without this turn it would be taken for the next run's.
    await nextTurn();
    await nextTurn();
    this.#end(result, droppedLogs);
  }

  /** Ends the run by the death of its child. A result that was reported before stands. */
  endByExit(exit: ChildExit): void {
    if (this.#reported) return;
    this.#end(this.#begun || this.#cause !== undefined ? classifyExit(exit, this.#cause) : 'not-begun', 0);
  }

  #end(end: RunEnd, droppedLogs: number): void {
    this.#output.end();
    const { log } = this.request;
    if (this.droppedBytes > 0) log.warn('task output truncated', { droppedBytes: this.droppedBytes });
    if (droppedLogs > 0) log.warn('task log truncated', { droppedRecords: droppedLogs });
    this.#resolve(end);
  }

  #logLine({ stream, text, cutBytes }: OutputLine): void {
    const fields = { stream, line: text, ...(cutBytes > 0 && { cutBytes }) };
    if (stream === 'stdout') this.request.log.info('task output', fields);
    else this.request.log.warn('task output', fields);
  }
}
