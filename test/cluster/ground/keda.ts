/** KEDA on a test cluster: its operator and its metrics adapter, as processes on the node's address. */
import { mkdir, copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type KeyPair, sign } from '../../control-plane/certificates.ts';
import type { ManagedProcess } from '../../control-plane/managed-process.ts';
import { moduleSources, programs } from '../../programs/programs.ts';
import type { Cluster } from './cluster.ts';
import { endpointSlice, managedInside } from './servers.ts';

const NAMESPACE = 'keda';
const ADAPTER_SERVICE = 'keda-metrics-apiserver';
/** The adapter itself takes 8080 for its own metrics and gives up when somebody else has it. */
const PORTS = { adapter: 6_553, operatorMetrics: 8_092, operatorProbe: 8_093, operatorGrpc: 9_666 } as const;
const OPERATOR_NAME = 'keda-operator.keda.svc.cluster.local';

export interface Keda {
  readonly operator: ManagedProcess;
  readonly adapter: ManagedProcess;
}

/**
 * Makes `ScaledObject` and `TriggerAuthentication` work on the cluster; KEDA ends with it. About five seconds once the two
 * programs are built, which takes seven minutes on two cores the first time.
 */
export async function startKeda(cluster: Cluster): Promise<Keda> {
  const binaries = await programs(['keda-operator', 'keda-adapter']);
  const certificate = await makeCertificate(cluster);
  await applyDefinitions(cluster);
  const operator = operatorOf(cluster, binaries['keda-operator'], certificate.directory);
  await operator.start();
  const adapter = adapterOf(cluster, binaries['keda-adapter'], certificate);
  await adapter.start();
  await cluster.apply(await adapterApi(cluster));
  await cluster.mustKubectl(
    ['wait', '--for=condition=Available', 'apiservice/v1beta1.external.metrics.k8s.io', '--timeout=60s'],
    undefined,
    { timeoutMs: 70_000 },
  );
  return { operator, adapter };
}

interface KedaCertificate extends KeyPair {
  /** With `tls.crt`, `tls.key` and `ca.crt`, as the two programs look for them. */
  readonly directory: string;
}

async function makeCertificate(cluster: Cluster): Promise<KedaCertificate> {
  const directory = join(cluster.directory, 'keda');
  await mkdir(directory, { recursive: true });
  const { ca } = cluster.files.pki;
  const names = [OPERATOR_NAME, 'keda-operator.keda.svc', `${ADAPTER_SERVICE}.keda.svc`, 'localhost'];
  const alternatives = names.map((name) => `DNS:${name}`);
  const pair = await sign(directory, ca, { name: 'tls', subject: '/CN=keda', alternatives });
  await copyFile(ca.certFile, join(directory, 'ca.crt'));
  return { ...pair, directory };
}

/** Its resource definitions, as the module brings them, and its namespace. */
async function applyDefinitions(cluster: Cluster): Promise<void> {
  const sources = await moduleSources('keda');
  const definitions = join(sources, 'config', 'crd', 'bases');
  await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }]);
  await cluster.mustKubectl(['apply', '--server-side', '-f', definitions]);
  await cluster.mustKubectl(['wait', '--for=condition=Established', '--timeout=60s', '-f', definitions]);
}

function operatorOf(cluster: Cluster, binary: string, certificates: string): ManagedProcess {
  return managedInside(cluster.enclosure, {
    name: 'keda-operator',
    binary,
    args: [
      `--kubeconfig=${cluster.adminKubeconfig}`,
      `--cert-dir=${certificates}`,
      '--enable-webhook-patching=false',
      '--enable-apiservice-patching=false',
      `--metrics-bind-address=:${PORTS.operatorMetrics}`,
      `--health-probe-bind-address=:${PORTS.operatorProbe}`,
      `--metrics-service-bind-address=:${PORTS.operatorGrpc}`,
    ],
    env: {
      KEDA_CLUSTER_OBJECT_NAMESPACE: NAMESPACE,
      POD_NAMESPACE: NAMESPACE,
      POD_NAME: 'keda-operator',
      WATCH_NAMESPACE: '',
    },
    ready: async () => cluster.enclosure.listensOn(PORTS.operatorGrpc),
  });
}

function adapterOf(cluster: Cluster, binary: string, certificate: KedaCertificate): ManagedProcess {
  const { pki, adminKubeconfig } = cluster.files;
  return managedInside(cluster.enclosure, {
    name: 'keda-adapter',
    binary,
    args: [
      `--kubeconfig=${adminKubeconfig}`,
      `--lister-kubeconfig=${adminKubeconfig}`,
      `--authentication-kubeconfig=${adminKubeconfig}`,
      `--authorization-kubeconfig=${adminKubeconfig}`,
      `--secure-port=${PORTS.adapter}`,
      `--tls-cert-file=${certificate.certFile}`,
      `--tls-private-key-file=${certificate.keyFile}`,
      `--cert-dir=${certificate.directory}`,
      `--client-ca-file=${pki.ca.certFile}`,
      `--requestheader-client-ca-file=${pki.frontCa.certFile}`,
      '--requestheader-allowed-names=front-proxy-client',
      `--metrics-service-address=localhost:${PORTS.operatorGrpc}`,
      `--metrics-service-grpc-authority=${OPERATOR_NAME}`,
    ],
    env: { WATCH_NAMESPACE: '' },
    ready: async () => cluster.enclosure.listensOn(PORTS.adapter),
  });
}

/** The API that the autoscaler asks for external metrics, served by the adapter. */
async function adapterApi(cluster: Cluster): Promise<readonly object[]> {
  const caBundle = (await readFile(cluster.files.pki.ca.certFile)).toString('base64');
  const service = { name: ADAPTER_SERVICE, namespace: NAMESPACE };
  const port = { name: 'https', port: PORTS.adapter, protocol: 'TCP' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: service,
      spec: { ports: [{ ...port, port: 443, targetPort: PORTS.adapter }] },
    },
    endpointSlice(ADAPTER_SERVICE, NAMESPACE, [port]),
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: 'v1beta1.external.metrics.k8s.io' },
      spec: {
        service: { ...service, port: 443 },
        group: 'external.metrics.k8s.io',
        version: 'v1beta1',
        caBundle,
        groupPriorityMinimum: 100,
        versionPriority: 100,
      },
    },
  ];
}
