/** The informer on a real API server: what changes there is seen here, whatever happens in between. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { ScheduledTasksApi } from '../../../src/kube/scheduled-tasks.ts';
import { keyOf } from '../../../src/resource/scheduled-object.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { ApiProxy, kubeconfigThrough } from '../../control-plane/api-proxy.ts';
import {
  type ControlPlane,
  type ServiceAccountAccess,
  startControlPlane,
} from '../../control-plane/control-plane.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { until } from '../../support/until.ts';
import { controllerAccount, task, Watched, type WatchedOptions } from './watched.ts';

let plane: ControlPlane;
let namespace: string;
let account: ServiceAccountAccess;
let open: AsyncDisposableStack;

before(async () => {
  plane = await startControlPlane();
  await plane.applyCrd();
});
after(async () => {
  await plane[Symbol.asyncDispose]();
});
beforeEach(async () => {
  namespace = await plane.namespace();
  account = await controllerAccount(plane, namespace);
  open = new AsyncDisposableStack();
});
afterEach(async () => {
  await open.disposeAsync();
});

const key = (name: string): string => keyOf({ namespace, name });

function watch(options: Partial<WatchedOptions> = {}): Watched {
  return open.use(new Watched({ kubeconfig: account.kubeconfig, namespaces: [namespace], ...options }));
}

async function through(proxy: { readonly port: number }): Promise<{ readonly kubeconfig: string }> {
  return { kubeconfig: await kubeconfigThrough(plane, proxy, account) };
}

const remove = (name: string): Promise<string> =>
  plane.mustKubectl(['delete', 'st', name, '-n', namespace, '--wait=false']);

describe('an informer with exactly the documented rights in one namespace', () => {
  test('lists what is there and sees what comes, changes and goes', async () => {
    await plane.apply([task(namespace, 'old')]);
    const watched = watch();
    assert.equal(watched.informer.synced, false);
    const beforeSyncMs = systemClock.monotonic();
    await watched.informer.onSynced();
    assert.ok((watched.informer.lastFullListAt ?? Infinity) <= systemClock.monotonic());
    assert.ok((watched.informer.lastFullListAt ?? 0) >= beforeSyncMs - 5_000);
    assert.deepEqual(
      watched.informer.list().map((object) => object.name),
      ['old'],
    );

    await plane.apply([task(namespace, 'new')]);
    await watched.sees(key('new'), 'came', (every) => every === '1h');
    await plane.apply([task(namespace, 'new', '2h')]);
    await watched.sees(key('new'), 'changed', (every) => every === '2h');
    assert.equal(watched.informer.get(key('new'))?.generation, 2);
    await remove('new');
    await watched.sees(key('new'), 'went', (every) => every === undefined);
    assert.deepEqual([...new Set(watched.told)], [key('old'), key('new')]);
    assert.equal(watched.lists, 1);
  });

  test('sees nothing of another namespace', async () => {
    const other = await plane.namespace();
    await plane.apply([task(other, 'theirs'), task(namespace, 'ours')]);
    const watched = watch();
    await watched.informer.onSynced();
    assert.deepEqual(
      watched.informer.list().map((object) => object.namespace),
      [namespace],
    );
    assert.equal(await watched.informer.readLive(keyOf({ namespace: other, name: 'theirs' })), undefined);
  });

  test('is not synced while one of its namespaces is closed to it, and catches up when it is opened', async () => {
    const other = await plane.namespace();
    await plane.apply([task(other, 'late')]);
    const watched = watch({ namespaces: [namespace, other] });
    await until('the open namespace is listed', () => watched.lists > 0);
    await until('the closed one failed', () => watched.restarts.includes('error'));
    assert.equal(watched.informer.synced, false);
    assert.equal(watched.informer.lastFullListAt, undefined);
    await controllerAccount(plane, namespace, [namespace, other]);
    await watched.informer.onSynced();
    assert.equal(watched.every(keyOf({ namespace: other, name: 'late' })), '1h');
  });

  test('watches all namespaces when none is named', async () => {
    const other = await plane.namespace();
    account = await controllerAccount(plane, namespace, []);
    await plane.apply([task(namespace, 'here'), task(other, 'there')]);
    const watched = watch({ namespaces: [], kubeconfig: account.kubeconfig });
    await watched.informer.onSynced();
    assert.equal(watched.every(key('here')), '1h');
    assert.equal(watched.every(keyOf({ namespace: other, name: 'there' })), '1h');
  });
});

describe('what is told and what is kept', () => {
  test('a status write changes the version in the cache and is told nobody; a trigger annotation is', async () => {
    await plane.apply([task(namespace, 'a')]);
    const watched = watch();
    await watched.informer.onSynced();
    const before = watched.informer.get(key('a'));
    assert.ok(before?.resourceVersion !== undefined);
    const told = watched.told.length;
    const api = new ScheduledTasksApi(watched.connection);
    const write = { namespace, name: 'a', uid: before.uid, resourceVersion: before.resourceVersion };
    const answer = await api.applyStatus({ ...write, status: { observedGeneration: 1, active: 3 } });
    assert.equal(answer.kind, 'applied');
    await until('the status is in the cache', () => watched.informer.get(key('a'))?.status?.active === 3);
    assert.equal(watched.told.length, told);
    assert.equal(watched.informer.get(key('a'))?.resourceVersion, answer.resourceVersion);
    assert.deepEqual(await api.applyStatus({ ...write, status: { active: 4 } }), { kind: 'conflict' });

    await plane.mustKubectl([
      'annotate',
      'st',
      'a',
      '-n',
      namespace,
      'tidemill.dev/run-now=1',
      'other.io/x=1',
    ]);
    await until('the annotation is told', () => watched.told.length > told);
    assert.deepEqual(watched.informer.get(key('a'))?.annotations, { 'tidemill.dev/run-now': '1' });
  });

  test('a status for an object that is gone, or was made anew, is not written', async () => {
    await plane.apply([task(namespace, 'a')]);
    const watched = watch();
    await watched.informer.onSynced();
    const { uid = '', resourceVersion = '' } = watched.informer.get(key('a')) ?? {};
    const api = new ScheduledTasksApi(watched.connection);
    const write = { namespace, name: 'a', uid, resourceVersion, status: { active: 1 } };
    await remove('a');
    await until('it is gone', () => watched.informer.get(key('a')) === undefined);
    assert.deepEqual(await api.applyStatus(write), { kind: 'gone' });
    await plane.apply([task(namespace, 'a')]);
    assert.deepEqual(await api.applyStatus(write), { kind: 'conflict' });
  });

  test('a listener that throws does not stop the watch', async () => {
    const watched = watch();
    await watched.informer.onSynced();
    watched.informer.subscribe(() => {
      throw new Error('a defect of a listener');
    });
    await plane.apply([task(namespace, 'a')]);
    await watched.sees(key('a'), 'came', (every) => every === '1h');
    await plane.apply([task(namespace, 'a', '3h')]);
    await watched.sees(key('a'), 'changed', (every) => every === '3h');
    assert.deepEqual(watched.restarts, []);
  });

  test('a live read goes past the cache and is taken over by it', async () => {
    await using proxy = await ApiProxy.start(plane);
    await plane.apply([task(namespace, 'edited'), task(namespace, 'deleted')]);
    const watched = watch(await through(proxy));
    await watched.informer.onSynced();
    await until('the watch is open', () => proxy.openWatches === 1);
    proxy.fault({ kind: 'silence' }, { match: { verb: 'watch' } });
    await plane.apply([task(namespace, 'edited', '2h'), task(namespace, 'made')]);
    await remove('deleted');

    assert.equal(watched.every(key('edited')), '1h');
    assert.equal((await watched.informer.readLive(key('edited')))?.generation, 2);
    assert.equal(watched.every(key('edited')), '2h');
    assert.equal(await watched.informer.readLive(key('deleted')), undefined);
    assert.equal(watched.informer.get(key('deleted')), undefined);
    assert.equal((await watched.informer.readLive(key('made')))?.generation, 1);
    proxy.fault({ kind: 'answer', code: 503 }, { match: { verb: 'get' } });
    await assert.rejects(watched.informer.readLive(key('edited')), { code: 'KUBE_UNAVAILABLE' });
    assert.equal(watched.every(key('edited')), '2h');
  });

  test('pages are put together, and a list whose continuation expired is asked for whole', async () => {
    await using proxy = await ApiProxy.start(plane);
    const names = Array.from({ length: 25 }, (_, index) => `task-${index}`);
    await plane.apply(names.map((name) => task(namespace, name)));
    proxy.fault({ kind: 'answer', code: 410, reason: 'Expired' }, { match: isSecondPage(), times: 1 });
    const watched = watch({ ...(await through(proxy)), timing: { pageSize: 10 } });
    await watched.informer.onSynced();
    assert.equal(watched.informer.list().length, 25);
    assert.deepEqual(
      proxy.seen.filter(({ verb }) => verb === 'list').map(({ code }) => code),
      [200, 410, 200],
    );
    await watched.stop();
    proxy.forget();
    const again = watch({ ...(await through(proxy)), timing: { pageSize: 10 } });
    await again.informer.onSynced();
    assert.equal(again.informer.list().length, 25);
    assert.equal(proxy.count({ verb: 'list' }), 3);
  });
});

/** The second list that comes by. */
function isSecondPage(): (request: { readonly verb: string }) => boolean {
  let lists = 0;
  return ({ verb }) => verb === 'list' && (lists += 1) === 2;
}

describe('faults between informer and API server', () => {
  test('a watch that is cut goes on from where it was, without a list', async () => {
    await using proxy = await FaultProxy.start(plane.port);
    await plane.apply([task(namespace, 'a'), task(namespace, 'b')]);
    const watched = watch(await through(proxy));
    await watched.informer.onSynced();
    proxy.mode = 'refuse';
    proxy.cut();
    await plane.apply([task(namespace, 'a', '2h')]);
    await remove('b');
    await until('the cut is noticed', () => watched.restarts.length > 0);
    proxy.mode = 'pass';
    await watched.sees(key('a'), 'changed', (every) => every === '2h');
    await watched.sees(key('b'), 'went', (every) => every === undefined);
    assert.equal(watched.lists, 1);
  });

  test('a watch that died without a sign is noticed by its silence', async () => {
    await using proxy = await ApiProxy.start(plane);
    await plane.apply([task(namespace, 'a')]);
    const watched = watch({ ...(await through(proxy)), timing: { silenceMs: 2_000 } });
    await watched.informer.onSynced();
    await until('the watch is open', () => proxy.openWatches === 1);
    using _fault = proxy.fault({ kind: 'silence' }, { match: { verb: 'watch' }, times: 1 });
    await plane.apply([task(namespace, 'a', '2h')]);
    await watched.sees(key('a'), 'changed', (every) => every === '2h', 10_000);
    assert.ok(watched.restarts.includes('silence'));
    assert.equal(watched.lists, 1);
  });

  test('a wire that is dead in both directions is given up, and a new one is taken', async () => {
    await using proxy = await FaultProxy.start(plane.port);
    await plane.apply([task(namespace, 'a')]);
    const timing = { silenceMs: 1_500 };
    const watched = watch({ ...(await through(proxy)), timing, requestTimeoutMs: 1_500 });
    await watched.informer.onSynced();
    // Everything that is on the old connections stays there, as behind a router that lost its table.
    proxy.mode = 'half-open';
    await plane.apply([task(namespace, 'a', '2h')]);
    await until('a request had no answer', () => watched.restarts.includes('error'));
    proxy.mode = 'pass';
    await watched.sees(key('a'), 'changed', (every) => every === '2h', 15_000);
  });

  test('a frozen API server is waited for', async () => {
    await plane.apply([task(namespace, 'a')]);
    const watched = watch({ timing: { silenceMs: 1_500 }, requestTimeoutMs: 1_500 });
    await watched.informer.onSynced();
    plane.apiServer.freeze();
    try {
      await until('a request had no answer', () => watched.restarts.includes('error'));
      assert.equal(watched.every(key('a')), '1h');
    } finally {
      plane.apiServer.thaw();
    }
    await plane.apply([task(namespace, 'a', '2h')]);
    await watched.sees(key('a'), 'changed', (every) => every === '2h');
  });

  test('a restarted API server is found again', async () => {
    await plane.apply([task(namespace, 'a')]);
    const watched = watch();
    await watched.informer.onSynced();
    await plane.apiServer.kill();
    assert.equal(watched.every(key('a')), '1h');
    await plane.apiServer.start();
    await plane.apply([task(namespace, 'a', '2h')]);
    await watched.sees(key('a'), 'changed', (every) => every === '2h');
  });

  test('history that was compacted away is made up for by a list, deletions included', async () => {
    await using proxy = await FaultProxy.start(plane.port);
    await plane.apply([task(namespace, 'a'), task(namespace, 'b')]);
    const watched = watch(await through(proxy));
    await watched.informer.onSynced();
    proxy.mode = 'refuse';
    proxy.cut();
    await plane.apply([task(namespace, 'a', '2h')]);
    await remove('b');
    await plane.etcd.compact();
    await plane.apiServer.restart();
    proxy.mode = 'pass';
    await watched.sees(key('a'), 'changed', (every) => every === '2h', 60_000);
    await watched.sees(key('b'), 'went', (every) => every === undefined);
    assert.ok(watched.restarts.includes('gone'), watched.restarts.join(' '));
    assert.equal(watched.lists, 2);
  });

  test('an API server whose data was restored is believed', async () => {
    await plane.apply([task(namespace, 'a'), task(namespace, 'b')]);
    const snapshot = await plane.etcd.snapshot();
    const watched = watch();
    await watched.informer.onSynced();
    await plane.apply([task(namespace, 'a', '2h'), task(namespace, 'c')]);
    // More versions than an API server makes by itself while it starts.
    await plane.apply(Array.from({ length: 80 }, (_, index) => task(namespace, `more-${index}`)));
    await until('all are seen', () => watched.informer.list().length === 83);
    await plane.etcd.restore(snapshot);
    await watched.sees(key('a'), 'went back', (every) => every === '1h', 60_000);
    assert.equal(watched.informer.list().length, 2);
    assert.ok(watched.restarts.includes('rewound'), watched.restarts.join(' '));
    // And the watch that follows is alive.
    await plane.apply([task(namespace, 'b', '5h')]);
    await watched.sees(key('b'), 'changed', (every) => every === '5h');
  });
});

describe('load on the API server', () => {
  /** Between requests of one kind, ms. */
  const gaps = (proxy: ApiProxy, verb: string): readonly number[] => {
    const times = proxy.seen.filter((request) => request.verb === verb).map(({ atMs }) => atMs);
    return times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
  };

  test('a list that fails is repeated at most once a second, and as late as the server asks', async () => {
    await using proxy = await ApiProxy.start(plane);
    const failing = proxy.fault({ kind: 'answer', code: 500 }, { match: { verb: 'list' }, times: 3 });
    const watched = watch(await through(proxy));
    await watched.informer.onSynced();
    assert.equal(proxy.count({ verb: 'list' }), 4);
    for (const gapMs of gaps(proxy, 'list')) assert.ok(gapMs >= 990, `${gapMs} ms`);
    failing[Symbol.dispose]();
    await watched.stop();

    proxy.forget();
    const headers = { 'retry-after': '3' };
    proxy.fault({ kind: 'answer', code: 429, headers }, { match: { verb: 'list' }, times: 2 });
    await watch(await through(proxy)).informer.onSynced();
    assert.equal(proxy.count({ verb: 'list' }), 3);
    for (const gapMs of gaps(proxy, 'list')) assert.ok(gapMs >= 2_990, `${gapMs} ms`);
  });

  test('a watch that is refused with Retry-After is not asked for again before', async () => {
    await using proxy = await ApiProxy.start(plane);
    const headers = { 'retry-after': '3' };
    proxy.fault({ kind: 'answer', code: 429, headers }, { match: { verb: 'watch' }, times: 1 });
    watch(await through(proxy));
    await until('the watch is open', () => proxy.openWatches === 1);
    assert.ok((gaps(proxy, 'watch')[0] ?? 0) >= 2_990);
  });

  test('a server that ends every watch at once is asked no more than once a second', async () => {
    await using proxy = await ApiProxy.start(plane);
    const watched = watch({ ...(await through(proxy)), timing: { watchTimeoutSeconds: 1 } });
    await until('it has asked a few times', () => proxy.count({ verb: 'watch' }) >= 4);
    for (const gapMs of gaps(proxy, 'watch')) assert.ok(gapMs >= 1_000, `${gapMs} ms`);
    assert.equal(watched.lists, 1);
    assert.ok(watched.restarts.every((reason) => reason === 'closed'));
  });

  test('a full list comes round by itself and finds what no event told', async () => {
    await using proxy = await ApiProxy.start(plane);
    await plane.apply([task(namespace, 'a')]);
    const watched = watch({ ...(await through(proxy)), timing: { relistEveryMs: 3_000 } });
    await watched.informer.onSynced();
    const firstMs = watched.informer.lastFullListAt ?? Infinity;
    proxy.fault({ kind: 'silence' }, { match: { verb: 'watch' } });
    await remove('a');
    await watched.sees(key('a'), 'went', (every) => every === undefined, 10_000);
    assert.ok((watched.informer.lastFullListAt ?? 0) >= firstMs + 3_000);
    assert.ok(watched.restarts.includes('relist'));
  });
});

describe('stopping', () => {
  test('ends an open watch at once, asks for nothing more, and can be followed by another start', async () => {
    await using proxy = await ApiProxy.start(plane);
    const watched = watch(await through(proxy));
    await until('the watch is open', () => proxy.openWatches === 1);
    await watched.stop();
    await until('the watch is closed', () => proxy.openWatches === 0);
    const requests = proxy.seen.length;
    await plane.apply([task(namespace, 'a')]);
    assert.equal(watched.informer.get(key('a')), undefined);
    assert.equal(proxy.seen.length, requests);
    watched.start();
    await watched.sees(key('a'), 'came', (every) => every === '1h');
    await assert.rejects(watched.informer.run(new AbortController().signal), { code: 'INTERNAL' });
  });

  test('ends while the server keeps the list, or the watch, waiting', async () => {
    for (const verb of ['list', 'watch']) {
      await using proxy = await ApiProxy.start(plane);
      proxy.fault({ kind: 'freeze' }, { match: { verb } });
      const watched = watch(await through(proxy));
      await until(`the ${verb} is asked for`, () => proxy.count({ verb }) === 1);
      const beganMs = performance.now();
      await watched.stop();
      assert.ok(performance.now() - beganMs < 2_000, `${verb}: ${performance.now() - beganMs} ms`);
      assert.equal(proxy.count(), verb === 'list' ? 1 : 2);
    }
  });
});
