/** The control plane that the other tests stand on is real, and does what they ask of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { ApiProxy, kubeconfigThrough } from '../../control-plane/api-proxy.ts';
import {
  type ControlPlane,
  type ServiceAccountAccess,
  startControlPlane,
} from '../../control-plane/control-plane.ts';
import { isAlive } from '../../support/is-alive.ts';
import { until } from '../../support/until.ts';

let plane: ControlPlane;
before(async () => {
  plane = await startControlPlane();
});
after(async () => {
  await plane[Symbol.asyncDispose]();
});

const configMapRights = (namespace: string, account: string): readonly object[] => [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { namespace, name: account },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch', 'create'] }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { namespace, name: account },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
  },
];

async function resourceVersion(namespace: string): Promise<string> {
  const list = ['get', '--raw', `/api/v1/namespaces/${namespace}/configmaps`];
  const version = /"resourceVersion":"(\d+)"/.exec(await plane.mustKubectl(list))?.[1];
  assert.ok(version !== undefined);
  return version;
}

describe('the control plane', () => {
  test('is a Kubernetes of the pinned version', async () => {
    assert.match(await plane.mustKubectl(['version']), /Server Version: v1\.36\.3/);
  });

  test('an account may do what its role says and nothing else', async () => {
    const namespace = await plane.namespace();
    const { kubeconfig } = await plane.serviceAccount(
      namespace,
      'reader',
      configMapRights(namespace, 'reader'),
    );
    const allowed = await plane.kubectl(['get', 'configmaps'], undefined, { kubeconfig });
    assert.equal(allowed.code, 0, allowed.stderr);
    const refused = await plane.kubectl(['delete', 'configmap', 'x'], undefined, { kubeconfig });
    assert.match(
      refused.stderr,
      /system:serviceaccount:test-\d+:reader" cannot delete resource "configmaps"/,
    );
  });

  test('keeps its data and address over a kill of the API server', async () => {
    const namespace = await plane.namespace();
    await plane.apiServer.kill();
    const down = await plane.kubectl(['get', 'namespace', namespace]);
    assert.match(down.stderr, /refused/);
    await plane.apiServer.start();
    assert.match(await plane.mustKubectl(['get', 'namespace', namespace]), /Active/);
  });

  test('answers nothing while its API server is frozen, and everything afterwards', async () => {
    plane.apiServer.freeze();
    try {
      const { stderr } = await plane.kubectl(['get', 'namespaces', '--request-timeout=1s']);
      assert.match(stderr, /[Tt]imeout|deadline exceeded/);
    } finally {
      plane.apiServer.thaw();
    }
    await plane.mustKubectl(['get', 'namespaces']);
  });

  test('a watch from before a compaction is told 410 by a restarted API server', async () => {
    const namespace = await plane.namespace();
    const old = await resourceVersion(namespace);
    await plane.mustKubectl(['create', 'configmap', 'later', '-n', namespace]);
    await plane.etcd.compact();
    await plane.apiServer.restart();
    const path = `/api/v1/namespaces/${namespace}/configmaps?watch=1&timeoutSeconds=5&resourceVersion=${old}`;
    assert.match(await plane.mustKubectl(['get', '--raw', path]), /"reason":"Expired".*"code":410/);
  });

  test('a restored snapshot takes objects and resourceVersions back in time', async () => {
    const namespace = await plane.namespace();
    await plane.mustKubectl(['create', 'configmap', 'kept', '-n', namespace]);
    const snapshot = await plane.etcd.snapshot();
    // More of them than an API server writes by itself while it starts.
    await plane.apply(
      Array.from({ length: 60 }, (_, index) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace, name: `late-${index}` },
      })),
    );
    const latest = Number(await resourceVersion(namespace));
    await plane.etcd.restore(snapshot);
    assert.equal(await plane.mustKubectl(['get', 'cm', '-n', namespace, '-o', 'name']), 'configmap/kept\n');
    assert.ok(Number(await resourceVersion(namespace)) < latest);
  });

  test('does not outlive the test process that started it, even one that was killed', async () => {
    const script = `
      const { startControlPlane } = await import(${JSON.stringify(join(import.meta.dirname, '../../control-plane/control-plane.ts'))});
      const plane = await startControlPlane();
      console.log(JSON.stringify({ pid: plane.apiServer.pid, etcd: plane.etcd.server().pid, config: plane.adminKubeconfig }));
      plane.apiServer.freeze();
    `;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: readonly unknown[] = await once(createInterface({ input: owner.stdout }), 'line');
    const started: unknown = JSON.parse(String(lines[0]));
    assert.ok(typeof started === 'object' && started !== null && 'pid' in started && 'etcd' in started);
    assert.ok('config' in started && typeof started.config === 'string');
    const directory = dirname(started.config);
    owner.kill('SIGKILL');
    await until(
      'both servers are gone',
      () => ![started.pid, started.etcd].some((pid) => isAlive(Number(pid))),
    );
    await until('their directory is gone', () => !existsSync(directory));
  });
});

describe('the proxy in front of the API server', () => {
  let proxy: ApiProxy;
  let account: ServiceAccountAccess;
  let kubeconfig: string;
  before(async () => {
    const namespace = await plane.namespace();
    account = await plane.serviceAccount(namespace, 'reader', configMapRights(namespace, 'reader'));
    proxy = await ApiProxy.start(plane);
    kubeconfig = await kubeconfigThrough(plane, proxy, account);
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    proxy.clear();
    // Discovery is cached by kubectl, so that what is counted below is only what the test asks for.
    await plane.mustKubectl(['get', 'configmaps'], undefined, { kubeconfig });
    proxy.forget();
  });

  const list = (...more: readonly string[]) =>
    plane.kubectl(['get', 'configmaps', ...more], undefined, { kubeconfig });

  test('passes the rights of the account on and counts requests by what they are about', async () => {
    assert.equal((await list()).code, 0);
    assert.equal(proxy.count({ verb: 'list', resource: 'configmaps', namespace: account.namespace }), 1);
    const refused = await plane.kubectl(['get', 'secrets', 'x'], undefined, { kubeconfig });
    assert.match(refused.stderr, /Forbidden/);
    assert.equal(proxy.seen.find(({ resource }) => resource === 'secrets')?.code, 403);
  });

  test('answers in the place of the API server as often as it is told to', async () => {
    proxy.fault(
      { kind: 'answer', code: 500, message: 'no luck' },
      { match: { resource: 'configmaps' }, times: 1 },
    );
    assert.match((await list()).stderr, /no luck/);
    assert.equal((await list()).code, 0);
  });

  test('cuts a request before it reaches the server, or loses its answer afterwards', async () => {
    const create = () => plane.kubectl(['create', 'configmap', 'made'], undefined, { kubeconfig });
    const exists = async () =>
      (await list('made', '--ignore-not-found', '-o', 'name')).stdout === 'configmap/made\n';
    proxy.fault({ kind: 'cut' }, { match: { verb: 'create', resource: 'configmaps' } });
    assert.match((await create()).stderr, /EOF|reset/);
    assert.equal(await exists(), false);
    proxy.clear();
    proxy.fault({ kind: 'lose-answer' }, { match: { verb: 'create', resource: 'configmaps' } });
    assert.match((await create()).stderr, /EOF|reset/);
    assert.equal(await exists(), true);
  });

  test('delays and freezes what matches', async () => {
    proxy.fault({ kind: 'delay', ms: 300 }, { match: { verb: 'list' } });
    const startMs = performance.now();
    await list();
    assert.ok(performance.now() - startMs >= 300);
    proxy.clear();
    proxy.fault({ kind: 'freeze' }, { match: { verb: 'list' } });
    assert.match((await list('--request-timeout=500ms')).stderr, /[Tt]imeout|deadline/);
  });

  test('a watch that is silenced stays open and shows nothing; a cut ends it', async () => {
    const path = `/api/v1/namespaces/${account.namespace}/configmaps?watch=1`;
    using watcher = await Watcher.open(proxy.url + path, account.token, plane.caFile);
    using direct = await Watcher.open(plane.url + path, account.token, plane.caFile);
    await plane.mustKubectl(['create', 'configmap', 'heard', '-n', account.namespace]);
    await until('the first event comes', () => watcher.text.includes('"heard"'));
    assert.equal(proxy.openWatches, 1);
    proxy.fault({ kind: 'silence' }, { match: { verb: 'watch' } });
    await plane.mustKubectl(['create', 'configmap', 'unheard', '-n', account.namespace]);
    await until('a watch beside it shows the second event', () => direct.text.includes('"unheard"'));
    assert.ok(!watcher.text.includes('"unheard"'));
    assert.equal(watcher.ended, false);
    proxy.cut();
    await until('the watch has ended', () => watcher.ended);
  });
});

class Watcher implements Disposable {
  text = '';
  ended = false;
  readonly #response: IncomingMessage;

  private constructor(response: IncomingMessage) {
    this.#response = response;
    response.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
    response.on('error', () => undefined);
    response.on('close', () => (this.ended = true));
  }

  static async open(url: string, token: string, caFile: string): Promise<Watcher> {
    const call = get(url, {
      ca: readFileSync(caFile),
      agent: false,
      headers: { authorization: `Bearer ${token}` },
    });
    return new Watcher(
      await new Promise((resolve, reject) => call.on('response', resolve).on('error', reject)),
    );
  }

  [Symbol.dispose](): void {
    this.#response.destroy();
  }
}
