/**
 * What one controller does with 10,000 minutely ScheduledTask objects on a real API server: how long a cold start takes, how
 * much memory it needs, how much it writes, and how late the slots are.
 */
import { join } from 'node:path';
import { startControlPlane } from '../test/control-plane/control-plane.ts';
import { startRedis } from './lib/redis.ts';
import { slotAccount, slotsOf, sumOf } from '../test/support/slot-account.ts';
import { BUILT, TidemillProcess } from '../test/support/tidemill-process.ts';
import { until } from '../test/support/until.ts';
import type { Broker } from '../src/broker/broker.ts';
import { connectRedis } from '../src/broker/redis/connect.ts';
import { rbacObjects } from '../src/kube/rbac.ts';
import { slotRunId } from '../src/task/ids.ts';
import { createObjects, listUids } from './lib/cluster.ts';
import { metricSum, scrape } from './lib/prometheus.ts';
import { readOptions } from './lib/options.ts';
import { printJson, printTable, progress, rounded } from './lib/report.ts';
import { percentile } from './lib/statistics.ts';

const EVERY = '60s';
const SPEC = { task: 'tick', every: EVERY, concurrencyPolicy: 'Allow' };
const QUEUE = 'default';
const NAMESPACE = 'bench';
const MINUTE_MS = 60_000;
const READ_AT_ONCE = 200;
/** Statuses, leases and events: all that is not a GET. */
const WRITING = (labels: string): boolean => !labels.includes('method="GET"');

const { json, aof, size } = readOptions(
  'controller',
  'Starts an API server, one controller and one consumer; measures a cold start and then the steady state.',
  {
    objects: { help: 'ScheduledTask objects, each due every minute', default: 10_000 },
    minutes: { help: 'how long the steady state is watched', default: 2 },
  },
);
const objects = size('objects');
const minutes = size('minutes');

progress(`starting an API server and a Redis, and making ${objects} objects`);
await using plane = await startControlPlane();
await using redis = await startRedis({ aof });
await using broker: Broker = await connectRedis({ url: redis.url });
await plane.applyCrd();
await plane.mustKubectl(['create', 'namespace', NAMESPACE]);
const rights = {
  namespace: NAMESPACE,
  serviceAccount: 'controller',
  leaseName: 'bench',
  watchNamespaces: [],
};
const account = await plane.serviceAccount(NAMESPACE, 'controller', rbacObjects(rights));
await createObjects(plane.adminKubeconfig, NAMESPACE, objects, SPEC);
const uids = await listUids(plane.adminKubeconfig, NAMESPACE);

const LOCAL = ['--http-host', '127.0.0.1', '--http-port', '0'];
const built = (...args: readonly string[]): TidemillProcess => new TidemillProcess(args, {}, BUILT);
await using consumer = built(
  ...['consumer', '--tasks', join(import.meta.dirname, 'tasks.ts'), '--redis', redis.url],
  ...['--cpu-concurrency', '0', ...LOCAL],
);
await consumer.line(/consumer started/);

progress('cold start');
const startedAt = performance.now();
await using controller = built(
  ...[
    'controller',
    '--redis',
    redis.url,
    '--kubeconfig',
    account.kubeconfig,
    '--lease-name',
    'bench',
    ...LOCAL,
  ],
);
const [, http = ''] = /"http":"(http:[^"]+)"/.exec(await controller.line(/controller started/)) ?? [];
await until(
  'all objects are planned',
  async () => {
    const text = await scrape(http).catch(() => '');
    const active = metricSum(text, 'tidemill_schedules', (labels) => labels.includes('state="active"'));
    const pending = metricSum(text, 'workqueue_depth');
    return active === objects && pending === 0;
  },
  { deadlineMs: 300_000 },
);
const coldSyncSeconds = (performance.now() - startedAt) / 1_000;
progress(`all planned after ${coldSyncSeconds.toFixed(1)} s; waiting for the first statuses to be written`);
await until(
  'each object has had its first status',
  async () => {
    const text = await scrape(http);
    const applied = (labels: string): boolean => labels.includes('urgent') && labels.includes('applied');
    return metricSum(text, 'tidemill_status_writes_total', applied) >= objects;
  },
  { deadlineMs: 600_000 },
);

progress(`steady state, ${minutes} min`);
const fromMs = await broker.now();
const before = metricSum(await scrape(http), 'rest_client_requests_total', WRITING);
const windowStart = performance.now();
let rssBytes = 0;
await until(
  'the window is over',
  async () => {
    rssBytes = Math.max(rssBytes, metricSum(await scrape(http), 'process_resident_memory_bytes'));
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    return performance.now() - windowStart >= minutes * MINUTE_MS;
  },
  { deadlineMs: (minutes + 2) * MINUTE_MS },
);
const written = metricSum(await scrape(http), 'rest_client_requests_total', WRITING) - before;
const apiWritesPerSecond = written / ((performance.now() - windowStart) / 1_000);
const untilMs = await broker.now();

progress('counting');
const lateness: number[] = [];
const accounts = [];
for (let at = 0; at < uids.length; at += READ_AT_ONCE) {
  const some = uids.slice(at, at + READ_AT_ONCE);
  accounts.push(
    ...(await Promise.all(
      some.map((uid) => slotAccount(broker.queue(QUEUE), uid, EVERY, { fromMs, untilMs: untilMs - 5_000 })),
    )),
  );
  lateness.push(...(await Promise.all(some.map((uid) => latenessOf(uid)))).flat());
}
const { undecided: missed, doubled } = sumOf(accounts);

async function latenessOf(uid: string): Promise<readonly number[]> {
  const slots = slotsOf(EVERY, fromMs, untilMs - 5_000);
  const runs = await Promise.all(slots.map((slotMs) => broker.queue(QUEUE).runs.get(slotRunId(uid, slotMs))));
  return runs.flatMap((run, index) => (run === undefined ? [] : [run.enqueuedAtMs - (slots[index] ?? 0)]));
}

const measured = {
  objects,
  coldSyncSeconds: rounded(coldSyncSeconds, 1),
  rssMegabytes: rounded(rssBytes / 2 ** 20, 0),
  apiWritesPerSecond: rounded(apiWritesPerSecond, 1),
  latenessP50Ms: rounded(percentile(lateness, 0.5), 0),
  latenessP99Ms: rounded(percentile(lateness, 0.99), 0),
  slots: lateness.length,
  missed,
  doubled,
};
printTable(['controller', ''], Object.entries(measured));
printJson(json, { name: 'controller', ...measured });
