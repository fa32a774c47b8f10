/** The ground that the cluster tests stand on: it runs pods as a real cluster does, and it leaves nothing behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { imageArchive } from '../images/images.ts';
import { until } from '../support/until.ts';
import { type Cluster, startCluster } from './ground/cluster.ts';
import { podsOf, startPrometheus } from './ground/prometheus.ts';

const VICTIM = join(import.meta.dirname, '../fixtures/cluster/start-and-wait.ts');
const ANSWER = 'hello from a pod';
const SERVE = `
  const server = require('node:http').createServer((question, answer) =>
    answer.end(question.url === '/metrics' ? 'ground_answer 42\\n' : '${ANSWER}'));
  server.listen(8080, () => console.log('serving as', process.getuid()));
  process.on('SIGTERM', () => process.exit(0));
`;

describe('a cluster of one node on this machine', () => {
  let cluster: Cluster;
  let namespace: string;

  before(async () => {
    const { archive } = await imageArchive('node');
    cluster = await timed('start', startCluster);
    await timed('load an image of 230 MB', () => cluster.loadImage(archive));
    namespace = await cluster.namespace('ground');
    await cluster.apply([serverDeployment(namespace), service(namespace)]);
    await timed('roll out a Deployment of two pods', () => cluster.untilRolledOut(namespace, 'deploy/hello'));
  });

  after(async () => {
    const { directory, pid, cgroup } = cluster.enclosure;
    await timed('teardown', () => cluster[Symbol.asyncDispose]());
    assert.equal(existsSync(directory), false, 'its files are gone');
    assert.equal(existsSync(`/proc/${pid}`), false, 'its processes are gone');
    assert.deepEqual(leftovers(cgroup), [], 'no process, mount or control group names it');
  });

  test('pods under the restricted Pod Security settings run, and what they print is read with kubectl logs', async () => {
    assert.match(await cluster.podLogs(namespace, 'deploy/hello'), /^serving as 10001$/m);
  });

  test('a pod that asks for more than its namespace allows is refused', async () => {
    const pod = { ...podTemplate(), apiVersion: 'v1', kind: 'Pod' };
    const greedy = {
      ...pod,
      metadata: { name: 'greedy', namespace },
      spec: { ...pod.spec, hostNetwork: true },
    };
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], JSON.stringify(greedy));
    assert.notEqual(code, 0);
    assert.match(stderr, /violates PodSecurity "restricted/);
  });

  test('a command runs in a pod with kubectl exec', async () => {
    const args = ['exec', '-n', namespace, 'deploy/hello', '--', 'node', '-p', 'process.getuid()'];
    assert.equal((await cluster.mustKubectl(args)).trim(), '10001');
  });

  test('a pod reaches a Service by its name, and so does a program on the node by its address', async () => {
    const fromPod = `fetch('http://hello.${namespace}.svc.cluster.local').then((r) => r.text()).then(console.log)`;
    const args = ['exec', '-n', namespace, 'deploy/hello', '--', 'node', '-e', fromPod];
    assert.equal((await cluster.mustKubectl(args)).trim(), ANSWER);
    const address = await cluster.mustKubectl([
      'get',
      'service',
      'hello',
      '-n',
      namespace,
      '-o',
      'jsonpath={.spec.clusterIP}',
    ]);
    const fromNode = `fetch('http://${address}').then((r) => r.text()).then(console.log)`;
    assert.equal((await cluster.mustInside(process.execPath, ['-e', fromNode])).trim(), ANSWER);
  });

  test('its addresses exist nowhere but inside', async () => {
    const links = 'ip -o -4 address | grep -c -e 10.245.0.1 -e 10.244.0.1';
    assert.equal((await cluster.mustInside('sh', ['-c', links])).trim(), '2', 'of the node and of the pods');
    const outside = Object.values(networkInterfaces()).flatMap((own) => own ?? []);
    assert.deepEqual(
      outside.filter(({ address }) => ['10.245.0.1', '10.244.0.1'].includes(address)),
      [],
    );
  });

  test('a server of the cluster can be killed and started again', async () => {
    const apiServer = cluster.servers['kube-apiserver'];
    await apiServer.kill();
    assert.notEqual((await cluster.kubectl(['get', 'nodes'])).code, 0);
    await timed('restart the API server', () => apiServer.start());
    assert.match(await cluster.mustKubectl(['get', 'nodes']), /Ready/);
  });

  test('Prometheus finds the pods of a namespace and scrapes them', async () => {
    const prometheus = await startPrometheus(cluster, { scrape: [podsOf(cluster, namespace)] });
    const samples = await cluster.until('both pods are scraped', async () => {
      const found = await prometheus.query('ground_answer');
      return found.length === 2 && found;
    });
    assert.deepEqual(
      samples.map(({ labels, value }) => [labels['namespace'], labels['pod']?.startsWith('hello-'), value]),
      [
        [namespace, true, 42],
        [namespace, true, 42],
      ],
    );
  });

  test('both Helms reach the cluster and know its version', async () => {
    for (const helm of [cluster.mustHelm.bind(cluster), cluster.mustHelm3.bind(cluster)])
      assert.equal((await helm(['list', '-n', namespace, '-q'])).trim(), '');
  });
});

test('a cluster whose test was killed leaves nothing, and the next one starts', async () => {
  const victim = spawn(process.execPath, [VICTIM], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await timed('start of a cluster to kill', () =>
    once(createInterface(victim.stdout), 'line'),
  )) as [string];
  const [directory = '', pid = ''] = line.split(' ');
  assert.equal(existsSync(directory), true);
  victim.kill('SIGKILL');
  const name = directory.split('/').at(-1) ?? '';
  // The cleaner names the directory too and ends a moment after it: what counts is that in the end nothing is left.
  await until(
    'everything of the killed test is gone',
    () => !existsSync(directory) && !existsSync(`/proc/${pid}`) && leftovers(name).length === 0,
    { describe: () => `left: ${leftovers(name).join(', ')}` },
  );
  await using next = await timed('start after a kill -9', startCluster);
  assert.match(await next.mustKubectl(['get', 'nodes']), /Ready/);
});

/** Processes, mounts and control groups that name a cluster. */
function leftovers(name: string): readonly string[] {
  const processes = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => read(`/proc/${pid}/cmdline`).includes(name));
  const mounts = read('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => line.includes(name));
  const groups = ['', ...readdirSync('/sys/fs/cgroup')]
    .map((hierarchy) => join('/sys/fs/cgroup', hierarchy, name))
    .filter((group) => existsSync(group));
  return [...processes, ...mounts, ...groups];
}

/** A process may end between its listing and its reading. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const value = await work();
  process.stdout.write(`${what}: ${((performance.now() - startMs) / 1_000).toFixed(1)} s\n`);
  return value;
}

function podTemplate() {
  return {
    metadata: { labels: { app: 'hello' } },
    spec: {
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 10_001,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      terminationGracePeriodSeconds: 2,
      containers: [
        {
          name: 'hello',
          image: 'localhost/node:24',
          imagePullPolicy: 'Never',
          command: ['node', '-e', SERVE],
          ports: [{ name: 'http', containerPort: 8_080 }],
          readinessProbe: { httpGet: { path: '/', port: 8_080 }, periodSeconds: 1 },
          resources: { limits: { cpu: '500m', memory: '128Mi' }, requests: { cpu: '50m', memory: '64Mi' } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  };
}

function serverDeployment(namespace: string): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'hello', namespace },
    spec: { replicas: 2, selector: { matchLabels: { app: 'hello' } }, template: podTemplate() },
  };
}

function service(namespace: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'hello', namespace },
    spec: { selector: { app: 'hello' }, ports: [{ port: 80, targetPort: 8_080 }] },
  };
}
