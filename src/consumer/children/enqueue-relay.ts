/** Hands the child runs of a body to the parent, and gives the queue's answer back to the call that waits for it. */
import { type ErrorCode, ERROR_CODES, TidemillError } from '../../runtime/errors.ts';
import type { Enqueued } from '../../task/define-task.ts';
import type { RunRequest } from '../../task/request.ts';
import type { ChildMessage, ParentMessage } from './protocol.ts';

type Answer = Extract<ParentMessage, { type: 'enqueued' | 'enqueue-failed' }>;

/** Calls without an answer at the same time: a body that enqueues a million runs must not fill its parent's memory. */
export const ENQUEUE_WINDOW = 64;

export class EnqueueRelay {
  readonly #send: (message: ChildMessage) => unknown;
  readonly #unanswered = new Map<number, (answer: Answer) => void>();
  readonly #waiting: (() => void)[] = [];
  #calls = 0;

  constructor(send: (message: ChildMessage) => unknown) {
    this.#send = send;
  }

  /**
   * Resolves at the queue's answer.
   * @throws TidemillError what the queue, or the parent in its place, refused it with
   */
  async enqueue(run: number, queue: string, request: RunRequest): Promise<Enqueued> {
    // Again and again: whoever had the answer may have been quicker to take the place that it left.
    while (this.#unanswered.size >= ENQUEUE_WINDOW)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const call = ++this.#calls;
    this.#unanswered.set(call, resolve);
    this.#send({ type: 'enqueue', run, call, queue, request });
    const answer = await promise;
    if (answer.type === 'enqueued') return { id: answer.id, outcome: answer.outcome };
    throw new TidemillError(isErrorCode(answer.code) ? answer.code : 'INTERNAL', answer.message);
  }

  answer(answer: Answer): void {
    const resolve = this.#unanswered.get(answer.call);
    this.#unanswered.delete(answer.call);
    resolve?.(answer);
    this.#waiting.shift()?.();
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
