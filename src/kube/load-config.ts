/** Which API server, as whom: from a kubeconfig file or from the service account of the pod. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { messageOf, TidemillError } from '../runtime/errors.ts';
import { quoted } from '../runtime/printable.ts';

const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount/token';

export interface ConfigSource {
  /** Path of a kubeconfig file, or several as in KUBECONFIG. Default: the pod's service account. */
  readonly kubeconfig?: string | undefined;
  /** Default: the file's current one. */
  readonly context?: string | undefined;
  /** Where the service account is mounted, in front of its usual path; for tests. */
  readonly mountPrefix?: string;
}

/** @throws TidemillError CONFIG_INVALID, naming what is missing */
export function loadConfig({ kubeconfig, context, mountPrefix = '' }: ConfigSource): KubeConfig {
  const config = kubeconfig === undefined ? inCluster(mountPrefix) : fromFiles(kubeconfig);
  if (context !== undefined) config.setCurrentContext(context);
  if (config.getCurrentCluster() !== null) return withPlainHttp(config);
  const known = config.getContexts().map(({ name }) => name);
  throw new TidemillError(
    'CONFIG_INVALID',
    `${missing(config)}: ${known.length === 0 ? 'it has none at all' : `there are ${known.join(', ')}`}`,
  );
}

/** An empty file has no current context, whatever the type says. */
function missing(config: KubeConfig): string {
  const current: unknown = config.getCurrentContext();
  return typeof current !== 'string' || current === ''
    ? 'the kubeconfig has no current context, and none is named'
    : `the kubeconfig has no context ${quoted(current)} with a cluster`;
}

function inCluster(mountPrefix: string): KubeConfig {
  if (!existsSync(join(mountPrefix, TOKEN_PATH))) {
    throw new TidemillError(
      'CONFIG_INVALID',
      'no kubeconfig is given and this is no pod with a service account: name a kubeconfig, or mount the token of the service account',
    );
  }
  const config = new KubeConfig();
  config.loadFromCluster(mountPrefix);
  return config;
}

function fromFiles(paths: string): KubeConfig {
  const [first = '', ...rest] = paths.split(delimiter).filter((path) => path !== '');
  try {
    const config = new KubeConfig();
    config.loadFromFile(first);
    for (const path of rest) {
      const more = new KubeConfig();
      more.loadFromFile(path);
      config.mergeConfig(more, true);
    }
    return config;
  } catch (error) {
    throw new TidemillError('CONFIG_INVALID', `the kubeconfig ${paths} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Over plain HTTP, as `kubectl proxy` serves it, there is no certificate to verify; the library wants that said. */
function withPlainHttp(config: KubeConfig): KubeConfig {
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  return config;
}
