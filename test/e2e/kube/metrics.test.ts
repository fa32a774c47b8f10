/** What controllers serve over HTTP: the metrics of the catalogue, those of the whole cluster from the leader alone, and probes that tell the truth. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CATALOGUE } from '../../../src/telemetry/catalogue.ts';
import type { MetricDefinition } from '../../../src/telemetry/metric-definition.ts';
import { ApiProxy, kubeconfigThrough } from '../../control-plane/api-proxy.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet, LEASE, TAKEOVER_MS } from './controllers.ts';

const WORK = { task: 'work', params: { ms: 1 }, every: '500ms' };
/** Properties of Redis and of the cluster, not of a process. */
const CLUSTER_WIDE = [
  ...['tidemill_queue_depth', 'tidemill_queue_oldest_age_seconds', 'tidemill_queue_paused'],
  ...['tidemill_queue_retained_bytes', 'tidemill_queue_max_pending', 'tidemill_consumers'],
  ...['tidemill_redis_memory_used_bytes', 'tidemill_redis_memory_max_bytes', 'tidemill_schedules'],
  'tidemill_schedule_next_timestamp_seconds',
];
/** Read from Redis at the take-over, and then every 30 s. */
const LAST_SUCCESS = 'tidemill_schedule_last_success_timestamp_seconds';
/** Nothing of the kind happens in this test. */
const ONLY_WHEN_IT_HAPPENS = [LAST_SUCCESS, 'tidemill_schedule_last_failure_timestamp_seconds'];

type Series = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** By family: labels as they stand in the text, and the value; `le` and the parts of a histogram are left out. */
async function scrape({ http }: Pick<Controller, 'http'>): Promise<Series> {
  const text = await (await fetch(`${http}/metrics`)).text();
  const families = new Map<string, Map<string, number>>();
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? ([^ ]+)$/.exec(line);
    if (match === null) continue;
    const [, family = '', labels = '', value = ''] = match;
    const plain = labels.replace(/(^|,)le="[^"]*"/, '').replace(/^,/, '');
    const series = families.get(family) ?? new Map<string, number>();
    families.set(family, series.set(plain, Number(value)));
  }
  return families;
}

const labelNames = (labels: string): readonly string[] =>
  [...labels.matchAll(/([a-z_]+)="/g)].map(([, name = '']) => name).toSorted();
const sum = (series: ReadonlyMap<string, number> | undefined): number =>
  [...(series ?? new Map<string, number>()).values()].reduce((total, value) => total + value, 0);

describe('what a controller serves over HTTP', () => {
  let fleet: ControllerFleet;
  let leader: Controller;
  let follower: Controller;
  before(async () => {
    fleet = await ControllerFleet.start({ redis: { aof: true } });
    await fleet.consumer();
    leader = await fleet.controller();
    await fleet.leads(leader);
    follower = await fleet.controller();
    await fleet.apply({
      good: { ...WORK, concurrencyPolicy: 'Allow' },
      hourly: { ...WORK, every: '1h' },
      asleep: { ...WORK, suspend: true },
      wrong: { task: 'work', schedule: '0 6 * * *', timeZone: 'Europe/Atlantis' },
    });
    const good = await fleet.uidOf('good');
    await fleet.adopted([good], 1);
    await fleet.settled([good], (await fleet.broker.now()) + 2_000);
  });
  after(async () => {
    await fleet[Symbol.asyncDispose]();
  });

  test('the leader exports all of the catalogue that is a controller’s, with the documented labels', async (t) => {
    const catalogue: Readonly<Record<string, MetricDefinition>> = CATALOGUE;
    const own = Object.entries(catalogue).filter(([, { who }]) => who !== 'consumer' && who !== 'scheduler');
    let absent: readonly string[] = [];
    let families: Series = new Map();
    await until(
      'all families have series',
      async () => {
        families = await scrape(leader);
        absent = own.flatMap(([name]) =>
          (families.get(name)?.size ?? 0) > 0 || ONLY_WHEN_IT_HAPPENS.includes(name) ? [] : [name],
        );
        return absent.length === 0;
      },
      { describe: () => absent.join(', ') },
    );
    for (const [name, { labels }] of own) {
      for (const series of families.get(name)?.keys() ?? [])
        assert.deepEqual(labelNames(series), labels.toSorted(), `${name}{${series}}`);
    }
    const strangers = [...families.keys()].filter(
      (name) => !Object.hasOwn(catalogue, name) && !/^(process|nodejs)_/.test(name),
    );
    assert.deepEqual(strangers, [], 'nothing that the catalogue does not name');
    t.diagnostic(
      `${own.length} families, ${own.reduce((count, [name]) => count + (families.get(name)?.size ?? 0), 0)} series`,
    );
  });

  test('exactly one of two says that it leads, and it alone tells of queues and schedules', async () => {
    const [first, second] = [await scrape(leader), await scrape(follower)];
    assert.deepEqual([...(first.get('leader_election_master_status') ?? [])], [[`name="${LEASE}"`, 1]]);
    assert.deepEqual([...(second.get('leader_election_master_status') ?? [])], [[`name="${LEASE}"`, 0]]);
    for (const name of CLUSTER_WIDE) {
      assert.ok((first.get(name)?.size ?? 0) > 0, `${name} of the leader`);
      assert.equal(second.get(name)?.size ?? 0, 0, `${name} of who does not lead`);
    }
    const states = first.get('tidemill_schedules') ?? new Map<string, number>();
    const inState = (state: string): number | undefined =>
      states.get(`namespace="${fleet.namespace}",state="${state}"`);
    assert.deepEqual(
      ['active', 'suspended', 'stalled', 'completed'].map(inState),
      [2, 1, 1, 0],
      JSON.stringify([...states]),
    );
  });

  test('both watch the objects and count their requests to the API server', async () => {
    const before = await scrape(leader);
    for (const families of [before, await scrape(follower)]) {
      const synced = families.get('tidemill_informer_synced');
      assert.deepEqual([...(synced ?? [])], [['resource="scheduledtasks",namespace=""', 1]]);
      const heardMs = sum(families.get('tidemill_informer_last_event_timestamp_seconds')) * 1_000;
      assert.ok(heardMs > Date.now() - 120_000 && heardMs <= Date.now() + 1_000);
    }
    const requests = before.get('rest_client_requests_total') ?? new Map<string, number>();
    assert.ok(
      [...requests.keys()].some((labels) => labels.includes('method="GET"') && labels.includes('code="200"')),
      JSON.stringify([...requests]),
    );
    await fleet.apply({ more: { ...WORK, every: '1h' } });
    await fleet.kubectl('wait', '--for=condition=Ready', 'st/more', '--timeout=30s');
    await until('the status write was counted', async () => {
      const now = await scrape(leader);
      return (
        sum(now.get('rest_client_requests_total')) > sum(requests) &&
        sum(now.get('tidemill_status_writes_total')) > sum(before.get('tidemill_status_writes_total')) &&
        sum(now.get('workqueue_adds_total')) > sum(before.get('workqueue_adds_total'))
      );
    });
  });

  test('one that has not listed the objects is live and not ready', async () => {
    await using proxy = await ApiProxy.start(fleet.plane);
    using _ = proxy.fault({ kind: 'answer', code: 503 }, { match: { verb: 'list' } });
    const account = await fleet.plane.serviceAccount(fleet.namespace, 'late');
    const kubeconfig = await kubeconfigThrough(fleet.plane, proxy, account);
    await using late = new TidemillProcess([
      ...['controller', '--redis', fleet.redis.url, '--kubeconfig', kubeconfig],
      ...['--http-host', '127.0.0.1', '--http-port', '0'],
    ]);
    const [, http = ''] = /"http":"(http:[^"]+)"/.exec(await late.line(/controller started/, 60_000)) ?? [];
    const ready = await fetch(`${http}/readyz`);
    assert.equal(ready.status, 503);
    assert.match(await ready.text(), /have not been listed yet/);
    assert.equal((await fetch(`${http}/healthz`)).status, 200);
    const families = await scrape({ http });
    assert.equal(sum(families.get('tidemill_informer_synced')), 0);
  });

  test('without Redis both are live and not ready, and say so; with it they are ready again', async () => {
    const probe = async ({ http }: Controller, path: string): Promise<Response> => fetch(`${http}${path}`);
    const both = [leader, follower];
    for (const one of both) assert.equal((await probe(one, '/readyz')).status, 200);
    await fleet.redis.kill();
    for (const one of both) {
      await until('it is not ready', async () => (await probe(one, '/readyz')).status === 503);
      assert.match(await (await probe(one, '/readyz')).text(), /Redis does not answer/);
      assert.equal((await probe(one, '/healthz')).status, 200);
    }
    await until(
      'the leader counts Redis as down',
      async () => sum((await scrape(leader)).get('tidemill_redis_up')) === 0,
    );
    // What cannot be read is absent, and the scrape says so instead of failing.
    const families = await scrape(leader);
    assert.equal(families.get('tidemill_queue_depth')?.size ?? 0, 0);
    assert.equal(families.get('tidemill_collector_up')?.get('collector="queues"'), 0);
    await fleet.redis.restart();
    for (const one of both)
      await until('it is ready', async () => (await probe(one, '/readyz')).status === 200);
    await until(
      'it tells of the queue again',
      async () => ((await scrape(leader)).get('tidemill_queue_depth')?.size ?? 0) > 0,
    );
  });

  test('who takes over tells of queues and schedules from then on', async () => {
    await fleet.stop(leader);
    await fleet.leads(follower, TAKEOVER_MS);
    await until('the new leader tells of all', async () => {
      const families = await scrape(follower);
      return (
        families.get('leader_election_master_status')?.get(`name="${LEASE}"`) === 1 &&
        [...CLUSTER_WIDE, LAST_SUCCESS].every((name) => (families.get(name)?.size ?? 0) > 0)
      );
    });
  });
});
