/** What the proofs on a real API server share: controllers as real processes, each with the documented rights and a wire of its own that can be cut. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Broker, Queue } from '../../../src/broker/broker.ts';
import { connectRedis } from '../../../src/broker/redis/connect.ts';
import { rbacObjects } from '../../../src/kube/rbac.ts';
import { parseScheduledTask, type ScheduledTask } from '../../../src/resource/scheduled-task.ts';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  type ServiceAccountAccess,
  startControlPlane,
} from '../../control-plane/control-plane.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { RedisServer, type ServerOptions } from '../../support/redis-server.ts';
import { slotAccount, type SlotAccount, sumOf } from '../../support/slot-account.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';

const TASKS = join(import.meta.dirname, '../../fixtures/e2e/tasks.ts');
export const QUEUE = 'default';
export const LEASE = 'tidemill-controller';
/** A dead leader is followed within this. */
export const TAKEOVER_MS = 18_000;
/** What a new process needs on a busy machine until it watches. */
const START_MS = 60_000;

export interface Controller {
  readonly process: TidemillProcess;
  /** Between it and the API server. */
  readonly wire: FaultProxy;
  /** Of probes and metrics. */
  readonly http: string;
}

export interface ControllerOptions {
  /** Whose rights it has. Default: the documented ones for the whole cluster. */
  readonly account?: ServiceAccountAccess;
  /** What stands between its wire and the API server. Default: nothing. */
  readonly through?: { readonly port: number };
  /** Default: all controllers of a fleet share one. Another one is led at once, beside whoever leads. */
  readonly lease?: string;
  /** Wait until its probe says so. Default true. */
  readonly ready?: boolean;
}

export interface FleetOptions {
  readonly redis?: ServerOptions;
  readonly plane?: ControlPlaneOptions;
}

export class ControllerFleet implements AsyncDisposable {
  readonly plane: ControlPlane;
  readonly redis: RedisServer;
  readonly broker: Broker;
  /** Holds the objects, the service account and the Lease. */
  readonly namespace: string;
  /** Empty: all. */
  readonly #watched: readonly string[];
  /** By the name of the Lease that they may write. */
  readonly #accounts = new Map<string, ServiceAccountAccess>();
  readonly #ownsPlane: boolean;
  readonly #controllers = new Set<Controller>();
  readonly #consumers: TidemillProcess[] = [];

  private constructor(parts: {
    readonly plane: ControlPlane;
    readonly redis: RedisServer;
    readonly broker: Broker;
    readonly namespace: string;
    readonly isGuest: boolean;
  }) {
    this.plane = parts.plane;
    this.redis = parts.redis;
    this.broker = parts.broker;
    this.namespace = parts.namespace;
    this.#ownsPlane = !parts.isGuest;
    this.#watched = parts.isGuest ? [parts.namespace] : [];
  }

  static async start({
    redis: server = {},
    plane: options = {},
  }: FleetOptions = {}): Promise<ControllerFleet> {
    const [plane, redis] = await Promise.all([startControlPlane(options), RedisServer.start(server)]);
    await plane.applyCrd();
    const namespace = await plane.namespace('proof');
    const broker = await connectRedis({ url: redis.url });
    return new ControllerFleet({ plane, redis, broker, namespace, isGuest: false });
  }

  /** One more on an API server that is there, with a Redis of its own; its controllers watch only its namespace. */
  static async guest(plane: ControlPlane): Promise<ControllerFleet> {
    const redis = await RedisServer.start();
    const namespace = await plane.namespace('guest');
    const broker = await connectRedis({ url: redis.url });
    return new ControllerFleet({ plane, redis, broker, namespace, isGuest: true });
  }

  get queue(): Queue {
    return this.broker.queue(QUEUE);
  }

  /** One that has listed the objects and serves its probes. Several may lead one after another. */
  async controller(
    flags: readonly string[] = [],
    { account, through = this.plane, lease = LEASE, ready = true }: ControllerOptions = {},
  ): Promise<Controller> {
    const { token, namespace } = account ?? (await this.#account(lease));
    const wire = await FaultProxy.start(through.port);
    const kubeconfig = await this.plane.writeKubeconfig({
      url: `https://127.0.0.1:${wire.port}`,
      token,
      namespace,
    });
    const process = new TidemillProcess([
      ...['controller', '--redis', this.redis.url, '--kubeconfig', kubeconfig, '--lease-name', lease],
      ...this.#watched.flatMap((watched) => ['--watch-namespaces', watched]),
      ...['--http-host', '127.0.0.1', '--http-port', '0', ...flags],
    ]);
    const starting = { process, wire, http: '' };
    this.#controllers.add(starting);
    const [, http = ''] =
      /"http":"(http:[^"]+)"/.exec(await process.line(/controller started/, START_MS)) ?? [];
    this.#controllers.delete(starting);
    const controller = { process, wire, http };
    this.#controllers.add(controller);
    if (ready) await this.ready(controller);
    return controller;
  }

  /** One that knows the tasks of the end-to-end fixtures, and ends with the fleet. */
  async consumer(): Promise<void> {
    const consumer = new TidemillProcess([
      ...['consumer', '--tasks', TASKS, '--redis', this.redis.url],
      ...['--http-host', '127.0.0.1', '--http-port', '0', '--cpu-concurrency', '0'],
    ]);
    this.#consumers.push(consumer);
    await consumer.line(/consumer started/, START_MS);
  }

  /** With exactly the documented rights. */
  async #account(lease: string): Promise<ServiceAccountAccess> {
    const known = this.#accounts.get(lease);
    if (known !== undefined) return known;
    const { namespace } = this;
    const watchNamespaces = this.#watched;
    const objects = rbacObjects({ namespace, serviceAccount: lease, leaseName: lease, watchNamespaces });
    const account = await this.plane.serviceAccount(namespace, lease, objects);
    this.#accounts.set(lease, account);
    return account;
  }

  async ready({ http, process }: Controller): Promise<void> {
    await until(
      'the controller is ready',
      async () => {
        const answer = await fetch(`${http}/readyz`).catch(() => undefined);
        return answer?.status === 200;
      },
      { deadlineMs: START_MS, describe: () => process.lines.slice(-20).join('\n') },
    );
  }

  leads({ process }: Controller, deadlineMs = TAKEOVER_MS + 10_000): Promise<string> {
    return process.line(/leads now/, deadlineMs);
  }

  /** Applies objects of a fixed shape: `spec` by name. */
  async apply(
    specs: Readonly<Record<string, object>>,
    annotations?: Readonly<Record<string, string>>,
  ): Promise<void> {
    await this.plane.apply(
      Object.entries(specs).map(([name, spec]) => ({
        apiVersion: 'tidemill.dev/v1alpha1',
        kind: 'ScheduledTask',
        metadata: { name, namespace: this.namespace, ...(annotations && { annotations }) },
        spec,
      })),
    );
  }

  /** `kubectl` in the namespace of the objects. */
  kubectl(...args: readonly string[]): Promise<string> {
    return this.plane.mustKubectl(['-n', this.namespace, ...args]);
  }

  async object(name: string): Promise<ScheduledTask> {
    const parsed = parseScheduledTask(
      JSON.parse(await this.kubectl('get', 'st', name, '-o', 'json')),
      'ignore',
    );
    assert.ok(parsed.kind === 'object', JSON.stringify(parsed));
    return parsed.object;
  }

  async uidOf(name: string): Promise<string> {
    return (await this.kubectl('get', 'st', name, '-o', 'jsonpath={.metadata.uid}')).trim();
  }

  /** Uids by name, of all objects of the namespace. */
  async uids(): Promise<ReadonlyMap<string, string>> {
    const text = await this.kubectl(
      ...['get', 'st', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\\n"}{end}'],
    );
    return new Map(
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line): [string, string] => {
          const [name = '', uid = ''] = line.split(' ');
          return [name, uid];
        }),
    );
  }

  /** Waits until each slot up to an instant of the broker's clock has its decision. */
  async settled(uids: readonly string[], throughMs: number, deadlineMs = 60_000): Promise<void> {
    let behind: readonly string[] = [];
    await until(
      `all slots are decided through ${new Date(throughMs).toISOString()}`,
      async () => {
        const states = await this.queue.schedules.states(uids);
        behind = uids.filter((_, index) => (states[index]?.watermarkMs ?? 0) < throughMs);
        return behind.length === 0;
      },
      {
        deadlineMs,
        describe: () =>
          `behind: ${behind.length} of ${uids.length}, such as ${behind[0] ?? ''}\n${this.#lastLines()}`,
      },
    );
  }

  /** Waits until a generation of each is in force. */
  async adopted(uids: readonly string[], generation: number, deadlineMs = 30_000): Promise<void> {
    await until(
      `generation ${generation} is in force`,
      async () => {
        const states = await this.queue.schedules.states(uids);
        return states.every((state) => (state?.generation ?? 0) >= generation);
      },
      { deadlineMs, describe: () => this.#lastLines() },
    );
  }

  /** Of all schedules, whatever spec decided; each from its first era on. */
  async account(uids: readonly string[], interval: string, untilMs: number): Promise<SlotAccount> {
    const accounts: SlotAccount[] = [];
    for (const uid of uids) {
      const [era] = await this.queue.schedules.eras(uid);
      assert.ok(era !== undefined, `${uid} was adopted`);
      accounts.push(await slotAccount(this.queue, uid, interval, { fromMs: era.fromMs, untilMs }));
    }
    return sumOf(accounts);
  }

  /** What the controllers said last. */
  #lastLines(): string {
    return [...this.#controllers].flatMap(({ process }) => process.lines.slice(-8)).join('\n');
  }

  /** In order, as a roll-out does. */
  async stop(controller: Controller): Promise<void> {
    controller.process.signal('SIGTERM');
    assert.deepEqual(await controller.process.exited, { code: 0, signal: null });
    await this.end(controller);
  }

  async end(controller: Controller): Promise<void> {
    this.#controllers.delete(controller);
    await controller.process[Symbol.asyncDispose]();
    await controller.wire[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const controller of [...this.#controllers]) await this.end(controller);
    for (const consumer of this.#consumers) await consumer[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
    await this.redis[Symbol.asyncDispose]();
    if (this.#ownsPlane) await this.plane[Symbol.asyncDispose]();
  }
}
