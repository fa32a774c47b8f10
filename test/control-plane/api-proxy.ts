/**
 * A proxy in front of the API server that understands its requests: it counts them, and answers, delays, swallows or
 * cuts those that a test names. Faults of the wire itself are FaultProxy's.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';
import type { Socket } from 'node:net';
import { type ApiRequest, describeRequest } from './api-request.ts';
import type { ControlPlane, ServiceAccountAccess } from './control-plane.ts';

/**
 * - `answer`: the proxy answers in the API server's place
 * - `delay`: the request is forwarded this much later
 * - `freeze`: accepted and never answered, not even after the fault was lifted
 * - `cut`: the connection closes before the request reaches the server
 * - `lose-answer`: the request reaches the server; its connection closes instead of an answer
 * - `silence`: a watch stays open and nothing more arrives on it, for ever; open ones included
 */
export type ApiFault =
  | {
      readonly kind: 'answer';
      readonly code: number;
      readonly reason?: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'freeze' | 'cut' | 'lose-answer' | 'silence' };

/** Fields that must be equal, or a function. */
export type RequestMatch = Partial<ApiRequest> | ((request: ApiRequest) => boolean);

export interface FaultOptions {
  /** Default: every request. */
  readonly match?: RequestMatch;
  /** For that many requests only. */
  readonly times?: number;
}

export interface SeenRequest extends ApiRequest {
  /** On the clock of `performance.now()`. */
  readonly atMs: number;
  /** What the client was answered; undefined while there is no answer. */
  code: number | undefined;
}

interface ActiveFault {
  readonly fault: ApiFault;
  readonly matches: (request: ApiRequest) => boolean;
  left: number;
}

export class ApiProxy implements AsyncDisposable {
  /** Every request since the start, or since `forget()`. */
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #agent: Agent;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<SeenRequest>();
  #faults: readonly ActiveFault[] = [];

  private constructor(
    plane: ControlPlane,
    files: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer },
  ) {
    this.#targetPort = plane.port;
    this.#agent = new Agent({ keepAlive: true, ca: files.ca });
    this.#server = createServer(
      { cert: files.cert, key: files.key, keepAliveTimeout: 60_000 },
      (incoming, outgoing) => this.#onRequest(incoming, outgoing),
    );
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(plane: ControlPlane): Promise<ApiProxy> {
    const [ca, cert, key] = await Promise.all([
      readFile(plane.caFile),
      readFile(plane.proxyCertificate.certFile),
      readFile(plane.proxyCertificate.keyFile),
    ]);
    const proxy = new ApiProxy(plane, { ca, cert, key });
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    assert.ok(address !== null && typeof address === 'object');
    return address.port;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** Watches that are open through the proxy now. */
  get openWatches(): number {
    return this.#watches.size;
  }

  /** How many requests that match were seen. */
  count(match: RequestMatch = {}): number {
    return this.seen.filter(matcher(match)).length;
  }

  forget(): void {
    this.seen.length = 0;
  }

  /**
   * From now on requests that match meet this fault; of several that match, the one that was made first.
   * @returns lifts the fault
   */
  fault(fault: ApiFault, { match = {}, times = Infinity }: FaultOptions = {}): Disposable {
    const active: ActiveFault = { fault, matches: matcher(match), left: times };
    this.#faults = [...this.#faults, active];
    return {
      [Symbol.dispose]: () => {
        this.#faults = this.#faults.filter((other) => other !== active);
      },
    };
  }

  /** Lifts every fault. */
  clear(): void {
    this.#faults = [];
  }

  /** Cuts every connection now; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    this.#agent.destroy();
    await closed;
  }

  #onRequest(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const described = describeRequest(incoming.method ?? 'GET', incoming.url ?? '/');
    const seen: SeenRequest = { ...described, atMs: performance.now(), code: undefined };
    this.seen.push(seen);
    outgoing.on('error', () => undefined);
    const fault = this.#take(seen, (kind) => kind !== 'silence');
    switch (fault?.kind) {
      case 'freeze':
        incoming.resume();
        return;
      case 'cut':
        incoming.socket.destroy();
        return;
      case 'answer':
        answer(outgoing, fault);
        seen.code = fault.code;
        return;
      case 'delay':
        setTimeout(() => this.#forward(incoming, outgoing, seen, false), fault.ms);
        return;
      default:
        this.#forward(incoming, outgoing, seen, fault?.kind === 'lose-answer');
    }
  }

  #forward(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    seen: SeenRequest,
    loseAnswer: boolean,
  ): void {
    const forwarded = request({
      host: '127.0.0.1',
      port: this.#targetPort,
      agent: this.#agent,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
    });
    outgoing.on('close', () => forwarded.destroy());
    forwarded.on('error', () => incoming.socket.destroy());
    forwarded.on('response', (response) => {
      if (loseAnswer) {
        incoming.socket.destroy();
        return;
      }
      seen.code = response.statusCode;
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.on('error', () => incoming.socket.destroy());
      if (seen.verb === 'watch') this.#streamWatch(response, outgoing, seen);
      else response.pipe(outgoing);
    });
    incoming.pipe(forwarded);
  }

  #streamWatch(response: IncomingMessage, outgoing: ServerResponse, seen: SeenRequest): void {
    this.#watches.add(seen);
    outgoing.on('close', () => this.#watches.delete(seen));
    outgoing.flushHeaders();
    let silent = false;
    response.on('data', (chunk: Buffer) => {
      // A chunk that was swallowed may end within a line, so that a stream once silent cannot go on.
      silent ||= this.#take(seen, (kind) => kind === 'silence') !== undefined;
      if (!silent) outgoing.write(chunk);
    });
    response.on('end', () => {
      if (!silent) outgoing.end();
    });
  }

  #take(seen: ApiRequest, wanted: (kind: ApiFault['kind']) => boolean): ApiFault | undefined {
    const active = this.#faults.find(
      (candidate) => candidate.left > 0 && wanted(candidate.fault.kind) && candidate.matches(seen),
    );
    if (active !== undefined) active.left -= 1;
    return active?.fault;
  }
}

/** The kubeconfig of an account that reaches the API server only through the proxy. */
export function kubeconfigThrough(
  plane: ControlPlane,
  proxy: { readonly port: number },
  { token, namespace }: ServiceAccountAccess,
): Promise<string> {
  return plane.writeKubeconfig({ url: `https://127.0.0.1:${proxy.port}`, token, namespace });
}

function matcher(match: RequestMatch): (request: ApiRequest) => boolean {
  if (typeof match === 'function') return match;
  const wanted = Object.entries(match);
  return (seen) =>
    wanted.every(([field, value]) =>
      Object.entries(seen).some(([key, own]) => key === field && own === value),
    );
}

function answer(outgoing: ServerResponse, fault: Extract<ApiFault, { kind: 'answer' }>): void {
  const status = {
    apiVersion: 'v1',
    kind: 'Status',
    status: 'Failure',
    code: fault.code,
    reason: fault.reason ?? (fault.code === 429 ? 'TooManyRequests' : 'InternalError'),
    message: fault.message ?? 'answered by the proxy of a test',
  };
  outgoing.writeHead(fault.code, { 'content-type': 'application/json', ...fault.headers });
  outgoing.end(JSON.stringify(status));
}
