/** Runs that wait for a child, first come first served. Each leaves the line exactly once: with a child, or refused. */
import { TidemillError } from '../../runtime/errors.ts';
import type { ExecuteRequest } from '../executor.ts';

interface Waiting<Result, Request> {
  readonly request: Request;
  readonly settle: (result: Promise<Result>) => void;
}

export class WaitingRuns<Child, Result, Request extends Pick<ExecuteRequest, 'signal'>> {
  readonly #line = new Set<Waiting<Result, Request>>();
  readonly #begin: (child: Child, request: Request) => Promise<Result>;

  /** @param begin - gives the run to the child; called synchronously, so that nobody else can take the child */
  constructor(begin: (child: Child, request: Request) => Promise<Result>) {
    this.#begin = begin;
  }

  get length(): number {
    return this.#line.size;
  }

  /** Rejects with CHILD_START when it is refused, or aborted before a child was free: its body never began. */
  async add(request: Request): Promise<Result> {
    const { promise, resolve } = Promise.withResolvers<Result>();
    const waiting: Waiting<Result, Request> = { request, settle: resolve };
    const abort = (): void => {
      const error = new TidemillError(
        'CHILD_START',
        'the run was told to stop before a child process was free',
        {
          cause: request.signal.reason,
        },
      );
      if (this.#line.delete(waiting)) resolve(Promise.reject(error));
    };
    this.#line.add(waiting);
    request.signal.addEventListener('abort', abort, { once: true });
    if (request.signal.aborted) abort();
    try {
      return await promise;
    } finally {
      request.signal.removeEventListener('abort', abort);
    }
  }

  /** Gives the first run to a child that is free. */
  serve(child: Child): void {
    const [first] = this.#line;
    if (first === undefined) return;
    this.#line.delete(first);
    first.settle(this.#begin(child, first.request));
  }

  refuseAll(error: TidemillError): void {
    for (const waiting of this.#line) waiting.settle(Promise.reject(error));
    this.#line.clear();
  }
}
