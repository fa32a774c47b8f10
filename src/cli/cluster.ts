/** The Kubernetes side of a controller, ready to be wired to the engine. Loaded on demand: the client library is 90 MB of memory. */
import { hostname } from 'node:os';
import { connectKube, type KubeConnection } from '../kube/connect.ts';
import { KubeEventStore } from '../kube/event-api.ts';
import { ScheduledTaskInformer } from '../kube/informer.ts';
import { LeaseApi } from '../kube/lease-api.ts';
import { runWithLease } from '../kube/lease-election.ts';
import type { RestartReason } from '../kube/observer.ts';
import { ScheduledTasksApi } from '../kube/scheduled-tasks.ts';
import { KubeStatusStore } from '../kube/status-api.ts';
import { newIncarnation } from '../task/ids.ts';
import type { Log } from '../telemetry/log.ts';
import type { Io } from './io.ts';
import { type KubeSettings, kubeSource } from './kube-settings.ts';
import { VERSION } from './version.ts';

export interface ClusterSettings extends KubeSettings {
  readonly watchNamespaces?: readonly string[] | undefined;
  readonly leaseName: string;
  readonly leaseNamespace?: string | undefined;
}

export interface ClusterWatch {
  requested(request: {
    readonly method: string;
    readonly host: string;
    readonly code: number | undefined;
    readonly durationMs: number;
  }): void;
  informerRestarted(reason: RestartReason): void;
}

export interface Cluster extends AsyncDisposable {
  readonly server: string;
  /** Of the pod, or of the context. */
  readonly namespace: string;
  readonly informer: ScheduledTaskInformer;
  readonly statuses: KubeStatusStore;
  readonly events: KubeEventStore;
  /** Names this process in the Lease and in events: a new one at each start. */
  readonly identity: string;
  /** Runs `work` whenever this process holds the Lease. */
  lead(
    signal: AbortSignal,
    onChange: (leading: boolean) => void,
    work: (term: AbortSignal) => Promise<void>,
  ): Promise<void>;
}

export function openCluster(
  settings: ClusterSettings,
  { io, log, watch }: { readonly io: Io; readonly log: Log; readonly watch: ClusterWatch },
): Cluster {
  const { clock } = io;
  const connection: KubeConnection = connectKube({
    ...kubeSource(settings, io),
    clock,
    userAgent: `tidemill-controller/${VERSION}`,
    observer: { requestFinished: (request) => watch.requested(request) },
  });
  const api = new ScheduledTasksApi(connection, { patient: false });
  const identity = `${hostname()}_${newIncarnation()}`;
  const lease = {
    namespace: settings.leaseNamespace ?? connection.namespace,
    name: settings.leaseName,
  };
  return {
    server: connection.server,
    namespace: connection.namespace,
    identity,
    informer: new ScheduledTaskInformer({
      connection,
      namespaces: settings.watchNamespaces ?? [],
      clock,
      log,
      observer: { restarted: ({ reason }) => watch.informerRestarted(reason) },
    }),
    statuses: new KubeStatusStore({ tasks: api, clock, log }),
    events: new KubeEventStore({ connection, clock, instance: identity }),
    lead: (signal, onChange, work) =>
      runWithLease({ leases: new LeaseApi(connection, lease), clock, log, identity, onChange }, signal, work),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}
