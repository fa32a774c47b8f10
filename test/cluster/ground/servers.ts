/** The servers of a cluster: how each is started, in which order, and when the node is fit for pods. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ManagedProcess } from '../../control-plane/managed-process.ts';
import { pauseArchive } from '../../images/pause.ts';
import { DNS_ADDRESS, NODE_ADDRESS, NODE_NAME, PAUSE_IMAGE, PORTS, SERVICE_RANGE } from './addresses.ts';
import type { Cluster } from './cluster.ts';
import { runCommand } from './command.ts';
import { Enclosure } from './enclosure.ts';
import { type ClusterFiles, writeFiles } from './files.ts';
import { ensureClusterGround } from './requirements.ts';

export type ServerName =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'containerd'
  | 'kubelet'
  | 'kube-proxy'
  | 'coredns';

export type Servers = Readonly<Record<ServerName, ManagedProcess>>;

/** What ends with the enclosure needs nobody who watches it. */
const NOBODY = { watch: () => undefined, forget: () => undefined };
const NODE_DEADLINE_MS = 120_000;

export interface BroughtUp {
  readonly enclosure: Enclosure;
  readonly files: ClusterFiles;
  readonly servers: Servers;
  /** The rest, for which kubectl is needed: from a started API server to a node that runs pods. */
  readonly node: (cluster: Cluster) => Promise<void>;
}

/** Starts what serves the API and what runs containers. */
export async function bringUp(): Promise<BroughtUp> {
  ensureClusterGround();
  const pause = await pauseArchive(PAUSE_IMAGE);
  const enclosure = await Enclosure.make(NODE_ADDRESS);
  try {
    const files = await writeFiles(enclosure.directory);
    const servers = planServers(enclosure, files);
    await Promise.all([
      servers.etcd.start().then(() => servers['kube-apiserver'].start()),
      servers.containerd.start(),
    ]);
    return { enclosure, files, servers, node: (cluster) => startNode(cluster, pause) };
  } catch (error) {
    await enclosure[Symbol.asyncDispose]();
    throw error;
  }
}

async function startNode(cluster: Cluster, pauseArchive: string): Promise<void> {
  const { servers } = cluster;
  await Promise.all([
    cluster.loadImage(pauseArchive).then(() => servers.kubelet.start()),
    servers['kube-controller-manager'].start(),
    servers['kube-scheduler'].start(),
    servers['kube-proxy'].start(),
    servers.coredns.start(),
    cluster.apply(dnsService()),
  ]);
  await cluster.until(
    'the node is ready',
    async () => {
      const path = '{.status.conditions[?(@.type=="Ready")].status}';
      const { stdout } = await cluster.kubectl(['get', 'node', NODE_NAME, '-o', `jsonpath=${path}`]);
      return stdout === 'True';
    },
    { deadlineMs: NODE_DEADLINE_MS },
  );
  // A node that has just become ready still has the taint for a moment, and pods may not be made without the account.
  await cluster.untilObject('serviceaccount', 'default', 'default');
}

/** DNS runs beside the kubelet, not in a pod: its Service has no selector and an endpoint made by hand. */
function dnsService(): readonly object[] {
  const metadata = { name: 'kube-dns', namespace: 'kube-system' };
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: DNS_ADDRESS, ports } },
    endpointSlice('kube-dns', 'kube-system', ports),
  ];
}

/** Puts a server that runs on the node's address behind a Service without a selector. */
export function endpointSlice(
  service: string,
  namespace: string,
  ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[],
): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${service}-node`, namespace, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports,
    endpoints: [{ addresses: [NODE_ADDRESS], conditions: { ready: true } }],
  };
}

function planServers(enclosure: Enclosure, files: ClusterFiles): Servers {
  const { programs } = files;
  const server = (
    name: ServerName,
    binary: string,
    args: readonly string[],
    ready: () => Promise<boolean>,
  ): ManagedProcess => managedInside(enclosure, { name, binary, args, ready });
  const listening = (port: number) => async () => enclosure.listensOn(port);
  const admin = `--kubeconfig=${files.adminKubeconfig}`;
  return {
    etcd: server('etcd', programs.etcd, etcdArguments(enclosure), listening(PORTS.etcd)),
    'kube-apiserver': server('kube-apiserver', programs['kube-apiserver'], apiServerArguments(files), () =>
      apiServerIsReady(enclosure, files),
    ),
    'kube-controller-manager': server(
      'kube-controller-manager',
      programs['kube-controller-manager'],
      controllerManagerArguments(files),
      listening(10_257),
    ),
    'kube-scheduler': server(
      'kube-scheduler',
      programs['kube-scheduler'],
      [admin, '--leader-elect=false', '--bind-address=127.0.0.1'],
      listening(10_259),
    ),
    containerd: server('containerd', 'containerd', ['--config', files.containerdConfig], () =>
      containerdIsReady(enclosure, files),
    ),
    kubelet: server(
      'kubelet',
      programs.kubelet,
      kubeletArguments(enclosure, files),
      listening(PORTS.kubeletHealth),
    ),
    'kube-proxy': server(
      'kube-proxy',
      programs['kube-proxy'],
      [`--config=${files.kubeProxyConfig}`, `--hostname-override=${NODE_NAME}`],
      listening(10_249),
    ),
    coredns: server('coredns', programs.coredns, ['-conf', files.corefile], listening(53)),
  };
}

/** A server of the cluster or beside it, whose output goes to `logs/NAME.log`. */
export function managedInside(
  enclosure: Enclosure,
  plan: {
    readonly name: string;
    readonly binary: string;
    readonly args: readonly string[];
    readonly ready: () => Promise<boolean>;
    readonly env?: NodeJS.ProcessEnv;
  },
): ManagedProcess {
  const env = { PATH: process.env['PATH'], HOME: join(enclosure.directory, 'home'), ...plan.env };
  const logFile = join(enclosure.directory, 'logs', `${plan.name}.log`);
  return new ManagedProcess({ ...plan, env, logFile, place: enclosure }, NOBODY);
}

function etcdArguments({ directory }: Enclosure): readonly string[] {
  const url = `http://127.0.0.1:${PORTS.etcd}`;
  const peerUrl = `http://127.0.0.1:${PORTS.etcdPeer}`;
  return [
    ...['--data-dir', join(directory, 'etcd'), '--name', 'test', '--unsafe-no-fsync', '--log-level', 'warn'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ...['--initial-cluster', `test=${peerUrl}`],
  ];
}

function apiServerArguments({ pki }: ClusterFiles): readonly string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${PORTS.etcd}`,
    '--bind-address=0.0.0.0',
    `--advertise-address=${NODE_ADDRESS}`,
    `--secure-port=${PORTS.apiServer}`,
    `--tls-cert-file=${pki.server.certFile}`,
    `--tls-private-key-file=${pki.server.keyFile}`,
    `--client-ca-file=${pki.ca.certFile}`,
    `--service-account-key-file=${pki.serviceAccount.publicFile}`,
    `--service-account-signing-key-file=${pki.serviceAccount.keyFile}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-cluster-ip-range=${SERVICE_RANGE}`,
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    '--shutdown-delay-duration=0s',
    // Logs and exec go to the kubelet by its address: nobody resolves the node's name.
    '--kubelet-preferred-address-types=InternalIP',
    `--kubelet-client-certificate=${pki.admin.certFile}`,
    `--kubelet-client-key=${pki.admin.keyFile}`,
    `--requestheader-client-ca-file=${pki.frontCa.certFile}`,
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--proxy-client-cert-file=${pki.frontProxy.certFile}`,
    `--proxy-client-key-file=${pki.frontProxy.keyFile}`,
    '--enable-aggregator-routing=true',
  ];
}

function controllerManagerArguments({ adminKubeconfig, pki }: ClusterFiles): readonly string[] {
  return [
    `--kubeconfig=${adminKubeconfig}`,
    `--authentication-kubeconfig=${adminKubeconfig}`,
    `--authorization-kubeconfig=${adminKubeconfig}`,
    `--service-account-private-key-file=${pki.serviceAccount.keyFile}`,
    `--root-ca-file=${pki.ca.certFile}`,
    '--use-service-account-credentials=true',
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    // The autoscaler looks this often; a test of it should not wait for the default of 15 s.
    '--horizontal-pod-autoscaler-sync-period=2s',
  ];
}

function kubeletArguments({ directory, cgroup }: Enclosure, files: ClusterFiles): readonly string[] {
  return [
    `--config=${files.kubeletConfig}`,
    `--kubeconfig=${files.adminKubeconfig}`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${NODE_ADDRESS}`,
    `--root-dir=${join(directory, 'kubelet')}`,
    `--cert-dir=${join(directory, 'kubelet', 'pki')}`,
    `--cgroup-root=/${cgroup}`,
  ];
}

async function apiServerIsReady(enclosure: Enclosure, files: ClusterFiles): Promise<boolean> {
  if (!enclosure.listensOn(PORTS.apiServer)) return false;
  const args = [`--kubeconfig=${files.adminKubeconfig}`, 'get', '--raw', '/readyz'];
  const [command, line] = enclosure.outside(files.programs.kubectl, args);
  const env = { PATH: process.env['PATH'], HOME: join(enclosure.directory, 'home') };
  return (await runCommand(command, line, { env })).code === 0;
}

async function containerdIsReady(enclosure: Enclosure, { containerdSocket }: ClusterFiles): Promise<boolean> {
  if (!existsSync(containerdSocket)) return false;
  const [command, line] = enclosure.outside('ctr', ['--address', containerdSocket, 'version']);
  return (await runCommand(command, line, {})).code === 0;
}
