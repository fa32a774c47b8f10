/** An informer on a real API server, and what it told. */
import { connectKube, type KubeConnection } from '../../../src/kube/connect.ts';
import { ScheduledTaskInformer } from '../../../src/kube/informer.ts';
import type { InformerTiming } from '../../../src/kube/list-watch.ts';
import type { RestartReason } from '../../../src/kube/observer.ts';
import { rbacObjects } from '../../../src/kube/rbac.ts';
import type { ObjectKey } from '../../../src/resource/scheduled-object.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import type { ControlPlane, ServiceAccountAccess } from '../../control-plane/control-plane.ts';
import { until } from '../../support/until.ts';

export interface WatchedOptions {
  readonly kubeconfig: string;
  readonly namespaces: readonly string[];
  readonly timing?: Partial<InformerTiming>;
  readonly requestTimeoutMs?: number;
}

export class Watched implements AsyncDisposable {
  readonly connection: KubeConnection;
  readonly informer: ScheduledTaskInformer;
  readonly restarts: RestartReason[] = [];
  /** Keys that a listener was told. */
  readonly told: ObjectKey[] = [];
  /** Full lists that succeeded. */
  lists = 0;
  events: string[] = [];
  #stop = new AbortController();
  #running: Promise<void>;

  constructor({ kubeconfig, namespaces, timing = {}, requestTimeoutMs = 10_000 }: WatchedOptions) {
    this.connection = connectKube({ kubeconfig, clock: systemClock, requestTimeoutMs });
    this.informer = new ScheduledTaskInformer({
      connection: this.connection,
      namespaces,
      clock: systemClock,
      log: silentLog,
      timing,
      observer: {
        restarted: ({ reason }) => this.restarts.push(reason),
        listed: () => (this.lists += 1),
        eventSeen: ({ type }) => this.events.push(type),
      },
    });
    this.informer.subscribe((key) => this.told.push(key));
    this.#running = this.informer.run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** After a stop. */
  start(): void {
    this.#stop = new AbortController();
    this.#running = this.informer.run(this.#stop.signal);
  }

  /** Waits until the snapshot of that key is as described. */
  async sees(
    key: ObjectKey,
    what: string,
    check: (every: string | undefined) => boolean,
    deadlineMs = 30_000,
  ) {
    await until(`${key} ${what}`, () => check(this.every(key)), {
      deadlineMs,
      describe: () => `seen: ${this.every(key) ?? 'nothing'}, restarts: ${this.restarts.join(' ')}`,
    });
  }

  /** `spec.every` of the snapshot, by which the tests tell versions apart. */
  every(key: ObjectKey): string | undefined {
    const spec = this.informer.get(key)?.spec;
    return spec !== undefined && 'every' in spec ? spec.every : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.connection[Symbol.asyncDispose]();
  }
}

/** An account in that namespace with exactly the documented rights, in the given namespaces only. */
export async function controllerAccount(
  plane: ControlPlane,
  namespace: string,
  watchNamespaces: readonly string[] = [namespace],
): Promise<ServiceAccountAccess> {
  const account = 'tidemill-controller';
  const options = { namespace, serviceAccount: account, leaseName: 'tidemill-controller', watchNamespaces };
  return await plane.serviceAccount(namespace, account, rbacObjects(options));
}

export function task(namespace: string, name: string, every = '1h', more: object = {}): object {
  return {
    apiVersion: 'tidemill.dev/v1alpha1',
    kind: 'ScheduledTask',
    metadata: { namespace, name },
    spec: { task: 'report', every, ...more },
  };
}
