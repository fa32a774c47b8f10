/**
 * From the nominal second to the first line of user code, in pods of a real cluster: a schedule of ours, and a stock CronJob whose
 * user code is the cheapest that there is (a shell that prints the time, its image on the node already).
 *
 *   npm run bench:cluster -- [--json] [--seconds 60] [--minutes 3]
 */
import { parseArgs } from 'node:util';
import { Installation, TEAM } from '../test/cluster/installation.ts';
import { PodLogs } from '../test/cluster/pod-logs.ts';
import { until } from '../test/support/until.ts';
import { percentile } from './lib/statistics.ts';

const POOL = 'bench';
const SCHEDULE = 'tick';
const MINUTE_MS = 60_000;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '60' },
    minutes: { type: 'string', default: '3' },
  },
});
const ticks = Number(values.seconds);
const minutes = Number(values.minutes);
const progress = (text: string): void => void process.stderr.write(`${text}\n`);

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

const result = {
  name: 'cluster',
  tidemillP50Ms: percentile(tidemillMs, 0.5),
  tidemillP99Ms: percentile(tidemillMs, 0.99),
  cronJobP50Ms: percentile(cronJobMs, 0.5),
  ratio: 0,
};
result.ratio = Number((result.cronJobP50Ms / result.tidemillP50Ms).toFixed(1));
process.stdout.write(`
from the nominal second to the first line of user code
ScheduledTask   ${tidemillMs.length} ticks   p50 ${result.tidemillP50Ms} ms   p99 ${result.tidemillP99Ms} ms
CronJob         ${cronJobMs.length} ticks    p50 ${result.cronJobP50Ms} ms   all ${cronJobMs.join(', ')} ms
The CronJob takes ${result.ratio} times as long at the median.
`);
if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);

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
