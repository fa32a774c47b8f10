/** A TCP proxy between client and server that loses what a network can lose, on demand. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * - `pass`: everything goes through
 * - `freeze`: nothing goes through in either direction, and no socket closes
 * - `half-open`: what the client sends arrives; what the server answers is lost, and no socket closes
 * - `refuse`: new connections are closed at once
 */
export type ProxyMode = 'pass' | 'freeze' | 'half-open' | 'refuse';

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

interface LateBytes {
  readonly chunk: Buffer;
  readonly dueMs: number;
  readonly isLast: boolean;
}

export class FaultProxy implements AsyncDisposable {
  readonly #listener: Server;
  readonly #targetPort: number;
  readonly #links = new Set<Link>();
  /** What waits to be sent on, in its order. */
  readonly #late = new Map<Socket, LateBytes[]>();
  #mode: ProxyMode = 'pass';
  #delayMs = 0;
  #jitterMs = 0;
  #cutShare = 0;
  readonly #repliesToDrop: RegExp[] = [];
  #cutAfterRequest: RegExp | undefined;
  #onCut: (() => void) | undefined;
  #cutBeforeReply: RegExp | undefined;
  #onReplyCut: (() => void) | undefined;
  /** Requests that reached the proxy, for tests that count them. */
  requests = 0;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#listener = createServer((client) => this.#link(client));
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.#listener.listen(0, '127.0.0.1');
    await once(proxy.#listener, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#listener.address();
    assert.ok(address !== null && typeof address === 'object');
    return address.port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  set mode(mode: ProxyMode) {
    this.#mode = mode;
    if (mode !== 'freeze')
      for (const { client, server } of this.#links) [client, server].forEach((socket) => socket.resume());
  }

  /** Everything arrives this much later, in both directions. */
  set delayMs(delayMs: number) {
    this.#delayMs = delayMs;
  }

  /** Beside the delay, at random up to this much; bytes of one direction keep their order. */
  set jitterMs(jitterMs: number) {
    this.#jitterMs = jitterMs;
  }

  /** So many of all requests, from 0 to 1, cost their connection: it is cut when they have been sent on. */
  set cutShare(share: number) {
    this.#cutShare = share;
  }

  /** The next packet of the server that matches is lost; the connection stays. */
  dropNextReply(pattern = /^/): void {
    this.#repliesToDrop.push(pattern);
  }

  /**
   * The next request that matches reaches the server, and its connection is cut before any answer.
   * @returns resolves when that has happened
   */
  cutAfterRequest(pattern: RegExp): Promise<void> {
    this.#cutAfterRequest = pattern;
    return new Promise((resolve) => (this.#onCut = resolve));
  }

  /**
   * The next answer that matches is lost with its connection.
   * @returns resolves when that has happened
   */
  cutBeforeReply(pattern: RegExp): Promise<void> {
    this.#cutBeforeReply = pattern;
    return new Promise((resolve) => (this.#onReplyCut = resolve));
  }

  /** Cuts every connection now. */
  cut(): void {
    for (const { client, server } of this.#links) [client, server].forEach((socket) => socket.destroy());
    this.#links.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    if (this.#listener.listening) await once(this.#listener, 'close');
  }

  #link(client: Socket): void {
    if (this.#mode === 'refuse') {
      client.destroy();
      return;
    }
    const link: Link = { client, server: connect(this.#targetPort, '127.0.0.1') };
    this.#links.add(link);
    client.on('data', (chunk) => this.#onRequest(link, chunk));
    link.server.on('data', (chunk) => this.#onReply(link, chunk));
    for (const socket of [client, link.server]) {
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        client.destroy();
        link.server.destroy();
        this.#links.delete(link);
      });
    }
  }

  #onRequest(link: Link, chunk: Buffer): void {
    this.requests += 1;
    if (this.#mode === 'freeze') {
      link.client.pause();
      link.client.unshift(chunk);
      return;
    }
    this.#later(link.server, chunk, Math.random() < this.#cutShare);
    if (this.#cutAfterRequest?.test(chunk.toString('latin1')) !== true) return;
    this.#cutAfterRequest = undefined;
    // The server has the request once it has answered; the answer goes no further.
    link.server.removeAllListeners('data');
    link.server.once('data', () => {
      link.client.destroy();
      this.#onCut?.();
    });
  }

  #onReply(link: Link, chunk: Buffer): void {
    if (this.#mode === 'freeze') {
      link.server.pause();
      link.server.unshift(chunk);
      return;
    }
    if (this.#mode === 'half-open') return;
    const dropped = this.#repliesToDrop.findIndex((pattern) => pattern.test(chunk.toString('latin1')));
    if (dropped >= 0) {
      this.#repliesToDrop.splice(dropped, 1);
      return;
    }
    if (this.#cutBeforeReply?.test(chunk.toString('latin1')) === true) {
      this.#cutBeforeReply = undefined;
      link.client.destroy();
      this.#onReplyCut?.();
      return;
    }
    this.#later(link.client, chunk);
  }

  /** @param isLast - the connection ends behind these bytes */
  #later(to: Socket, chunk: Buffer, isLast = false): void {
    const waiting = this.#late.get(to);
    const lateMs = this.#delayMs + Math.random() * this.#jitterMs;
    const late = { chunk, isLast, dueMs: performance.now() + lateMs };
    if (lateMs === 0 && waiting === undefined) {
      send(to, late);
      return;
    }
    if (waiting !== undefined) {
      waiting.push(late);
      return;
    }
    this.#late.set(to, [late]);
    this.#sendLate(to);
  }

  /** One after the other, as timers of their own would not keep the order of what is due at almost the same time. */
  #sendLate(to: Socket): void {
    const waiting = this.#late.get(to) ?? [];
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        setTimeout(() => this.#sendLate(to), waitMs);
        return;
      }
      waiting.shift();
      send(to, next);
    }
    this.#late.delete(to);
  }
}

function send(to: Socket, { chunk, isLast }: LateBytes): void {
  if (!to.writable) return;
  if (isLast) to.end(chunk);
  else to.write(chunk);
}
