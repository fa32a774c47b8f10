/** A real Redis or Valkey server for one test: on a free port, in a directory of its own, and made to fail on demand. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ServerOptions {
  /** Keeps a journal, so that a killed and restarted server has its data. Default: nothing is kept. */
  readonly aof?: boolean;
  readonly maxMemoryBytes?: number;
  /** Path of the server. Default `redis-server` on the PATH. */
  readonly binary?: string;
  /** Further settings, as on the server's command line: `['--maxmemory-policy', 'allkeys-lru']`. */
  readonly settings?: readonly string[];
  readonly cluster?: boolean;
  /** Where it keeps its files; default: a folder of its own. It is emptied at the end. */
  readonly directory?: string;
  /** Of the server's process, beside ours: a clock that is wrong. */
  readonly env?: Readonly<Record<string, string>>;
}

const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 10_000;

export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #directory: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;

  private constructor(port: number, directory: string, options: ServerOptions) {
    this.port = port;
    this.#directory = directory;
    this.#options = options;
  }

  static async start(options: ServerOptions = {}): Promise<RedisServer> {
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'tidemill-redis-')));
    for (let attempt = 1; ; attempt += 1) {
      const server = new RedisServer(await freePort(), directory, options);
      try {
        await server.restart();
        return server;
      } catch (error) {
        // Another process may have taken the port since; a second failure is about something else.
        if (attempt === 3) throw error;
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the server again on its port and directory. */
  async restart(): Promise<void> {
    assert.equal(this.#child, undefined, 'the server runs already');
    const child = spawn(this.#options.binary ?? 'redis-server', this.#arguments(), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#options.env },
    });
    this.#child = child;
    let output = '';
    const collect = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-4_000));
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    let failure: string | undefined;
    child.once('error', (error) => (failure = error.message));
    child.once('exit', (code) => (failure ??= `it exited with code ${String(code)}`));
    const deadlineMs = performance.now() + START_DEADLINE_MS;
    while (!(await this.#answers())) {
      if (failure !== undefined) {
        this.#child = undefined;
        throw new Error(`the server did not start: ${failure}\n${output}`);
      }
      assert.ok(performance.now() < deadlineMs, `the server did not answer in time\n${output}`);
      await sleep(10);
    }
    if (this.#options.cluster === true) await this.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  }

  /** Ends the server in order, as an operator would. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** kill -9 */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** The process stands still: its sockets stay open and nothing is answered. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async flushAll(): Promise<void> {
    await this.command('FLUSHALL');
  }

  /** Sends one command on a connection of its own; answers the raw text of the reply. */
  command(...words: readonly string[]): Promise<string> {
    return sendCommand(this.port, words);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #arguments(): string[] {
    const { aof = false, maxMemoryBytes = 0, settings = [], cluster = false } = this.#options;
    return [
      ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory, '--daemonize', 'no'],
      ...['--save', '', '--appendonly', aof ? 'yes' : 'no', '--appendfsync', 'everysec'],
      ...['--maxmemory', String(maxMemoryBytes), '--maxmemory-policy', 'noeviction'],
      ...(cluster ? ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] : []),
      ...settings,
    ];
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit', { signal: AbortSignal.timeout(STOP_DEADLINE_MS) });
    child.kill(signal);
    // A stopped process is not ended by SIGTERM before it goes on.
    child.kill('SIGCONT');
    await exited;
  }

  async #answers(): Promise<boolean> {
    try {
      return (await this.command('PING')).startsWith('+PONG');
    } catch {
      return false;
    }
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  server.close();
  await once(server, 'close');
  return address.port;
}

/** Sends one command on a connection of its own; answers the raw text of the reply. */
export async function sendCommand(port: number, words: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${parts.join('')}`);
    const chunks: readonly unknown[] = await once(socket, 'data', { signal: AbortSignal.timeout(5_000) });
    return String(chunks[0]);
  } finally {
    socket.destroy();
  }
}
