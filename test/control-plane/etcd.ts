/** The etcd of a control plane: compacted, copied and set back in time on demand. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Guardian } from './guardian.ts';
import { lastingPort, ManagedProcess } from './managed-process.ts';

/** The first key there is, in the form in which etcd's JSON gateway takes keys. */
const ANY_KEY = Buffer.from([0]).toString('base64');

export class Etcd {
  readonly url: string;
  readonly process: ManagedProcess;
  readonly #dataDir: string;

  private constructor(url: string, dataDir: string, server: ManagedProcess) {
    this.url = url;
    this.#dataDir = dataDir;
    this.process = server;
  }

  static async start(binary: string, directory: string, guardian: Guardian): Promise<Etcd> {
    const url = `http://127.0.0.1:${await lastingPort()}`;
    const peerUrl = `http://127.0.0.1:${await lastingPort()}`;
    const dataDir = join(directory, 'etcd');
    await mkdir(dataDir, { mode: 0o700 });
    const server = new ManagedProcess(
      {
        name: 'etcd',
        binary,
        args: [
          ...['--data-dir', dataDir, '--name', 'test', '--unsafe-no-fsync', '--log-level', 'warn'],
          ...['--listen-client-urls', url, '--advertise-client-urls', url],
          ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
          ...['--initial-cluster', `test=${peerUrl}`],
        ],
        logFile: join(directory, 'etcd.log'),
        ready: () => isHealthy(url),
      },
      guardian,
    );
    await server.start();
    return new Etcd(url, dataDir, server);
  }

  async revision(): Promise<number> {
    const answer = await this.#call('kv/range', { key: ANY_KEY, limit: 1 });
    return revisionOf(answer);
  }

  /** Forgets the history up to now, as the API server itself does every five minutes. */
  async compact(): Promise<number> {
    const revision = await this.revision();
    await this.#call('kv/compaction', { revision, physical: true });
    return revision;
  }

  /** Copies the data as they are now to `target`. */
  async copyTo(target: string): Promise<void> {
    // Standing still, it leaves what a kill -9 would leave, which etcd recovers from; and nobody is disconnected.
    this.process.freeze();
    try {
      await cp(this.#dataDir, target, { recursive: true });
    } finally {
      this.process.thaw();
    }
  }

  /** Ends etcd, puts a copy in the place of its data, and starts it again. */
  async replaceBy(source: string): Promise<void> {
    await this.process.kill();
    await rm(this.#dataDir, { recursive: true, force: true });
    await cp(source, this.#dataDir, { recursive: true });
    await this.process.start();
  }

  async #call(path: string, body: object): Promise<unknown> {
    const response = await fetch(`${this.url}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`etcd answered ${response.status} to ${path}: ${text}`);
    return JSON.parse(text);
  }
}

function revisionOf(answer: unknown): number {
  if (typeof answer === 'object' && answer !== null && 'header' in answer) {
    const { header } = answer;
    if (typeof header === 'object' && header !== null && 'revision' in header) return Number(header.revision);
  }
  throw new Error(`etcd's answer has no revision: ${JSON.stringify(answer)}`);
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
