/** Whatever an operator or a node does to the pods of an install under load: nothing is lost, nothing is doubled. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { slotAccount, sumOf } from '../support/slot-account.ts';
import { until } from '../support/until.ts';
import { CONTROLLER, Installation, PLATFORM, QUEUES, TEAM } from './installation.ts';
import { drained, Load, type LoadAccount } from './load.ts';
import { PodLogs } from './pod-logs.ts';

const POOL = 'workers';
const SCHEDULES = 20;
const EVERY = '1s';
/** Short ones, and one in ten that outlives the grace of its pod. */
const SHORT_MS = [20, 50, 100, 20, 50, 200, 20, 50, 500];
const DURATIONS_MS = [...SHORT_MS, 12_000];
const DRAIN_SECONDS = 5;
const SETTLED_MS = 180_000;
/** The bodies of this many runs begin before something is broken, and this many are enqueued after it. */
const WARM_RUNS = 50;

describe('an install under load', () => {
  let installation: Installation;
  let consumers: PodLogs;
  let uids: readonly string[];
  let steps = 0;

  before(async () => {
    installation = await Installation.start();
    consumers = new PodLogs((args) => installation.cluster.spawnKubectl(args), TEAM);
    await scale(2);
    const spec = {
      task: 'tick',
      every: EVERY,
      concurrencyPolicy: 'Allow',
      missedRunPolicy: 'All',
      maxCatchUp: 1000,
    };
    const named = Array.from({ length: SCHEDULES }, (_, index) => [`tick-${index}`, spec] as const);
    uids = [...(await installation.schedule(Object.fromEntries(named))).values()];
  });
  after(async () => {
    consumers[Symbol.dispose]();
    await installation[Symbol.asyncDispose]();
  });

  const scale = (replicas: number, version: 'first' | 'next' = 'first'): Promise<void> =>
    installation.pool(POOL, version, { replicas, drainSeconds: DRAIN_SECONDS, killGraceSeconds: 1 });

  /** Breaks something while runs are enqueued and slots come, then counts. */
  async function under(
    t: TestContext,
    breakIt: (load: Load) => Promise<void>,
    {
      failed = 0,
      durationsMs = DURATIONS_MS,
    }: { readonly failed?: number; readonly durationsMs?: readonly number[] } = {},
  ): Promise<LoadAccount> {
    const manual = installation.broker.queue(QUEUES.manual);
    const scheduled = installation.broker.queue(QUEUES.scheduled);
    const fromMs = await installation.broker.now();
    const handedBackBefore = handedBack();
    const load = await Load.start(installation.client, manual, {
      ...{ queue: QUEUES.manual, prefix: `step-${(steps += 1)}`, durationsMs },
    });
    const begun = consumers.with('body begins').length;
    await until('the load runs', () => consumers.with('body begins').length >= begun + WARM_RUNS);
    await breakIt(load);
    const acknowledged = load.acknowledged;
    await until('the load goes on', () => load.acknowledged >= acknowledged + WARM_RUNS, {
      deadlineMs: SETTLED_MS,
    });
    const account = await load.account(manual, SETTLED_MS);
    const untilMs = await installation.broker.now();
    await until(
      'every slot of the time is decided',
      async () => {
        const states = await scheduled.schedules.states(uids);
        return states.every((state) => (state?.watermarkMs ?? 0) >= untilMs);
      },
      { deadlineMs: SETTLED_MS },
    );
    const slots = sumOf(
      await Promise.all(uids.map((uid) => slotAccount(scheduled, uid, EVERY, { fromMs, untilMs }))),
    );
    t.diagnostic(
      `${JSON.stringify(account)}; slots ${JSON.stringify(slots)}; runs handed back ${handedBack() - handedBackBefore}`,
    );
    assert.ok(account.acknowledged >= WARM_RUNS && slots.slots >= SCHEDULES, 'there was load');
    assert.deepEqual(
      { lost: account.lost, settledTwice: account.settledTwice },
      { lost: 0, settledTwice: 0 },
    );
    assert.deepEqual({ ...slots, slots: 0 }, { slots: 0, undecided: 0, doubled: 0 });
    assert.equal(account.failed, failed, 'no innocent run was given up');
    return account;
  }

  /** By consumers on their way out, and by others for dead ones. */
  const handedBack = (): number =>
    consumers.sum('consumer stopped', 'handedBack') +
    consumers.sum('runs of dead consumers given back', 'returned');

  test('a rolling upgrade of consumers to an image with another task set', async (t) => {
    await under(t, () => scale(2, 'next'));
    const tasks = await installation.broker.queue(QUEUES.manual).inspect.tasks();
    assert.ok(tasks.some(({ task, known }) => task === 'newly-added' && known));
    await scale(2, 'first');
  });

  test('a rolling upgrade of the controller', async (t) => {
    await under(t, () =>
      installation.upgradePlatform({ controller: { podAnnotations: { upgraded: 'yes' } } }),
    );
  });

  test('the leading controller deleted without grace', async (t) => {
    await under(t, async () => {
      const leader = await installation.leader();
      await deleteNow(PLATFORM, leader);
      await until(
        'another one leads',
        async () => (await installation.leader().catch(() => leader)) !== leader,
        {
          deadlineMs: 60_000,
        },
      );
    });
  });

  test('consumers deleted without grace', async (t) => {
    await under(t, async () => {
      const [pod = ''] = await installation.podsOf(POOL);
      await deleteNow(TEAM, pod);
      await installation.cluster.untilRolledOut(TEAM, `deploy/${POOL}`);
    });
  });

  test('every consumer and controller evicted, as a drain does', async (t) => {
    await under(t, async () => {
      for (const pod of await installation.podsOf(POOL)) await evict(TEAM, pod);
      for (const pod of await installation.controllers()) await evict(PLATFORM, pod);
      await installation.cluster.untilRolledOut(TEAM, `deploy/${POOL}`);
      await installation.cluster.untilRolledOut(PLATFORM, `deploy/${CONTROLLER}`);
    });
  });

  test('from four busy consumers to one', async (t) => {
    await scale(4);
    const before = handedBack();
    await under(t, async () => {
      await scale(1);
      await until('the others are gone', async () => (await installation.podsOf(POOL)).length === 1);
    });
    assert.ok(handedBack() > before, 'what the others could not finish went back');
    await scale(2);
  });

  test('Redis killed: its container comes back with what its append-only file holds', async (t) => {
    const account = await under(t, async () => {
      const before = await restartsOfRedis();
      await killInside('redis-server');
      await until('Redis was started again', async () => (await restartsOfRedis()) > before, {
        deadlineMs: 60_000,
      });
      await installation.cluster.untilRolledOut(PLATFORM, `deploy/${PLATFORM}-redis`);
    });
    t.diagnostic(`enqueues without an answer: ${account.unanswered}`);
  });

  test('a child process that needs more heap than it may have: its run fails, its neighbours go on', async (t) => {
    const exhaust = async (load: Load): Promise<void> => {
      const { id } = await installation.client.enqueue('exhaust-heap', {}, { queue: QUEUES.manual });
      load.include(id);
      const record = await ended(id);
      assert.deepEqual([record.state, record.error?.reason], ['failed', 'HeapOutOfMemory']);
    };
    await under(t, exhaust, { failed: 1 });
  });

  test('a run that has its pod killed for memory is given up after its deliveries, and no other with it', async (t) => {
    const exhaust = async (load: Load): Promise<void> => {
      const { id } = await installation.client.enqueue('exhaust-pod', {}, { queue: QUEUES.manual });
      load.include(id);
      const record = await ended(id);
      assert.equal(record.state, 'failed');
      t.diagnostic(`given up: ${record.error?.reason} ${record.error?.message}`);
    };
    // What a dead pod held runs alone from then on, one after another: long ones would take minutes.
    await under(t, exhaust, { failed: 1, durationsMs: SHORT_MS });
    const shown = await installation.cluster.mustKubectl(['get', 'pods', '-n', TEAM, '-o', 'json']);
    assert.match(shown, /OOMKilled/);
    await drained(installation.broker.queue(QUEUES.scheduled), SETTLED_MS);
  });

  const deleteNow = (namespace: string, pod: string): Promise<string> =>
    installation.cluster.mustKubectl(['delete', 'pod', pod, '-n', namespace, '--grace-period=0', '--force']);

  /** As `kubectl drain` does: asks again while a disruption budget says no. */
  async function evict(namespace: string, pod: string): Promise<void> {
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace } };
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`;
    await installation.cluster.until(
      `${pod} may be evicted`,
      async () => {
        const answer = await installation.cluster.kubectl(
          ['create', '--raw', path, '-f', '-'],
          JSON.stringify(eviction),
        );
        return answer.code === 0 || /not ?found/i.test(answer.stderr);
      },
      { deadlineMs: 120_000 },
    );
  }

  /** By name, among the processes of the cluster only. */
  async function killInside(name: string): Promise<void> {
    const killer = installation.cluster.spawn('pkill', ['-KILL', '-x', name]);
    const code = await new Promise<number | null>((resolve) => killer.once('exit', resolve));
    assert.equal(code, 0, `no process ${name} was there`);
  }

  async function restartsOfRedis(): Promise<number> {
    const selector = ['-n', PLATFORM, '-l', 'app.kubernetes.io/component=redis-dev'];
    const count = ['-o', 'jsonpath={.items[0].status.containerStatuses[0].restartCount}'];
    return Number(await installation.cluster.mustKubectl(['get', 'pods', ...selector, ...count]));
  }

  const ended = (id: string) =>
    until(
      'the run ended',
      async () => {
        const record = await installation.client.get(id, { queue: QUEUES.manual });
        return record?.endedAtMs === undefined ? undefined : record;
      },
      { deadlineMs: SETTLED_MS },
    );
});
