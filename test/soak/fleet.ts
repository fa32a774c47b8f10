/** The processes of a soak on one Redis: some are never killed, so that their memory can be watched; the others are fair game. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '../../src/broker/broker.ts';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { fileUid } from '../../src/controller/file-generation.ts';
import { BuildCopy } from '../support/build-copy.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { RedisServer } from '../support/redis-server.ts';
import { TidemillProcess } from '../support/tidemill-process.ts';
import { until } from '../support/until.ts';
import { IMAGE_ENVIRONMENT } from './image-environment.ts';
import { type Sample, sampleOf, trendOf } from './trend.ts';
import type { ProcessTrend } from './verdict.ts';

export const QUEUE = 'default';
const TASKS = join(import.meta.dirname, '../fixtures/soak/tasks.ts');
const NAMESPACE = 'soak';
const INSTALL = 'default';
/** What a schedule does when its slots come too close, or too late. */
const SCHEDULES = [
  { name: 'second', every: '1s', overlap: 'Allow', late: 'All', ms: 5 },
  { name: 'half', every: '500ms', overlap: 'Allow', late: 'Latest', ms: 5 },
  { name: 'third', every: '3s', overlap: 'Allow', late: 'Skip', ms: 5 },
  { name: 'slow', every: '1s', overlap: 'Forbid', late: 'Latest', ms: 1_500 },
  { name: 'replaced', every: '2s', overlap: 'Replace', late: 'Latest', ms: 2_500 },
] as const;
/** Fires by hand only. */
const BY_HAND = 'by-hand';
/** More than a soak leaves behind, so that each end can be counted. */
const RETAINED_BYTES = '4GiB';
const RESTART_AFTER_MS = 1_000;

export type Role = 'consumer' | 'scheduler';

export interface Member {
  readonly role: Role;
  readonly name: string;
  /** Never killed: frozen and cut off at most. */
  readonly steady: boolean;
  /** It reaches Redis through the proxy. */
  readonly proxied: boolean;
  readonly process: TidemillProcess;
  /** A fault is on it: others keep off, and its end is no surprise. */
  busy: boolean;
}

export class SoakFleet implements AsyncDisposable {
  readonly redis: RedisServer;
  readonly proxy: FaultProxy;
  readonly broker: Broker;
  readonly folder: string;
  readonly ledger: string;
  readonly members: Member[] = [];
  readonly surprises: string[] = [];
  /** Starts that met no Redis and ended with 69, as they should; another process was started for each. */
  startsGivenUp = 0;
  readonly #build: BuildCopy;
  readonly #samples = new Map<string, Sample[]>();
  readonly #isStopping = new Set<Role>();
  #started = 0;

  private constructor(redis: RedisServer, proxy: FaultProxy, broker: Broker, build: BuildCopy) {
    this.redis = redis;
    this.proxy = proxy;
    this.broker = broker;
    this.#build = build;
    this.folder = mkdtempSync(join(tmpdir(), 'tidemill-soak-'));
    this.ledger = join(this.folder, 'ledger');
    writeFileSync(this.ledger, '');
    writeFileSync(join(this.folder, 'schedules.yaml'), manifests());
  }

  static async start(): Promise<SoakFleet> {
    // With `everysec` a killed Redis may lose what it acknowledged in the last moments. Here each write is synced before its
    // answer, so that whatever is lost was lost by us.
    const redis = await RedisServer.start({ aof: true, settings: ['--appendfsync', 'always'] });
    const broker = await connectRedis({ url: redis.url });
    return new SoakFleet(redis, await FaultProxy.start(redis.port), broker, new BuildCopy());
  }

  get uids(): readonly string[] {
    return SCHEDULES.map(({ name }) => fileUid(INSTALL, NAMESPACE, name));
  }

  get schedules(): readonly { readonly uid: string; readonly every: string }[] {
    return SCHEDULES.map(({ name, every }) => ({ uid: fileUid(INSTALL, NAMESPACE, name), every }));
  }

  get byHandUid(): string {
    return fileUid(INSTALL, NAMESPACE, BY_HAND);
  }

  async add(role: Role, { steady = false, proxied = false } = {}): Promise<Member> {
    this.#started += 1;
    const name = `${role}-${this.#started}${steady ? ' (never killed)' : ''}`;
    const redis = ['--redis', proxied ? this.proxy.url : this.redis.url];
    const quiet = ['--http-host', '127.0.0.1', '--http-port', '0', '--log-level', 'info'];
    const process = new TidemillProcess(
      [...(role === 'consumer' ? CONSUMER : [...SCHEDULER, this.folder]), ...redis, ...quiet],
      { ...IMAGE_ENVIRONMENT, TEST_LEDGER: this.ledger },
      this.#build.entry,
    );
    const member: Member = { role, name, steady, proxied, process, busy: false };
    this.members.push(member);
    void this.#watch(member);
    return member;
  }

  /** Takes a member out, by a signal that ends it, and puts another into its place. */
  async replace(member: Member, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    member.busy = true;
    member.process.signal(signal);
    const { code } = await member.process.exited;
    if (signal === 'SIGTERM' && code !== 0)
      this.surprises.push(`${member.name} ended with ${String(code)} after SIGTERM: ${tail(member)}`);
    this.members.splice(this.members.indexOf(member), 1);
    await this.add(member.role, { proxied: this.#started % 2 === 0 });
  }

  /** Ends all of a role, in order. */
  async stop(role: Role): Promise<void> {
    this.#isStopping.add(role);
    const leaving = this.members.filter((member) => member.role === role);
    await Promise.all(
      leaving.map(async (member) => {
        member.busy = true;
        member.process.signal('SIGTERM');
        const { code } = await member.process.exited;
        if (code !== 0 && !hasGivenUp(member, code))
          this.surprises.push(`${member.name} was told to stop and ended with ${String(code)}`);
      }),
    );
  }

  sample(atMs: number): void {
    const watched: readonly (readonly [string, number])[] = [
      ...this.members.map(({ name, process }) => [name, process.pid] as const),
      ...(this.redis.pid === undefined ? [] : [['redis', this.redis.pid] as const]),
    ];
    for (const [name, pid] of watched) {
      const sample = sampleOf(pid, atMs);
      const samples = this.#samples.get(name) ?? [];
      this.#samples.set(name, samples);
      if (sample !== undefined) samples.push(sample);
    }
  }

  /** Of the processes that were never killed. Redis holds all that ended, so it grows. */
  trends(): readonly ProcessTrend[] {
    return this.members
      .filter(({ steady }) => steady)
      .flatMap(({ name }) => trendOf(name, this.#samples.get(name) ?? []) ?? []);
  }

  /** Processes that were started by this soak, children of consumers included: they inherit the place of the ledger. */
  processes(): readonly number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => environmentOf(pid).includes(`TEST_LEDGER=${this.ledger}`));
  }

  /** Waits until schedules are in force. */
  async ready(): Promise<void> {
    await until('consumers and schedules are there', async () => {
      const consumers = await this.broker.queue(QUEUE).inspect.consumers();
      const states = await this.broker.queue(QUEUE).schedules.states([...this.uids, this.byHandUid]);
      const wanted = this.members.filter(({ role }) => role === 'consumer').length;
      return consumers.length === wanted && states.every((state) => state !== undefined);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process } of this.members) await process[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
    await this.redis[Symbol.asyncDispose]();
    this.#build[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #watch(member: Member): Promise<void> {
    const { code, signal } = await member.process.exited;
    if (member.busy) return;
    if (hasGivenUp(member, code)) {
      this.startsGivenUp += 1;
      await this.#startAgain(member);
      return;
    }
    this.surprises.push(`${member.name} ended by itself (${code ?? signal ?? ''}): ${tail(member)}`);
  }

  /** As whoever runs containers does. */
  async #startAgain(member: Member): Promise<void> {
    member.busy = true;
    await sleep(RESTART_AFTER_MS);
    this.members.splice(this.members.indexOf(member), 1);
    if (!this.#isStopping.has(member.role)) await this.add(member.role, { proxied: member.proxied });
  }
}

/** Redis was away for as long as a start waits for it. */
function hasGivenUp({ role, process }: Member, code: number | null): boolean {
  return code === EXIT.unavailable && !process.lines.some((line) => line.includes(`"${role} started"`));
}

const CONSUMER = [
  ...['consumer', '--tasks', TASKS, '--concurrency', '20', '--cpu-concurrency', '1'],
  ...['--drain', '5s', '--kill-grace', '1s'],
  ...['--retain-succeeded-bytes', RETAINED_BYTES, '--retain-failed-bytes', RETAINED_BYTES],
];
const SCHEDULER = ['scheduler', '--namespace', NAMESPACE];

function manifests(): string {
  const head = (name: string): string =>
    `apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata: { name: ${name} }\n`;
  return [
    ...SCHEDULES.map(
      ({ name, every, overlap, late, ms }) =>
        `${head(name)}spec: { task: tick, params: { ms: ${ms} }, every: ${every}, concurrencyPolicy: ${overlap}, missedRunPolicy: ${late} }\n`,
    ),
    `${head(BY_HAND)}spec: { task: tick, schedule: '0 0 1 1 *', concurrencyPolicy: Allow }\n`,
  ].join('---\n');
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

function tail({ process }: Member): string {
  return process.lines.slice(-5).join(' | ');
}
