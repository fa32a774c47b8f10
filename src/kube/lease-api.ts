/** A Lease on the API server. */
import {
  type CoordinationV1Api,
  V1Lease,
  V1LeaseSpec,
  V1MicroTime,
  V1ObjectMeta,
} from '@kubernetes/client-node';
import { apiStatusOf, kubeError } from './api-error.ts';
import type { KubeConnection } from './connect.ts';
import type { LeaseSnapshot } from './lease-decision.ts';
import type { LeasePort, LeaseWrite } from './lease-election.ts';
import type { ObjectName } from './scheduled-tasks.ts';

export class LeaseApi implements LeasePort {
  readonly #api: CoordinationV1Api;
  readonly #name: ObjectName;
  /** The whole object of each snapshot: what others wrote into it (labels, annotations) is written back as it was. */
  readonly #wholes = new WeakMap<LeaseSnapshot, V1Lease>();

  constructor(connection: Pick<KubeConnection, 'coordination'>, name: ObjectName) {
    this.#api = connection.coordination;
    this.#name = name;
  }

  async read(): Promise<LeaseSnapshot | undefined> {
    try {
      return this.#snapshot(await this.#api.readNamespacedLease(this.#name));
    } catch (error) {
      if (apiStatusOf(error).code === 404) return undefined;
      throw this.#error('read', error);
    }
  }

  async write(record: LeaseWrite, over: LeaseSnapshot | undefined): Promise<LeaseSnapshot | 'conflict'> {
    const { namespace } = this.#name;
    const body = this.#body(record, over);
    try {
      return this.#snapshot(
        over === undefined
          ? await this.#api.createNamespacedLease({ namespace, body })
          : await this.#api.replaceNamespacedLease({ ...this.#name, body }),
      );
    } catch (error) {
      const { code, reason } = apiStatusOf(error);
      // Deleted under our hands is a lost race, too; a namespace that is missing is not.
      if (code === 409 || (code === 404 && over !== undefined && reason === 'NotFound')) return 'conflict';
      throw this.#error('write', error);
    }
  }

  #body(record: LeaseWrite, over: LeaseSnapshot | undefined): V1Lease {
    const { holder, leaseMs, transitions, renewedAtMs, acquiredAtMs } = record;
    const whole = over === undefined ? undefined : this.#wholes.get(over);
    const { namespace, name } = this.#name;
    const names = { namespace, name, ...(over !== undefined && { resourceVersion: over.version }) };
    const spec = Object.assign(new V1LeaseSpec(), whole?.spec, {
      holderIdentity: holder,
      leaseDurationSeconds: Math.max(1, Math.round(leaseMs / 1_000)),
      leaseTransitions: transitions,
      renewTime: new V1MicroTime(renewedAtMs),
      ...(acquiredAtMs !== undefined && { acquireTime: new V1MicroTime(acquiredAtMs) }),
    });
    return Object.assign(new V1Lease(), {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: Object.assign(new V1ObjectMeta(), whole?.metadata, names),
      spec,
    });
  }

  #snapshot(lease: V1Lease): LeaseSnapshot {
    const { spec, metadata } = lease;
    const snapshot = {
      holder: spec?.holderIdentity ?? '',
      leaseMs: (spec?.leaseDurationSeconds ?? 0) * 1_000,
      transitions: spec?.leaseTransitions ?? 0,
      version: metadata?.resourceVersion ?? '',
    };
    this.#wholes.set(snapshot, lease);
    return snapshot;
  }

  #error(doing: string, error: unknown): Error {
    return kubeError(error, `${doing} Lease ${this.#name.namespace}/${this.#name.name}`);
  }
}
