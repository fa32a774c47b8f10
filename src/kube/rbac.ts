/** The rights that a controller needs on the API server, and no others: as data, for the chart, for `tidemill rbac`, and for the tests, which run with exactly these. */
import { GROUP, PLURAL } from '../resource/scheduled-task.ts';

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface ControllerRules {
  /** Wherever objects are watched. */
  readonly objects: readonly PolicyRule[];
  /** In the namespace of the Lease. */
  readonly lease: readonly PolicyRule[];
}

export interface RbacOptions {
  /** Of the service account and of the Lease. */
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly leaseName: string;
  /** Empty: all. */
  readonly watchNamespaces: readonly string[];
}

interface RoleObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

const RBAC_GROUP = 'rbac.authorization.k8s.io';

export function controllerRules(leaseName: string): ControllerRules {
  return {
    objects: [
      { apiGroups: [GROUP], resources: [PLURAL], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [GROUP], resources: [`${PLURAL}/status`], verbs: ['patch'] },
      { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
    ],
    lease: [
      // The name of what is being made is not known to the authorizer: a rule with names never allows it.
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: [leaseName],
        verbs: ['get', 'update'],
      },
    ],
  };
}

export interface DoctorRules {
  /** In the namespace of the Lease. */
  readonly lease: readonly PolicyRule[];
  /** In the whole cluster, and only if wanted: without them the schema of the CRD is not compared, and `doctor` says so. */
  readonly crd: readonly PolicyRule[];
}

/** What `tidemill doctor --kubernetes` needs; that the CRD is served every service account may see. */
export function doctorRules(leaseName: string): DoctorRules {
  return {
    lease: [
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: [leaseName],
        verbs: ['get'],
      },
    ],
    crd: [
      {
        apiGroups: ['apiextensions.k8s.io'],
        resources: ['customresourcedefinitions'],
        resourceNames: [`${PLURAL}.${GROUP}`],
        verbs: ['get'],
      },
    ],
  };
}

/** A service account with exactly those rights: in the whole cluster, or in each of the watched namespaces. */
export function rbacObjects(options: RbacOptions): readonly RoleObject[] {
  const { namespace, serviceAccount, leaseName, watchNamespaces } = options;
  const rules = controllerRules(leaseName);
  const namespaces = [...new Set(watchNamespaces)];
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: serviceAccount, namespace } },
    ...(namespaces.length === 0 ? [undefined] : namespaces).flatMap((watched) =>
      // Its own namespace in the name keeps installs apart that share a cluster or a watched namespace.
      granted(
        { name: `${namespace}:${serviceAccount}`, ...(watched !== undefined && { namespace: watched }) },
        rules.objects,
        options,
      ),
    ),
    ...granted({ name: `${serviceAccount}-lease`, namespace }, rules.lease, options),
  ];
}

/** A role and its binding: of the cluster when no namespace is named. */
function granted(
  metadata: RoleObject['metadata'],
  rules: readonly PolicyRule[],
  { namespace, serviceAccount }: RbacOptions,
): readonly (RoleObject & Readonly<Record<string, unknown>>)[] {
  const scope = metadata.namespace === undefined ? 'Cluster' : '';
  const apiVersion = `${RBAC_GROUP}/v1`;
  return [
    { apiVersion, kind: `${scope}Role`, metadata, rules },
    {
      apiVersion,
      kind: `${scope}RoleBinding`,
      metadata,
      roleRef: { apiGroup: RBAC_GROUP, kind: `${scope}Role`, name: metadata.name },
      subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace }],
    },
  ];
}
