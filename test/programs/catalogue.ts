/** The programs that tests run and that come from Go modules: what each is built from. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A folder beside this file whose go.mod and go.sum pin one module; two programs that share versions share one. */
export type PinnedModule = 'kubernetes' | 'etcd' | 'helm' | 'helm3' | 'kubeconform' | 'coredns' | 'keda';

export type ProgramName =
  | 'kube-apiserver'
  | 'kubectl'
  | 'kubelet'
  | 'kube-scheduler'
  | 'kube-controller-manager'
  | 'kube-proxy'
  | 'etcd'
  | 'helm'
  | 'helm3'
  | 'kubeconform'
  | 'coredns'
  | 'keda-operator'
  | 'keda-adapter';

interface Module {
  readonly path: string;
  /** Linker flags by which a program knows its version; without them they call themselves v0.0.0 or worse. */
  readonly flags: (version: string) => string;
}

interface Source {
  readonly module: PinnedModule;
  /** Of the command, below the module's path. */
  readonly command: string;
  /** Whole seconds of a build on two cores with empty caches of Go, to tell who waits. */
  readonly buildSeconds: number;
}

const MODULES: Readonly<Record<PinnedModule, Module>> = {
  kubernetes: { path: 'k8s.io/kubernetes', flags: kubernetesFlags },
  etcd: { path: 'go.etcd.io/etcd/server/v3', flags: () => '' },
  helm: {
    path: 'helm.sh/helm/v4',
    flags: (version) => `-X helm.sh/helm/v4/internal/version.version=${version}`,
  },
  helm3: { path: 'helm.sh/helm/v3', flags: helm3Flags },
  kubeconform: { path: 'github.com/yannh/kubeconform', flags: (version) => `-X main.version=${version}` },
  coredns: { path: 'github.com/coredns/coredns', flags: () => '' },
  keda: {
    path: 'github.com/kedacore/keda/v2',
    flags: (version) => `-X github.com/kedacore/keda/v2/version.Version=${version.slice(1)}`,
  },
};

const SOURCES: Readonly<Record<ProgramName, Source>> = {
  'kube-apiserver': { module: 'kubernetes', command: 'cmd/kube-apiserver', buildSeconds: 210 },
  kubectl: { module: 'kubernetes', command: 'cmd/kubectl', buildSeconds: 20 },
  kubelet: { module: 'kubernetes', command: 'cmd/kubelet', buildSeconds: 60 },
  'kube-scheduler': { module: 'kubernetes', command: 'cmd/kube-scheduler', buildSeconds: 30 },
  'kube-controller-manager': {
    module: 'kubernetes',
    command: 'cmd/kube-controller-manager',
    buildSeconds: 75,
  },
  'kube-proxy': { module: 'kubernetes', command: 'cmd/kube-proxy', buildSeconds: 10 },
  etcd: { module: 'etcd', command: '', buildSeconds: 25 },
  helm: { module: 'helm', command: 'cmd/helm', buildSeconds: 110 },
  helm3: { module: 'helm3', command: 'cmd/helm', buildSeconds: 110 },
  kubeconform: { module: 'kubeconform', command: 'cmd/kubeconform', buildSeconds: 10 },
  coredns: { module: 'coredns', command: '', buildSeconds: 95 },
  'keda-operator': { module: 'keda', command: 'cmd/operator', buildSeconds: 335 },
  'keda-adapter': { module: 'keda', command: 'cmd/adapter', buildSeconds: 55 },
};

export interface ProgramPlan {
  readonly name: ProgramName;
  readonly version: string;
  /** Folder of the go.mod. */
  readonly folder: string;
  readonly package: string;
  readonly flags: string;
  readonly buildSeconds: number;
  /** Name of its folder in the cache: another one after a change of any pin or flag. */
  readonly key: string;
}

export function isProgramName(name: string): name is ProgramName {
  return Object.hasOwn(SOURCES, name);
}

export function programNames(): readonly string[] {
  return Object.keys(SOURCES);
}

/** What a program is built from, read from the pins as they are now. */
export function planOf(name: ProgramName): ProgramPlan {
  const { module, command, buildSeconds } = SOURCES[name];
  const { path, flags: flagsFor } = MODULES[module];
  const { folder, version } = pinnedModule(module);
  const flags = flagsFor(version);
  const source = command === '' ? path : `${path}/${command}`;
  const hash = createHash('sha256').update(`${process.platform}-${process.arch} ${source} ${flags}`);
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(folder, file)));
  const key = `${name}-${version}-${hash.digest('hex').slice(0, 12)}`;
  return { name, version, folder, package: source, flags, buildSeconds, key };
}

export function pinnedModule(module: PinnedModule): {
  readonly folder: string;
  readonly path: string;
  readonly version: string;
} {
  const folder = join(import.meta.dirname, module);
  const { path } = MODULES[module];
  return { folder, path, version: requiredVersion(folder, path) };
}

function requiredVersion(folder: string, path: string): string {
  const text = readFileSync(join(folder, 'go.mod'), 'utf8');
  const version = new RegExp(`^(?:require|\\t)\\s*${path.replaceAll('.', '\\.')} (v\\S+)`, 'm').exec(
    text,
  )?.[1];
  if (version === undefined) throw new Error(`${folder}/go.mod requires no ${path}`);
  return version;
}

function kubernetesFlags(version: string): string {
  const [major, minor] = majorAndMinor(version);
  const target = 'k8s.io/component-base/version';
  return `-X ${target}.gitVersion=${version} -X ${target}.gitMajor=${major} -X ${target}.gitMinor=${minor}`;
}

/** Helm 3 is told at link time which Kubernetes it takes for granted where it asks none: the one that it is built with. */
function helm3Flags(version: string): string {
  const clientGo = requiredVersion(join(import.meta.dirname, 'helm3'), 'k8s.io/client-go');
  const [, minor] = majorAndMinor(clientGo);
  const charts = 'helm.sh/helm/v3/pkg/chartutil';
  const lint = 'helm.sh/helm/v3/pkg/lint/rules';
  return [
    `-X helm.sh/helm/v3/internal/version.version=${version}`,
    ...[charts, lint].flatMap((target) => [
      `-X ${target}.k8sVersionMajor=1`,
      `-X ${target}.k8sVersionMinor=${minor}`,
    ]),
  ].join(' ');
}

function majorAndMinor(version: string): readonly [string, string] {
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version) ?? [];
  if (major === undefined || minor === undefined) throw new Error(`${version} is no version of a Go module`);
  return [major, minor];
}
