/** One attempt seen from the inside: its context, the children it enqueues, and whether it was aborted. */
import { TidemillError } from '../runtime/errors.ts';
import type { Attempt } from './attempt.ts';
import { childRunId } from './ids.ts';
import { makeRequest, nameOf } from './make-request.ts';
import type { RunRecord } from './run.ts';
import { clip, MESSAGE_MAX_LENGTH, textOf } from './thrown.ts';
import type { Enqueue, Enqueued, EnqueueOptions, RunContext, RunInfo, TaskContract } from './types.ts';

/** What a task may know of its run. */
export function runInfo(record: RunRecord): RunInfo {
  const { schedule, parentId, rootId } = record.options;
  return Object.freeze({
    id: record.id,
    attempt: record.attempt,
    queue: record.queue,
    slot: schedule?.slotMs === undefined ? undefined : new Date(schedule.slotMs),
    parentId,
    rootId: rootId ?? record.id,
    schedule: schedule && { namespace: schedule.namespace, name: schedule.name },
  });
}

export class RunScope {
  readonly run: RunInfo;
  readonly #attempt: Attempt;
  /** How often this attempt enqueued the same child before: key → count. */
  #ordinals: Map<string, number> | undefined;
  /** Both are made with the first child: most runs have none. */
  #unanswered: Set<Promise<Enqueued>> | undefined;
  #ended = false;
  #abortReason: string | undefined;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    this.run = runInfo(attempt.record);
  }

  /** Why the task called `abort()`: the first call counts. */
  get abortReason(): string | undefined {
    return this.#abortReason;
  }

  /** Whether children are not handed over yet. */
  get hasUnanswered(): boolean {
    return this.#unanswered !== undefined && this.#unanswered.size > 0;
  }

  context(params: unknown): RunContext<unknown, unknown> {
    const { signal, log, app } = this.#attempt;
    const enqueue: Enqueue = (task, ...[childParams, options]) => this.#enqueue(task, childParams, options);
    return {
      params,
      run: this.run,
      signal,
      log,
      enqueue,
      deps: app.deps,
      abort: (reason) => this.#abort(reason),
    };
  }

  /**
   * Waits for the children that the body did not wait for: an attempt that succeeds has handed over all of them.
   * Rejects when one of these is refused.
   */
  async childrenHandedOver(): Promise<void> {
    if (this.#unanswered !== undefined) await Promise.all(this.#unanswered);
  }

  /** From now on nothing is enqueued in the name of this run. */
  end(): void {
    this.#ended = true;
  }

  #enqueue(task: TaskContract, params: unknown, options: EnqueueOptions | undefined): Promise<Enqueued> {
    const answer = this.#handOver(task, params, options);
    const unanswered = (this.#unanswered ??= new Set());
    unanswered.add(answer);
    const answered = (): boolean => unanswered.delete(answer);
    // Handled here as well: the body may not wait for it, and a rejection that nobody handles would end the process.
    answer.then(answered, (error: unknown) => {
      answered();
      this.#attempt.log.warn('a child run was not enqueued', { childTask: nameOf(task), err: error });
    });
    return answer;
  }

  async #handOver(
    task: TaskContract,
    params: unknown,
    options: EnqueueOptions | undefined,
  ): Promise<Enqueued> {
    if (this.#ended) {
      throw new TidemillError(
        'RUN_STATE',
        `run ${this.run.id} has ended: it can enqueue no more; wait for enqueue() inside run()`,
      );
    }
    const { queue, request } = makeRequest(task, params, options, {
      queue: this.run.queue,
      source: 'task',
      lineage: { parentId: this.run.id, rootId: this.run.rootId },
      makeId: (inQueue, name, text) => this.#childId(inQueue, name, text),
    });
    return this.#attempt.enqueue(queue, request);
  }

  /** The ordinal tells twins of one attempt apart; an attempt that does the same again gives the same ids. */
  #childId(queue: string, task: string, params: string): string {
    const key = JSON.stringify([queue, task, params]);
    this.#ordinals ??= new Map();
    const ordinal = this.#ordinals.get(key) ?? 0;
    this.#ordinals.set(key, ordinal + 1);
    return childRunId(this.run.id, queue, task, params, ordinal);
  }

  #abort(reason: string): never {
    const text = clip(textOf(reason), MESSAGE_MAX_LENGTH);
    if (!this.#ended) this.#abortReason ??= text;
    throw new TidemillError('TASK_ABORTED', `the task aborted its run: ${text}`);
  }
}
