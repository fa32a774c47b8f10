/**
 * From the nominal second to the first line of user code, in pods of a real cluster: a schedule of ours, and a stock CronJob whose
 * user code is the cheapest that there is (a shell that prints the time, its image on the node already).
 */
import { Installation, TEAM } from '../test/cluster/installation.ts';
import { PodLogs } from '../test/cluster/pod-logs.ts';
import { until } from '../test/support/until.ts';
import { readOptions } from './lib/options.ts';
import { printJson, printTable, progress, rounded } from './lib/report.ts';
import { percentile } from './lib/statistics.ts';

const POOL = 'bench';
const SCHEDULE = 'tick';
const MINUTE_MS = 60_000;

const { json, size } = readOptions(
  'cluster',
  'Starts a whole Kubernetes, as root on Linux; measures from the nominal second to the first line of user code.',
  {
    seconds: { help: 'ticks of a ScheduledTask that is due every second', default: 60 },
    minutes: { help: 'ticks of a CronJob that is due every minute', default: 3 },
  },
  { hasAof: false },
);
const ticks = size('seconds');
const minutes = size('minutes');

progress('a cluster, both charts, one consumer');
await using installation = await Installation.start();
const { cluster } = installation;
using logs = new PodLogs((args) => cluster.spawnKubectl(args), TEAM);
await installation.pool(POOL, 'first', { replicas: 1 });

progress(`${ticks} ticks of a ScheduledTask that is due every second`);
await installation.schedule({ [SCHEDULE]: { task: 'tick', every: '1s' } });
/** The first ones come while the consumer warms up. */
const WARM_UP = 3;
const lines = await until(
  'the ticks ran',
  () => {
    const begun = logs.with('body begins');
    return begun.length >= ticks + WARM_UP && begun.slice(WARM_UP);
  },
  { deadlineMs: (ticks + WARM_UP) * 1_000 + 60_000 },
);
const tidemillMs = lines.map(({ text }) => {
  const [, startedAt = ''] = /"time":"([^"]+)"/.exec(text) ?? [];
  const [, slot = ''] = /"slot":"([^"]+)"/.exec(text) ?? [];
  return Date.parse(startedAt) - Date.parse(slot);
});
await cluster.mustKubectl(['delete', 'st', SCHEDULE, '-n', TEAM]);

progress(`${minutes} minutes of a CronJob that is due every minute`);
await cluster.apply([cronJob()]);
const starts = await until(
  'the jobs ran',
  () => {
    const times = logs.lines.flatMap(({ text }) => /^started at (\d{13})$/.exec(text)?.[1] ?? []);
    return times.length >= minutes && times;
  },
  { deadlineMs: (minutes + 2) * MINUTE_MS },
);
const cronJobMs = starts.map((time) => Number(time) % MINUTE_MS);

const tidemillP50Ms = percentile(tidemillMs, 0.5);
const tidemillP99Ms = percentile(tidemillMs, 0.99);
const cronJobP50Ms = percentile(cronJobMs, 0.5);
const ratio = rounded(cronJobP50Ms / tidemillP50Ms, 1);
printTable(
  ['nominal second → first line', 'ticks', 'p50 ms', 'p99 ms', 'of ours'],
  [
    ['ScheduledTask', tidemillMs.length, tidemillP50Ms, tidemillP99Ms, ''],
    ['CronJob', cronJobMs.length, cronJobP50Ms, '', `${ratio} ×`],
  ],
);
progress(`each tick of the CronJob: ${cronJobMs.join(', ')} ms`);
printJson(json, { name: 'cluster', tidemillP50Ms, tidemillP99Ms, cronJobP50Ms, ratio });

function cronJob(): object {
  const container = {
    name: 'job',
    image: installation.images.worker.first.name,
    imagePullPolicy: 'Never',
    command: ['sh', '-c', 'echo started at $(date +%s%3N)'],
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
  };
  const pod = {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 10_001, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container],
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'bench', namespace: TEAM },
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template: { spec: pod } } } },
  };
}
