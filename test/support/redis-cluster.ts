/** Three masters with a replica each, as a Redis Cluster on loopback: a master can be killed, a slot moved under load. */
import assert from 'node:assert/strict';
import { freePort, RedisServer } from './redis-server.ts';
import { until } from './until.ts';

const MASTERS = 3;
const SLOTS = 16_384;
/** A node that says nothing for so long is taken for dead; servers come with 15 s. */
const NODE_TIMEOUT_MS = 2_000;

interface Member {
  readonly server: RedisServer;
  readonly id: string;
}

const textOf = (reply: string): string => reply.split('\r\n')[1] ?? '';

export class ClusterGroup implements AsyncDisposable {
  readonly #members: readonly Member[];

  private constructor(members: readonly Member[]) {
    this.#members = members;
  }

  static async start(): Promise<ClusterGroup> {
    const members: Member[] = [];
    const group = new ClusterGroup(members);
    try {
      for (let index = 0; index < 2 * MASTERS; index += 1) {
        const server = await RedisServer.start({ settings: await settings() });
        members.push({ server, id: textOf(await server.command('CLUSTER', 'MYID')) });
      }
      await group.#join();
    } catch (error) {
      await group[Symbol.asyncDispose]();
      throw error;
    }
    return group;
  }

  /** The server that any client may ask first. */
  get first(): RedisServer {
    const [member] = this.#members;
    assert.ok(member !== undefined);
    return member.server;
  }

  async slotOf(key: string): Promise<number> {
    return Number((await this.#anyone().command('CLUSTER', 'KEYSLOT', key)).slice(1));
  }

  /** The living master that serves the slot, as the others say too. */
  async masterOf(slot: number): Promise<RedisServer | undefined> {
    return (await this.#memberOf(slot))?.server;
  }

  /** Resolves when all that the master of the slot has acknowledged by now is on its replica as well. */
  async replicated(slot: number): Promise<void> {
    const master = await this.masterOf(slot);
    assert.ok(master !== undefined);
    const offset = async (field: string): Promise<number> =>
      Number(new RegExp(`${field}(\\d+)`).exec(await master.command('INFO', 'replication'))?.[1]);
    const wanted = await offset('master_repl_offset:');
    await until('the replica has caught up', async () => (await offset('slave0:.*offset=')) >= wanted);
  }

  /**
   * Moves a slot key by key, as `redis-cli --cluster reshard` does, only slower: clients meet each half-way state.
   * @param between - awaited after each key, while the others are still where they were
   * @returns how many keys went
   */
  async move(slot: number, between: (moved: number) => Promise<void>): Promise<number> {
    // One that was started again takes itself for a master until it has heard of the other.
    await until('all agree who is a master', () => this.#isAgreed());
    const source = await this.#memberOf(slot);
    const masters = await this.#masters();
    const target = masters.find(({ id }) => id !== source?.id);
    assert.ok(source !== undefined && target !== undefined);
    const to = (server: RedisServer, ...words: readonly string[]): Promise<void> =>
      ok(server, 'CLUSTER', 'SETSLOT', String(slot), ...words);
    await to(target.server, 'IMPORTING', source.id);
    await to(source.server, 'MIGRATING', target.id);
    let moved = 0;
    while (true) {
      const listed = await source.server.command('CLUSTER', 'GETKEYSINSLOT', String(slot), '1');
      const key = listed.split('\r\n')[2];
      if (key === undefined) break;
      const place = ['127.0.0.1', String(target.server.port)];
      await ok(source.server, 'MIGRATE', ...place, key, '0', '5000');
      moved += 1;
      await between(moved);
    }
    await to(target.server, 'NODE', target.id);
    // The others hear of it from these two.
    await to(source.server, 'NODE', target.id);
    await until('all know where the slot is', async () => (await this.masterOf(slot)) === target.server);
    return moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map(({ server }) => server[Symbol.asyncDispose]()));
  }

  async #join(): Promise<void> {
    const [first, ...others] = this.#members;
    assert.ok(first !== undefined);
    for (const [index, { server }] of this.#members.entries())
      await ok(server, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    for (const { server } of others) {
      const bus = (await server.command('CONFIG', 'GET', 'cluster-port')).split('\r\n').at(-2) ?? '';
      await ok(first.server, 'CLUSTER', 'MEET', '127.0.0.1', String(server.port), bus);
    }
    await until('all have met', async () => {
      const told = await Promise.all(this.#members.map(({ server }) => server.command('CLUSTER', 'INFO')));
      return told.every((text) => text.includes(`cluster_known_nodes:${2 * MASTERS}`));
    });
    const share = Math.ceil(SLOTS / MASTERS);
    for (let index = 0; index < MASTERS; index += 1) {
      const [master, replica] = [this.#members[index], this.#members[index + MASTERS]];
      assert.ok(master !== undefined && replica !== undefined);
      const last = Math.min(SLOTS, (index + 1) * share) - 1;
      await ok(master.server, 'CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last));
      await until('the replica knows its master', async () =>
        (await replica.server.command('CLUSTER', 'REPLICATE', master.id)).startsWith('+OK'),
      );
    }
    await until('the cluster is whole', async () => {
      const told = await Promise.all(
        this.#members.map(async ({ server }) =>
          [await server.command('CLUSTER', 'INFO'), await server.command('INFO', 'replication')].join('\n'),
        ),
      );
      return told.every(
        (text) => text.includes('cluster_state:ok') && /role:master|master_link_status:up/.test(text),
      );
    });
  }

  #anyone(): RedisServer {
    const alive = this.#members.find(({ server }) => server.pid !== undefined);
    assert.ok(alive !== undefined);
    return alive.server;
  }

  async #isAgreed(): Promise<boolean> {
    const views = await Promise.all(this.#members.map(({ server }) => this.#masters(server).catch(() => [])));
    const told = new Set(views.map((masters) => masters.map(({ id }) => id).join()));
    return told.size === 1 && views[0]?.length === MASTERS;
  }

  async #masters(asked = this.#anyone()): Promise<readonly Member[]> {
    const lines = textOf(await asked.command('CLUSTER', 'NODES'));
    const masters = lines.split('\n').filter((line) => /master/.test(line) && !/fail/.test(line));
    return this.#members.filter(({ id }) => masters.some((line) => line.startsWith(id)));
  }

  async #memberOf(slot: number): Promise<Member | undefined> {
    const masters = await this.#masters();
    for (const member of masters) {
      if (member.server.pid === undefined) continue;
      const lines = (await member.server.command('CLUSTER', 'NODES').catch(() => '')).split('\n');
      const own = lines.find((line) => line.includes('myself')) ?? '';
      if (/ (myself,)?master /.test(own) && holds(own, slot)) return member;
    }
    return undefined;
  }
}

/** Whether a line of CLUSTER NODES names the slot among those that the node serves. */
function holds(line: string, slot: number): boolean {
  return line
    .split(' ')
    .slice(8)
    .some((range) => {
      const [from, to = from] = range.split('-').map(Number);
      return from !== undefined && to !== undefined && from <= slot && slot <= to;
    });
}

async function settings(): Promise<readonly string[]> {
  return [
    ...['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
    // By itself it would be the port plus 10,000, which may be none.
    ...['--cluster-port', String(await freePort()), '--cluster-node-timeout', String(NODE_TIMEOUT_MS)],
    ...['--repl-diskless-sync-delay', '0'],
  ];
}

async function ok(server: RedisServer, ...words: readonly string[]): Promise<void> {
  const answer = await server.command(...words);
  assert.match(answer, /^\+(OK|NOKEY)/, `${words.slice(0, 4).join(' ')}: ${answer}`);
}
