/** One connection to a real API server: how it is shared, how long it waits, what it repeats, and which credentials it uses. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { apiStatusOf } from '../../../src/kube/api-error.ts';
import { connectKube, type ConnectOptions, type KubeConnection } from '../../../src/kube/connect.ts';
import type { RequestFinished } from '../../../src/kube/observer.ts';
import { ScheduledTasksApi } from '../../../src/kube/scheduled-tasks.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { ApiProxy, kubeconfigThrough } from '../../control-plane/api-proxy.ts';
import {
  type ControlPlane,
  type ServiceAccountAccess,
  startControlPlane,
} from '../../control-plane/control-plane.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { until } from '../../support/until.ts';
import { controllerAccount, task } from './watched.ts';

let plane: ControlPlane;
let namespace: string;
let account: ServiceAccountAccess;
let open: AsyncDisposableStack;
let finished: RequestFinished[];

before(async () => {
  plane = await startControlPlane();
  await plane.applyCrd();
  namespace = await plane.namespace();
  account = await controllerAccount(plane, namespace);
  await plane.apply([task(namespace, 'a')]);
});
after(async () => {
  await plane[Symbol.asyncDispose]();
});
beforeEach(() => {
  open = new AsyncDisposableStack();
  finished = [];
});
afterEach(async () => {
  await open.disposeAsync();
});

function connection(kubeconfig: string, options: Partial<ConnectOptions> = {}): KubeConnection {
  const observer = { requestFinished: (event: RequestFinished): unknown => finished.push(event) };
  return open.use(connectKube({ kubeconfig, clock: systemClock, observer, random: () => 0, ...options }));
}

const impatient = (kube: KubeConnection): ScheduledTasksApi =>
  new ScheduledTasksApi(kube, { patient: false });
const through = (proxy: { readonly port: number }): Promise<string> =>
  kubeconfigThrough(plane, proxy, account);
const name = (): { readonly namespace: string; readonly name: string } => ({ namespace, name: 'a' });

/** Counts the connections that a client makes. */
class CountingProxy implements AsyncDisposable {
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((client) => {
      this.connections += 1;
      const server = connect(port, '127.0.0.1');
      client.pipe(server).pipe(client);
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          client.destroy();
          server.destroy();
        });
      }
    });
  }

  static async start(port: number): Promise<CountingProxy> {
    const proxy = new CountingProxy(port);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    assert.ok(address !== null && typeof address === 'object');
    return address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

describe('the pool', () => {
  test('1,000 reads, 20 at a time, take one connection', async (t) => {
    await using proxy = await CountingProxy.start(plane.port);
    const kube = connection(await through(proxy));
    const api = new ScheduledTasksApi(kube);
    await api.read(name());
    const beganMs = performance.now();
    let left = 1_000;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        while ((left -= 1) >= 0) assert.ok((await api.read(name())) !== undefined);
      }),
    );
    const seconds = (performance.now() - beganMs) / 1_000;
    t.diagnostic(`${Math.round(1_000 / seconds)} reads a second over ${proxy.connections} connection(s)`);
    assert.equal(proxy.connections, 1);
    assert.equal(finished.length, 1_001);
    assert.ok(
      finished.every(({ code, method, host }) => code === 200 && method === 'GET' && host.includes(':')),
    );
  });

  test('leases, events, objects and watches share it', async () => {
    await using proxy = await CountingProxy.start(plane.port);
    const kube = connection(await through(proxy));
    const stop = new AbortController();
    const path = `/apis/tidemill.dev/v1alpha1/namespaces/${namespace}/scheduledtasks`;
    const watch = await kube.stream(path, { watch: 'true' }, stop.signal);
    assert.equal(watch.httpStatusCode, 200);
    await new ScheduledTasksApi(kube).read(name());
    const lease = { namespace, name: 'tidemill-controller' };
    await assert.rejects(
      kube.coordination.readNamespacedLease(lease),
      (error) => apiStatusOf(error).code === 404,
    );
    assert.equal((await kube.version.getCode()).major, '1');
    assert.equal(proxy.connections, 1);
    stop.abort();
  });

  test('a CA file that was replaced is read again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-ca-'));
    open.defer(() => rm(folder, { recursive: true }));
    const caFile = join(folder, 'ca.crt');
    // Some certificate, but not of the authority that signed the server's.
    await writeFile(caFile, await readFile(plane.proxyCertificate.certFile));
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, (await readFile(account.kubeconfig, 'utf8')).replace(plane.caFile, caFile));
    const api = impatient(connection(kubeconfig));
    await assert.rejects(api.read(name()), (error) =>
      /CERT|SIGNATURE|ISSUER/i.test(String(apiStatusOf(error).reason)),
    );
    await copyFile(plane.caFile, caFile);
    assert.ok((await api.read(name())) !== undefined);
  });

  test('a dead wire is given up after one request without an answer', async () => {
    await using proxy = await FaultProxy.start(plane.port);
    const api = impatient(connection(await through(proxy), { requestTimeoutMs: 1_000 }));
    await api.read(name());
    proxy.mode = 'freeze';
    await assert.rejects(api.read(name()), { code: 'KUBE_UNAVAILABLE' });
    const links = proxy.requests;
    proxy.mode = 'pass';
    assert.ok((await api.read(name())) !== undefined);
    assert.ok(proxy.requests > links);
  });
});

describe('time limits and retries', () => {
  test('an answer that does not come is waited for no longer than told, and the message says so', async () => {
    await using proxy = await ApiProxy.start(plane);
    proxy.fault({ kind: 'freeze' });
    const api = impatient(connection(await through(proxy), { requestTimeoutMs: 500 }));
    const beganMs = performance.now();
    await assert.rejects(api.read(name()), {
      code: 'KUBE_UNAVAILABLE',
      message: /127\.0\.0\.1:\d+ did not answer GET \/apis\/.*\/scheduledtasks\/a within 500 ms/,
    });
    assert.ok(performance.now() - beganMs < 2_000);
    assert.deepEqual(
      finished.map(({ code }) => code),
      [undefined],
    );
  });

  test('a patient read outlives an error, a cut and an overload, at most once a second', async () => {
    await using proxy = await ApiProxy.start(plane);
    const api = new ScheduledTasksApi(connection(await through(proxy)));
    proxy.fault({ kind: 'answer', code: 500 }, { times: 1 });
    proxy.fault({ kind: 'cut' }, { times: 1 });
    proxy.fault({ kind: 'answer', code: 429, headers: { 'retry-after': '5' } }, { times: 1 });
    assert.ok((await api.read(name())) !== undefined);
    const gaps = proxy.seen.slice(1).map(({ atMs }, index) => atMs - (proxy.seen[index]?.atMs ?? 0));
    assert.equal(gaps.length, 3);
    for (const [index, leastMs] of [1_000, 2_000, 5_000].entries()) {
      assert.ok((gaps[index] ?? 0) >= leastMs - 10, `${gaps.join(', ')} ms`);
    }
  });

  test('a patient read gives up in the end, and tells what the server said', async () => {
    await using proxy = await ApiProxy.start(plane);
    proxy.fault({ kind: 'answer', code: 503, message: 'still starting' });
    const api = new ScheduledTasksApi(connection(await through(proxy)));
    await assert.rejects(api.read(name()), { code: 'KUBE_UNAVAILABLE', message: /still starting/ });
    assert.equal(proxy.seen.length, 4);
  });

  test('a refusal is no reason to ask again, and a write is never repeated', async () => {
    await using proxy = await ApiProxy.start(plane);
    const api = new ScheduledTasksApi(connection(await through(proxy)));
    await assert.rejects(api.list('kube-system'), {
      code: 'KUBE_FORBIDDEN',
      message: /kube-system.*Forbidden/s,
    });
    assert.equal(proxy.seen.length, 1);
    proxy.forget();
    proxy.fault({ kind: 'answer', code: 503 });
    const write = { ...name(), uid: 'u', resourceVersion: '1', status: {} };
    await assert.rejects(api.applyStatus(write), { code: 'KUBE_UNAVAILABLE' });
    await assert.rejects(api.patch(name(), {}), { code: 'KUBE_UNAVAILABLE' });
    assert.equal(proxy.seen.length, 2);
  });

  test('closing ends what is under way and refuses what comes', async () => {
    await using proxy = await ApiProxy.start(plane);
    proxy.fault({ kind: 'freeze' });
    const kube = connection(await through(proxy));
    const api = new ScheduledTasksApi(kube);
    const pending = assert.rejects(api.read(name()), {
      code: 'KUBE_UNAVAILABLE',
      message: /closed by this process/,
    });
    await until('the request is under way', () => proxy.seen.length === 1);
    const beganMs = performance.now();
    await kube[Symbol.asyncDispose]();
    await pending;
    assert.ok(performance.now() - beganMs < 1_000);
    await assert.rejects(api.read(name()), { code: 'KUBE_UNAVAILABLE' });
    assert.equal(proxy.seen.length, 1);
  });
});

describe('in a pod', () => {
  test('the token of the service account is used, read from its file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-pod-'));
    open.defer(() => rm(folder, { recursive: true }));
    const mount = join(folder, 'var/run/secrets/kubernetes.io/serviceaccount');
    await mkdir(mount, { recursive: true });
    await copyFile(plane.caFile, join(mount, 'ca.crt'));
    await writeFile(join(mount, 'token'), account.token);
    await writeFile(join(mount, 'namespace'), namespace);
    process.env['KUBERNETES_SERVICE_HOST'] = '127.0.0.1';
    process.env['KUBERNETES_SERVICE_PORT'] = String(plane.port);
    try {
      const kube = open.use(connectKube({ mountPrefix: folder, clock: systemClock }));
      assert.equal(kube.namespace, namespace);
      assert.equal((await new ScheduledTasksApi(kube).list(kube.namespace)).items.length, 1);
    } finally {
      delete process.env['KUBERNETES_SERVICE_HOST'];
      delete process.env['KUBERNETES_SERVICE_PORT'];
    }
  });
});
