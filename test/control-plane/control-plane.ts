/**
 * A real Kubernetes control plane for one test file: etcd and an API server with RBAC, and nothing else.
 *
 * There is no controller manager: deleted namespaces stay in Terminating, owner references collect no garbage, and
 * no ServiceAccount appears by itself.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.ts';
import { Etcd } from './etcd.ts';
import { Guardian } from './guardian.ts';
import { lastingPort, ManagedProcess } from './managed-process.ts';
import { CONTROL_PLANE_PROGRAMS, programs } from '../programs/programs.ts';

const CRD_FOLDER = join(import.meta.dirname, '..', '..', 'crds');
const CRD_NAME = 'scheduledtasks.tidemill.dev';
const KUBECTL_DEADLINE_MS = 60_000;
const START_ATTEMPTS = 3;

export interface KubectlAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KubectlOptions {
  /** Whose rights it has. Default: the administrator's. */
  readonly kubeconfig?: string;
}

export interface ServiceAccountAccess {
  readonly namespace: string;
  readonly name: string;
  readonly token: string;
  readonly kubeconfig: string;
}

export interface ControlPlaneOptions {
  /** Further arguments of the API server, such as `--watch-cache=false`. */
  readonly apiServerArgs?: readonly string[];
}

/** A copy of etcd's data. */
export interface EtcdSnapshot {
  readonly directory: string;
}

export interface Access {
  readonly url: string;
  readonly token: string;
  /** Namespace of the context. Default `default`. */
  readonly namespace?: string;
}

interface Parts {
  readonly binaries: Readonly<Record<(typeof CONTROL_PLANE_PROGRAMS)[number], string>>;
  readonly directory: string;
  readonly certificates: Certificates;
  readonly guardian: Guardian;
  readonly etcd: Etcd;
  readonly apiServer: ManagedProcess;
  readonly port: number;
}

export class ControlPlane implements AsyncDisposable {
  /** `kill`, `stop`, `start`, `restart`, `freeze`, `thaw`: port and data stay the same. */
  readonly apiServer: ManagedProcess;
  readonly port: number;
  readonly caFile: string;
  readonly adminKubeconfig: string;
  readonly #parts: Parts;
  #names = 0;

  constructor(parts: Parts, adminKubeconfig: string) {
    this.#parts = parts;
    this.apiServer = parts.apiServer;
    this.port = parts.port;
    this.caFile = parts.certificates.caFile;
    this.adminKubeconfig = adminKubeconfig;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** For a proxy that speaks as the API server. */
  get proxyCertificate(): Certificates['proxy'] {
    return this.#parts.certificates.proxy;
  }

  readonly etcd = {
    /** etcd itself, to stop or freeze. */
    server: (): ManagedProcess => this.#parts.etcd.process,
    /**
     * Forgets etcd's history up to now. The API server's watch cache still knows it: a watch from an old
     * resourceVersion is answered 410 once the API server has been restarted too.
     */
    compact: (): Promise<number> => this.#parts.etcd.compact(),
    revision: (): Promise<number> => this.#parts.etcd.revision(),
    snapshot: async (): Promise<EtcdSnapshot> => {
      const directory = this.#path(`snapshot-${(this.#names += 1)}`);
      await this.#parts.etcd.copyTo(directory);
      return { directory };
    },
    /** Sets everything back, the resourceVersions included, as the restore of a back-up does. */
    restore: async (snapshot: EtcdSnapshot): Promise<void> => {
      await this.apiServer.kill();
      await this.#parts.etcd.replaceBy(snapshot.directory);
      await this.apiServer.start();
    },
  };

  /** Runs kubectl with a home and cache of its own. */
  kubectl(
    args: readonly string[],
    input?: string,
    { kubeconfig }: KubectlOptions = {},
  ): Promise<KubectlAnswer> {
    const env = {
      PATH: process.env['PATH'],
      HOME: this.#parts.directory,
      KUBECONFIG: kubeconfig ?? this.adminKubeconfig,
    };
    return new Promise((resolve, reject) => {
      const child = execFile(
        this.#parts.binaries.kubectl,
        args,
        { env, timeout: KUBECTL_DEADLINE_MS, maxBuffer: 64 * 1_024 * 1_024 },
        (error, stdout, stderr) => {
          if (error === null) resolve({ code: 0, stdout, stderr });
          else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
          else
            reject(
              new Error(`kubectl ${args.join(' ')} did not end by itself: ${error.message}`, {
                cause: error,
              }),
            );
        },
      );
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  }

  /**
   * As `kubectl`, where anything but success is a mistake of the test.
   * @returns what it printed on stdout
   */
  async mustKubectl(args: readonly string[], input?: string, options: KubectlOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.kubectl(args, input, options);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Makes a namespace that no other test uses. */
  async namespace(prefix = 'test'): Promise<string> {
    const name = `${prefix}-${(this.#names += 1)}`;
    await this.mustKubectl(['create', 'namespace', name]);
    return name;
  }

  /** Applies objects as YAML-able values; a JSON list is what kubectl reads fastest. */
  async apply(objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.mustKubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(list));
  }

  /** Applies our CRD and waits until the API server serves it. */
  async applyCrd(): Promise<void> {
    await this.mustKubectl(['apply', '--server-side', '-f', CRD_FOLDER]);
    await this.mustKubectl(['wait', '--for=condition=Established', '--timeout=60s', `crd/${CRD_NAME}`]);
  }

  /** Makes an account that may do exactly what the objects (roles and bindings) say, with a token for a day. */
  async serviceAccount(
    namespace: string,
    name: string,
    rbac: readonly object[] = [],
  ): Promise<ServiceAccountAccess> {
    await this.apply([{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } }, ...rbac]);
    const token = await this.mustKubectl(['create', 'token', name, '-n', namespace, '--duration=24h']);
    const access = { url: this.url, token: token.trim(), namespace };
    return { namespace, name, token: access.token, kubeconfig: await this.writeKubeconfig(access) };
  }

  /** A kubeconfig file for any address in front of the API server whose certificate is the API server's or the proxy's. */
  async writeKubeconfig({ url, token, namespace = 'default' }: Access): Promise<string> {
    const path = this.#path(`kubeconfig-${(this.#names += 1)}`);
    await writeFile(path, kubeconfig(this.caFile, url, namespace, { token }), { mode: 0o600 });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.apiServer.kill();
    await this.#parts.etcd.process.kill();
    await this.#parts.guardian[Symbol.asyncDispose]();
  }

  #path(name: string): string {
    return join(this.#parts.directory, name);
  }
}

/**
 * About eight seconds on two cores.
 * @throws Error with one sentence that says what to install, or with what the API server printed
 */
export async function startControlPlane({
  apiServerArgs = [],
}: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await programs(CONTROL_PLANE_PROGRAMS);
  const directory = await mkdtemp(join(tmpdir(), 'tidemill-control-plane-'));
  const guardian = new Guardian(directory);
  try {
    const pki = join(directory, 'pki');
    await mkdir(pki);
    const making = makeCertificates(pki);
    // It is waited for below: by then etcd runs, and is known to the guardian whatever comes next.
    making.catch(() => undefined);
    const etcd = await Etcd.start(binaries.etcd, directory, guardian);
    const certificates = await making;
    const ground = { binaries, directory, certificates, guardian, etcd };
    const parts = { ...ground, ...(await startApiServer(ground, apiServerArgs)) };
    const adminKubeconfig = join(directory, 'admin.kubeconfig');
    const { certFile, keyFile } = certificates.admin;
    const user = { 'client-certificate': certFile, 'client-key': keyFile };
    const url = `https://127.0.0.1:${parts.port}`;
    await writeFile(adminKubeconfig, kubeconfig(certificates.caFile, url, 'default', user), { mode: 0o600 });
    return new ControlPlane(parts, adminKubeconfig);
  } catch (error) {
    // The guardian ends whatever had started by then.
    await guardian[Symbol.asyncDispose]();
    throw error;
  }
}

type Ground = Omit<Parts, 'apiServer' | 'port'>;

async function startApiServer(
  ground: Ground,
  extraArgs: readonly string[],
): Promise<{ readonly apiServer: ManagedProcess; readonly port: number }> {
  const ca = await readFile(ground.certificates.caFile);
  for (let attempt = 1; ; attempt += 1) {
    const port = await lastingPort();
    const plan = {
      name: 'kube-apiserver',
      binary: ground.binaries['kube-apiserver'],
      args: [...apiServerArguments(ground, port), ...extraArgs],
      logFile: join(ground.directory, 'kube-apiserver.log'),
      ready: () => isReady(port, ca),
    };
    const apiServer = new ManagedProcess(plan, ground.guardian);
    try {
      await apiServer.start();
      return { apiServer, port };
    } catch (error) {
      // Another process may have taken the port since; what fails again and again is something else.
      if (attempt === START_ATTEMPTS) throw error;
    }
  }
}

function apiServerArguments({ certificates, etcd }: Ground, port: number): readonly string[] {
  const { caFile, server, serviceAccount } = certificates;
  return [
    ...['--etcd-servers', etcd.url, '--bind-address', '127.0.0.1', '--secure-port', String(port)],
    ...[
      '--tls-cert-file',
      server.certFile,
      '--tls-private-key-file',
      server.keyFile,
      '--client-ca-file',
      caFile,
    ],
    ...['--service-account-key-file', serviceAccount.publicFile],
    ...['--service-account-signing-key-file', serviceAccount.keyFile],
    ...['--service-account-issuer', 'https://kubernetes.default.svc'],
    ...['--service-cluster-ip-range', '10.96.0.0/16', '--authorization-mode', 'Node,RBAC'],
    // What an outage in a test must not wait for.
    ...['--shutdown-delay-duration', '0s', '--endpoint-reconciler-type', 'none'],
  ];
}

function isReady(port: number, ca: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(
      { host: '127.0.0.1', port, path: '/readyz', ca, timeout: 5_000, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });
}

/** JSON is YAML, so that nothing needs quoting. */
function kubeconfig(caFile: string, url: string, namespace: string, user: object): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': caFile } }],
    users: [{ name: 'user', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user', namespace } }],
    'current-context': 'test',
  });
}
