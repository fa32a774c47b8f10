/** Writes the certificates and configuration files of one cluster. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type KeyPair,
  makeAuthority,
  serverAlternatives,
  sign,
  signingPair,
  type TokenPair,
} from '../../control-plane/certificates.ts';
import { programs } from '../../programs/programs.ts';
import { CLUSTER_DOMAIN, DNS_ADDRESS, NODE_ADDRESS, PAUSE_IMAGE, POD_RANGE, PORTS } from './addresses.ts';

export const CLUSTER_PROGRAMS = [
  'etcd',
  'kube-apiserver',
  'kubectl',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'coredns',
] as const;

export interface ClusterFiles {
  /** Paths of the built programs. */
  readonly programs: Readonly<Record<(typeof CLUSTER_PROGRAMS)[number], string>>;
  readonly pki: ClusterPki;
  readonly adminKubeconfig: string;
  readonly containerdConfig: string;
  readonly containerdSocket: string;
  readonly kubeletConfig: string;
  readonly kubeProxyConfig: string;
  readonly corefile: string;
}

export interface ClusterPki {
  readonly ca: KeyPair;
  /** Signs what the API server shows to the servers behind it; sharing the other authority is refused. */
  readonly frontCa: KeyPair;
  readonly server: KeyPair;
  readonly admin: KeyPair;
  readonly frontProxy: KeyPair;
  readonly serviceAccount: TokenPair;
}

export async function writeFiles(directory: string): Promise<ClusterFiles> {
  const paths = await programs(CLUSTER_PROGRAMS);
  const pki = await makePki(join(directory, 'pki'));
  for (const folder of ['home', 'cni', 'containerd', 'kubelet', 'logs'])
    await mkdir(join(directory, folder), { recursive: true });
  const file = async (name: string, content: string | object): Promise<string> => {
    const path = join(directory, name);
    // JSON is YAML, so that nothing needs quoting.
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
    return path;
  };
  const adminKubeconfig = await file('admin.kubeconfig', kubeconfig(pki));
  await file('cni/10-pods.conflist', cniNetwork(directory));
  const containerdSocket = join(directory, 'containerd.sock');
  return {
    programs: paths,
    pki,
    adminKubeconfig,
    containerdSocket,
    containerdConfig: await file('containerd.toml', containerd(directory, containerdSocket)),
    kubeletConfig: await file('kubelet.yaml', kubelet(directory, pki, containerdSocket)),
    kubeProxyConfig: await file('kube-proxy.yaml', kubeProxy(adminKubeconfig)),
    corefile: await file('Corefile', corefile(adminKubeconfig)),
  };
}

async function makePki(directory: string): Promise<ClusterPki> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const [ca, frontCa, serviceAccount] = await Promise.all([
    makeAuthority(directory, 'ca'),
    makeAuthority(directory, 'front-ca'),
    signingPair(directory),
  ]);
  const alternatives = serverAlternatives(NODE_ADDRESS);
  const [server, admin, frontProxy] = await Promise.all([
    sign(directory, ca, { name: 'server', subject: '/CN=kube-apiserver', alternatives }),
    sign(directory, ca, { name: 'admin', subject: '/O=system:masters/CN=test-admin' }),
    sign(directory, frontCa, { name: 'front-proxy', subject: '/CN=front-proxy-client' }),
  ]);
  return { ca, frontCa, server, admin, frontProxy, serviceAccount };
}

function kubeconfig({ ca, admin }: ClusterPki): object {
  const server = `https://127.0.0.1:${PORTS.apiServer}`;
  const user = { 'client-certificate': admin.certFile, 'client-key': admin.keyFile };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': ca.certFile } }],
    users: [{ name: 'admin', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  };
}

function cniNetwork(directory: string): object {
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: POD_RANGE }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: join(directory, 'cni-addresses'),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function containerd(directory: string, socket: string): string {
  const folder = join(directory, 'containerd');
  return `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Without it the runtime would lower scores, which takes a capability that root in a container may not have.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${join(directory, 'cni')}"
`;
}

function kubelet(directory: string, { ca }: ClusterPki, socket: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: NODE_ADDRESS,
    healthzBindAddress: '127.0.0.1',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: ca.certFile },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${socket}`,
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    clusterDomain: CLUSTER_DOMAIN,
    clusterDNS: [DNS_ADDRESS],
    resolvConf: '/dev/null',
    oomScoreAdj: 0,
    podLogsDir: join(directory, 'pod-logs'),
    volumePluginDir: join(directory, 'volume-plugins'),
    imageGCHighThresholdPercent: 100,
    // What a test would otherwise wait for.
    syncFrequency: '10s',
    nodeStatusUpdateFrequency: '5s',
    shutdownGracePeriod: '0s',
  };
}

function kubeProxy(adminKubeconfig: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    clientConnection: { kubeconfig: adminKubeconfig },
    clusterCIDR: POD_RANGE,
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    iptables: { minSyncPeriod: '100ms', syncPeriod: '10s' },
  };
}

function corefile(adminKubeconfig: string): string {
  return `.:53 {
    bind ${NODE_ADDRESS}
    errors
    kubernetes ${CLUSTER_DOMAIN} in-addr.arpa {
        kubeconfig ${adminKubeconfig}
        ttl 1
    }
}
`;
}
