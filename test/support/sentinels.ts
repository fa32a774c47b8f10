/** A master, a replica and three sentinels on loopback, for one test: made to fail over on demand. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, RedisServer, sendCommand } from './redis-server.ts';
import { until } from './until.ts';

const NAME = 'main';
/** Quick, so that a test of an outage is short: a server is down after 1 s, a second failover may follow after 4 s. */
const DOWN_AFTER_MS = 1_000;
const FAILOVER_TIMEOUT_MS = 2_000;
const QUORUM = 2;

interface Sentinel {
  readonly port: number;
  readonly child: ChildProcess;
}

export class SentinelGroup implements AsyncDisposable {
  readonly servers: readonly RedisServer[];
  readonly #sentinels: readonly Sentinel[];
  readonly #directory: string;

  private constructor(servers: readonly RedisServer[], sentinels: readonly Sentinel[], directory: string) {
    this.servers = servers;
    this.#sentinels = sentinels;
    this.#directory = directory;
  }

  /** Starts all, and waits until each sentinel knows the replica and the other sentinels. */
  static async start(): Promise<SentinelGroup> {
    const quick = ['--repl-diskless-sync-delay', '0'];
    const master = await RedisServer.start({ settings: quick });
    const replica = await RedisServer.start({
      settings: [...quick, '--replicaof', '127.0.0.1', String(master.port)],
    });
    const directory = await mkdtemp(join(tmpdir(), 'tidemill-sentinels-'));
    const sentinels: Sentinel[] = [];
    const group = new SentinelGroup([master, replica], sentinels, directory);
    try {
      for (let index = 0; index < 3; index += 1) sentinels.push(await startSentinel(directory, master.port));
      await until('the sentinels know each other and the replica', () => group.#isComplete());
    } catch (error) {
      await group[Symbol.asyncDispose]();
      throw error;
    }
    return group;
  }

  /** As `RedisAddress` wants it. */
  get address(): { readonly url: string; readonly sentinels: { name: string; nodes: readonly string[] } } {
    const nodes = this.#sentinels.map(({ port }) => `127.0.0.1:${port}`);
    return { url: 'redis://unused', sentinels: { name: NAME, nodes } };
  }

  /** The server that the sentinels name as the master and that says so itself. */
  async master(): Promise<RedisServer | undefined> {
    const said = await this.#ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME);
    const named = this.servers.find((server) => said.includes(String(server.port)));
    return named !== undefined && (await roleOf(named)) === 'master' ? named : undefined;
  }

  /** Makes the replica the master, with the old master alive; resolves when it has become a replica in sync. */
  async failover(): Promise<void> {
    const before = await this.master();
    assert.ok(before !== undefined);
    await until('the sentinels begin a failover', async () =>
      (await this.#ask('SENTINEL', 'FAILOVER', NAME)).startsWith('+OK'),
    );
    await until('the old master follows the new one', async () => {
      const now = await this.master();
      if (now === undefined || now === before || (await roleOf(before)) !== 'slave') return false;
      return (await before.command('INFO', 'replication')).includes('master_link_status:up');
    });
  }

  /** Resolves when all that the master has acknowledged by now is on the replica as well. */
  async replicated(): Promise<void> {
    const master = await this.master();
    const replica = this.servers.find((server) => server !== master);
    assert.ok(master !== undefined && replica !== undefined);
    const wanted = await offsetOf(master, 'master_repl_offset');
    await until(
      'the replica has caught up',
      async () => (await offsetOf(replica, 'slave_repl_offset')) >= wanted,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#sentinels.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }),
    );
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #isComplete(): Promise<boolean> {
    const said = await Promise.all(
      this.#sentinels.map(({ port }) => sendCommand(port, ['SENTINEL', 'MASTER', NAME]).catch(() => '')),
    );
    const tells = (text: string, field: string, value: number): boolean =>
      text.includes(`${field}\r\n$1\r\n${value}\r\n`);
    return said.every((text) => tells(text, 'num-slaves', 1) && tells(text, 'num-other-sentinels', 2));
  }

  /** The first sentinel answers for all. */
  #ask(...words: readonly string[]): Promise<string> {
    const [first] = this.#sentinels;
    assert.ok(first !== undefined);
    return sendCommand(first.port, words);
  }
}

async function roleOf(server: RedisServer): Promise<string | undefined> {
  const info = await server.command('INFO', 'replication').catch(() => '');
  return /role:(\w+)/.exec(info)?.[1];
}

async function offsetOf(server: RedisServer, field: string): Promise<number> {
  const info = await server.command('INFO', 'replication');
  return Number(new RegExp(`${field}:(\\d+)`).exec(info)?.[1]);
}

/** A sentinel writes what it learns into its file, so each has one of its own. */
async function startSentinel(directory: string, masterPort: number): Promise<Sentinel> {
  const port = await freePort();
  const file = join(directory, `${port}.conf`);
  const lines = [
    ...[`port ${port}`, 'bind 127.0.0.1', `dir ${directory}`],
    `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${NAME} ${FAILOVER_TIMEOUT_MS}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  return { port, child };
}
