/**
 * A proxy before Redis that counts the transitions a process asks for (each is one script, so one atomic write), and kills the
 * process at one of them: before Redis has heard of it, or after it is done and before its answer.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface CrashPoint {
  /** The how-maniest transition, from 1 on. */
  readonly at: number;
  readonly side: 'before' | 'after';
}

const TRANSITION = /^eval(sha)?$/i;

export class CrashProxy implements AsyncDisposable {
  readonly #listener: Server;
  readonly #targetPort: number;
  readonly #point: CrashPoint | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #reached = Promise.withResolvers<undefined>();
  #isOver = false;
  /** Transitions that were asked for. */
  transitions = 0;
  /** Resolves when the point is reached: from then on nothing goes through, and the process is to be killed. */
  readonly reached: Promise<undefined> = this.#reached.promise;

  private constructor(targetPort: number, point: CrashPoint | undefined) {
    this.#targetPort = targetPort;
    this.#point = point;
    this.#listener = createServer((client) => this.#link(client));
  }

  /** @param point - where the process dies; without one it lives */
  static async start(targetPort: number, point?: CrashPoint): Promise<CrashProxy> {
    const proxy = new CrashProxy(targetPort, point);
    proxy.#listener.listen(0, '127.0.0.1');
    await once(proxy.#listener, 'listening');
    return proxy;
  }

  get url(): string {
    const address = this.#listener.address();
    assert.ok(address !== null && typeof address === 'object');
    return `redis://127.0.0.1:${address.port}`;
  }

  get isReached(): boolean {
    return this.#isOver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#listener.listening) await once(this.#listener, 'close');
  }

  #link(client: Socket): void {
    const server = connect(this.#targetPort, '127.0.0.1');
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => [client, server].forEach((other) => other.destroy()));
    }
    let unread = Buffer.alloc(0);
    client.on('data', (chunk) => {
      unread = Buffer.concat([unread, chunk]);
      while (!this.#isOver) {
        const command = firstCommand(unread);
        if (command === undefined) return;
        const bytes = unread.subarray(0, command.length);
        unread = unread.subarray(command.length);
        this.#handOn(command.name, bytes, server);
      }
    });
    server.on('data', (chunk) => {
      if (!this.#isOver) client.write(chunk);
    });
  }

  #handOn(name: string, bytes: Buffer, server: Socket): void {
    if (!TRANSITION.test(name) || (this.transitions += 1) !== this.#point?.at) {
      server.write(bytes);
      return;
    }
    this.#isOver = true;
    if (this.#point.side === 'before') {
      this.#reached.resolve(undefined);
      return;
    }
    server.write(bytes);
    server.write(ECHO);
    let answered = '';
    server.on('data', (chunk) => {
      answered += chunk.toString('latin1');
      if (answered.includes(MARK)) this.#reached.resolve(undefined);
    });
  }
}

const MARK = 'the-transition-is-done';
/** Redis answers in order, so this is answered when all before it is done. */
const ECHO = `*2\r\n$4\r\nECHO\r\n$${MARK.length}\r\n${MARK}\r\n`;

/** The first whole command of the protocol's bytes; `undefined` when its end has not come yet. */
function firstCommand(bytes: Buffer): { readonly name: string; readonly length: number } | undefined {
  const line = (from: number): { readonly text: string; readonly next: number } | undefined => {
    const end = bytes.indexOf('\r\n', from);
    return end < 0 ? undefined : { text: bytes.toString('latin1', from, end), next: end + 2 };
  };
  const head = line(0);
  if (head === undefined) return undefined;
  assert.match(head.text, /^\*\d+$/, 'a client that speaks otherwise');
  let [at, name] = [head.next, ''];
  for (let word = 0; word < Number(head.text.slice(1)); word += 1) {
    const size = line(at);
    if (size === undefined) return undefined;
    const end = size.next + Number(size.text.slice(1));
    if (bytes.length < end + 2) return undefined;
    if (word === 0) name = bytes.toString('latin1', size.next, end);
    at = end + 2;
  }
  return { name, length: at };
}
