/** The one place through which requests to the API server go: time limits, retries of reads, counting. */
import {
  IsomorphicFetchHttpLibrary,
  type PromiseHttpLibrary,
  type RequestContext,
  ResponseContext,
} from '@kubernetes/client-node';
import type { Clock } from '../runtime/clock.ts';
import { TidemillError } from '../runtime/errors.ts';
import { REQUEST_HEADER } from './api-error.ts';
import { kubeBackoffMs, retryAfterMs } from './backoff.ts';
import type { KubeObserver } from './observer.ts';
import type { SharedDispatcher } from './shared-dispatcher.ts';

/** An API server that takes longer for a page of 500 objects is as good as away. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** Tries and waits of one patient read together take no longer than this and one time limit. */
const RETRY_BUDGET_MS = 20_000;
const MOST_TRIES = 4;

export interface KubeHttpOptions {
  readonly clock: Clock;
  readonly dispatcher: SharedDispatcher;
  readonly userAgent: string;
  readonly observer: KubeObserver;
  /** Default 10 s. To the end of the answer; for a stream to its beginning. */
  readonly requestTimeoutMs?: number;
  /**
   * Whether reads are repeated when the server is busy (429, 5xx) or away. Who has a loop of its own that tries again does
   * not want that; and writes are never repeated here: only their caller knows what a lost answer means.
   */
  readonly patient: boolean;
  readonly random?: () => number;
}

type Attempt =
  | { readonly kind: 'answered'; readonly response: ResponseContext }
  | { readonly kind: 'failed'; readonly error: unknown };

export class KubeHttp implements PromiseHttpLibrary {
  readonly #options: KubeHttpOptions;
  readonly #timeoutMs: number;
  readonly #library = new IsomorphicFetchHttpLibrary();
  readonly #closing = new AbortController();
  readonly #inFlight = new Set<AbortController>();

  constructor(options: KubeHttpOptions) {
    this.#options = options;
    this.#timeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  }

  /** @throws TidemillError KUBE_UNAVAILABLE when no answer came in time; whatever the network throws */
  async send(request: RequestContext): Promise<ResponseContext> {
    const { clock, dispatcher } = this.#options;
    const beganAtMs = clock.monotonic();
    for (let tries = 1; ; tries += 1) {
      const attempt = await this.#attempt(request);
      const waitMs = this.#retryDelayMs(request, attempt, tries);
      const spentMs = clock.monotonic() - beganAtMs;
      if (waitMs !== undefined && spentMs + waitMs <= RETRY_BUDGET_MS) {
        await clock.sleep(waitMs, this.#closing.signal);
        // Token and pool may have changed meanwhile.
        if (!this.#closing.signal.aborted) {
          await dispatcher.apply(request);
          continue;
        }
      }
      if (attempt.kind === 'failed') throw attempt.error;
      return attempt.response;
    }
  }

  /**
   * Opens an answer that has no end of its own. The body is the caller's to read; the signal ends it.
   * @throws as `send`
   */
  async stream(request: RequestContext, signal: AbortSignal): Promise<ResponseContext> {
    return await this.#exchange(request, signal, async (response) => response);
  }

  /** Ends what is in flight; nothing is sent any more. */
  close(): void {
    const reason = new TidemillError(
      'KUBE_UNAVAILABLE',
      'the connection to the API server was closed by this process',
    );
    this.#closing.abort(reason);
    for (const controller of this.#inFlight) controller.abort(reason);
  }

  async #attempt(request: RequestContext): Promise<Attempt> {
    try {
      // The whole answer is read here, so that the limit holds for it and a cut in its midst is one more failed try.
      const response = await this.#exchange(request, undefined, (answer) => withText(answer, request));
      return { kind: 'answered', response };
    } catch (error) {
      return { kind: 'failed', error };
    }
  }

  #retryDelayMs(request: RequestContext, attempt: Attempt, tries: number): number | undefined {
    const { patient, clock, random = Math.random } = this.#options;
    if (!patient || request.getHttpMethod() !== 'GET' || tries >= MOST_TRIES) return undefined;
    const backoffMs = kubeBackoffMs(tries, random);
    if (attempt.kind === 'failed') return backoffMs;
    const { httpStatusCode, headers } = attempt.response;
    if (httpStatusCode !== 429 && httpStatusCode < 500) return undefined;
    return Math.max(backoffMs, retryAfterMs(headers, clock.now()) ?? 0);
  }

  async #exchange(
    request: RequestContext,
    signal: AbortSignal | undefined,
    read: (response: ResponseContext) => Promise<ResponseContext>,
  ): Promise<ResponseContext> {
    const { clock, dispatcher, userAgent } = this.#options;
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const controller = new AbortController();
    this.#inFlight.add(controller);
    const sentAtMs = clock.monotonic();
    let code: number | undefined;
    using limit = clock.after(this.#timeoutMs, () => {
      dispatcher.unanswered(sentAtMs);
      controller.abort(this.#timeoutError(request));
    });
    request.setHeaderParam('User-Agent', userAgent);
    request.setSignal(
      signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]),
    );
    try {
      const response = await this.#library.send(request).toPromise();
      code = response.httpStatusCode;
      dispatcher.heard();
      return await read(response);
    } finally {
      limit[Symbol.dispose]();
      // A stream goes on after this: closing must reach it, so it is forgotten only when it is over.
      if (signal === undefined) this.#inFlight.delete(controller);
      else forgetWhenAborted(this.#inFlight, controller, signal);
      this.#tell(request, code, clock.monotonic() - sentAtMs);
    }
  }

  #timeoutError(request: RequestContext): TidemillError {
    const { host, pathname } = new URL(request.getUrl());
    return new TidemillError(
      'KUBE_UNAVAILABLE',
      `the API server ${host} did not answer ${request.getHttpMethod()} ${pathname} within ${this.#timeoutMs} ms`,
    );
  }

  #tell(request: RequestContext, code: number | undefined, durationMs: number): void {
    const { host } = new URL(request.getUrl());
    this.#options.observer.requestFinished({ code, method: request.getHttpMethod(), host, durationMs });
  }
}

function forgetWhenAborted(
  inFlight: Set<AbortController>,
  controller: AbortController,
  signal: AbortSignal,
): void {
  if (signal.aborted) inFlight.delete(controller);
  else signal.addEventListener('abort', () => inFlight.delete(controller), { once: true });
}

/** The whole answer, which also says what it is an answer to. */
async function withText(
  { httpStatusCode, headers, body }: ResponseContext,
  request: RequestContext,
): Promise<ResponseContext> {
  const text = await body.text();
  const asked = `${request.getHttpMethod()} ${new URL(request.getUrl()).pathname}`;
  return new ResponseContext(
    httpStatusCode,
    { ...headers, [REQUEST_HEADER]: asked },
    {
      text: async () => text,
      binary: async () => Buffer.from(text),
      stream: () => null,
    },
  );
}
