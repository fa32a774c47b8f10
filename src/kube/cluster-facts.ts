/** What can be asked of a cluster without changing it: its version, our API in it, the CRD as it is stored, the Lease. */
import { z } from 'zod';
import type { Clock } from '../runtime/clock.ts';
import { GROUP, PLURAL, VERSION } from '../resource/scheduled-task.ts';
import { apiStatusOf, kubeError } from './api-error.ts';
import type { KubeConnection } from './connect.ts';
import type { ObjectName } from './scheduled-tasks.ts';

/** `forbidden`: we may not read it. `absent`: it is not there. */
export type Reading<T> =
  { readonly kind: 'read'; readonly value: T } | { readonly kind: 'absent' } | { readonly kind: 'forbidden' };

export interface LeaseFacts {
  /** Empty: nobody. */
  readonly holder: string;
  readonly leaseMs: number;
  /** By the clock of its holder, ms; absent when it was never renewed. */
  readonly renewedAtMs?: number;
  /** Changes with every renewal. */
  readonly version: string;
}

const ResourcesSchema = z.object({ resources: z.array(z.object({ name: z.string() })) });
const CrdSchema = z.object({
  spec: z.object({
    versions: z.array(
      z.object({
        name: z.string(),
        schema: z.object({ openAPIV3Schema: z.record(z.string(), z.unknown()) }).optional(),
      }),
    ),
  }),
});

export class ClusterFacts {
  readonly #connection: KubeConnection;

  constructor(connection: KubeConnection) {
    this.#connection = connection;
  }

  get server(): string {
    return this.#connection.server;
  }

  /** Such as `v1.36.1`. @throws TidemillError KUBE_UNAVAILABLE, KUBE_FORBIDDEN, KUBE_REFUSED; so do the others */
  async version(): Promise<string> {
    try {
      return (await this.#connection.version.getCode()).gitVersion;
    } catch (error) {
      throw kubeError(error, 'ask the API server for its version');
    }
  }

  /** The resources that are served under our group and version: the object, and its status. */
  async served(): Promise<Reading<readonly string[]>> {
    return reading('ask what is served of tidemill.dev', async () => {
      const list: unknown = await this.#connection.custom.getAPIResources({ group: GROUP, version: VERSION });
      return ResourcesSchema.parse(list).resources.map(({ name }) => name);
    });
  }

  /** The schema of our version as the cluster has it; `absent` also when the CRD has no such version. */
  async storedSchema(): Promise<Reading<object>> {
    const found = await reading('read the CRD', async () => {
      const stored: unknown = await this.#connection.custom.getClusterCustomObject({
        ...{ group: 'apiextensions.k8s.io', version: 'v1' },
        ...{ plural: 'customresourcedefinitions', name: `${PLURAL}.${GROUP}` },
      });
      const { versions } = CrdSchema.parse(stored).spec;
      return versions.find(({ name }) => name === VERSION)?.schema?.openAPIV3Schema;
    });
    if (found.kind !== 'read') return found;
    return found.value === undefined ? { kind: 'absent' } : { kind: 'read', value: found.value };
  }

  async lease({ namespace, name }: ObjectName): Promise<Reading<LeaseFacts>> {
    return reading(`read Lease ${namespace}/${name}`, async () => {
      const { spec, metadata } = await this.#connection.coordination.readNamespacedLease({ namespace, name });
      const renewedAtMs = instantOf(spec?.renewTime);
      return {
        holder: spec?.holderIdentity ?? '',
        leaseMs: (spec?.leaseDurationSeconds ?? 0) * 1_000,
        version: metadata?.resourceVersion ?? '',
        ...(renewedAtMs !== undefined && { renewedAtMs }),
      };
    });
  }

  /** Waits until the Lease is renewed or changes hands: what tells a live holder from a dead one whatever the clocks say. */
  async renewal(lease: ObjectName, seen: LeaseFacts, withinMs: number, clock: Clock): Promise<boolean> {
    const untilMs = clock.monotonic() + withinMs;
    while (clock.monotonic() < untilMs) {
      await clock.sleep(LOOK_EVERY_MS);
      const now = await this.lease(lease);
      if (now.kind === 'read' && now.value.holder !== '' && now.value.version !== seen.version) return true;
    }
    return false;
  }
}

/** The client says that it is a date, and hands on the text: with its microseconds, which `Date` reads as well. */
function instantOf(time: unknown): number | undefined {
  const ms = time instanceof Date ? time.getTime() : typeof time === 'string' ? Date.parse(time) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

const LOOK_EVERY_MS = 1_000;

async function reading<T>(doing: string, read: () => Promise<T>): Promise<Reading<T>> {
  try {
    return { kind: 'read', value: await read() };
  } catch (error) {
    const { code } = apiStatusOf(error);
    if (code === 404) return { kind: 'absent' };
    if (code === 403) return { kind: 'forbidden' };
    throw kubeError(error, doing);
  }
}
