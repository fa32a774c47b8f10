/**
 * Lets the test process reach an address that exists only inside the network namespace of the cluster: a port on loopback,
 * a unix socket (which knows no network namespaces), and a process inside that joins them.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { join as joinSockets } from './join-sockets.ts';

const INSIDE = join(import.meta.dirname, 'tunnel-inside.ts');

export interface TunnelTarget {
  /** Name or address, as seen inside. */
  readonly host: string;
  readonly port: number;
}

/** Starts a program inside the namespace, with its standard streams as pipes. */
export type SpawnInside = (command: string, args: readonly string[]) => ChildProcess;

export class Tunnel implements AsyncDisposable {
  /** On 127.0.0.1 of the test process. */
  readonly port: number;
  readonly #server: Server;
  readonly #inside: ChildProcess;
  readonly #folder: string;
  readonly #sockets: ReadonlySet<Socket>;

  private constructor(parts: {
    readonly server: Server;
    readonly port: number;
    readonly inside: ChildProcess;
    readonly folder: string;
    readonly sockets: ReadonlySet<Socket>;
  }) {
    this.port = parts.port;
    this.#server = parts.server;
    this.#inside = parts.inside;
    this.#folder = parts.folder;
    this.#sockets = parts.sockets;
  }

  static async open(spawnInside: SpawnInside, { host, port }: TunnelTarget): Promise<Tunnel> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-tunnel-'));
    const socketPath = join(folder, 'socket');
    const inside = spawnInside(process.execPath, [INSIDE, socketPath, host, String(port)]);
    if (inside.stdout === null)
      throw new Error('the tunnel needs the standard output of its inner end as a pipe');
    const listens = once(inside.stdout, 'data').then(() => true);
    const ended = once(inside, 'exit').then(() => false);
    if (!(await Promise.race([listens, ended]))) {
      await rm(folder, { recursive: true, force: true });
      throw new Error(`the inner end of the tunnel to ${host}:${port} ended before it listened`);
    }
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      sockets.add(client);
      client.on('close', () => sockets.delete(client));
      joinSockets(client, connect(socketPath));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a tunnel listens on a port');
    return new Tunnel({ server, port: address.port, inside, folder, sockets });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    this.#inside.kill('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }
}
