/** The settings that say which Kubernetes, and what a controller may watch in it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { optionalSetting, textSetting } from '../runtime/config.ts';
import type { Io } from './io.ts';
import { NAME_RULE, nameText, nonEmptyList } from './setting-kinds.ts';

const anyText = (text: string): string | undefined => (text === '' ? undefined : text);

export const KUBE = {
  kubeconfig: optionalSetting(
    {
      flag: 'kubeconfig',
      argument: 'path',
      help: 'kubeconfig file to use',
      defaultNote: '$KUBECONFIG, or ~/.kube/config, or the service account of the pod',
    },
    'must be the path of a file',
    anyText,
  ),
  context: optionalSetting(
    {
      flag: 'context',
      argument: 'name',
      help: 'context of the kubeconfig to use',
      defaultNote: 'its current one',
    },
    'must not be empty',
    anyText,
  ),
};
export type KubeSettings = z.output<z.ZodObject<typeof KUBE>>;

const namespaceList = (text: string): readonly string[] | undefined => {
  const names = nonEmptyList(text);
  return names?.every((name) => nameText(name) !== undefined) === true ? [...new Set(names)] : undefined;
};

export const watchNamespaces = optionalSetting(
  {
    flag: 'watch-namespaces',
    argument: 'name',
    help: 'namespaces whose objects are served; several by commas or by repeating the flag',
    defaultNote: 'all, which needs a ClusterRole',
    list: true,
  },
  'must be the name of a namespace, or several such names separated by commas',
  namespaceList,
);
export const leaseName = textSetting(
  {
    flag: 'lease-name',
    argument: 'name',
    help: 'Lease that says which controller works; controllers of one install share it',
    default: 'tidemill-controller',
  },
  NAME_RULE,
  nameText,
);
const LEASE_NAMESPACE = { flag: 'lease-namespace', argument: 'name' };
export const leaseNamespace = optionalSetting(
  {
    ...LEASE_NAMESPACE,
    help: 'namespace of the Lease',
    defaultNote: 'that of the pod, or of the context',
  },
  NAME_RULE,
  nameText,
);

/** What `kubectl tidemill` needs to find an object. */
export const PluginSettings = z.object({
  ...KUBE,
  namespace: optionalSetting(
    {
      flag: 'namespace',
      short: 'n',
      argument: 'name',
      help: 'namespace of the object',
      defaultNote: 'that of the context',
    },
    NAME_RULE,
    nameText,
  ),
});

/** What `tidemill rbac` is made for. */
export const RbacSettings = z.object({
  watchNamespaces,
  leaseName,
  leaseNamespace: textSetting(
    {
      ...LEASE_NAMESPACE,
      help: 'namespace in which the controller runs, with its service account and its Lease',
      default: 'tidemill',
    },
    NAME_RULE,
    nameText,
  ),
  serviceAccount: textSetting(
    {
      flag: 'service-account',
      argument: 'name',
      help: 'service account of the controller',
      default: 'tidemill-controller',
    },
    NAME_RULE,
    nameText,
  ),
});

/** The files to read, joined as in KUBECONFIG, in the order of kubectl; `undefined`: the service account of the pod. */
export function kubeconfigOf({ kubeconfig }: KubeSettings, { environment }: Io): string | undefined {
  if (kubeconfig !== undefined) return kubeconfig;
  const fromEnvironment = environment['KUBECONFIG'] ?? '';
  if (fromEnvironment !== '') return fromEnvironment;
  const own = join(environment['HOME'] ?? '', '.kube', 'config');
  return existsSync(own) ? own : undefined;
}

/** What `connectKube` wants of the settings. */
export function kubeSource(
  settings: KubeSettings,
  io: Io,
): { readonly kubeconfig?: string; readonly context?: string } {
  const kubeconfig = kubeconfigOf(settings, io);
  const { context } = settings;
  return { ...(kubeconfig !== undefined && { kubeconfig }), ...(context !== undefined && { context }) };
}
