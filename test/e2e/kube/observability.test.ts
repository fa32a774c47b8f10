/** What the dashboard and the alerts ask for is what real processes export; Prometheus's own checker has no complaint; each replica answers the autoscaler. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { alerts, asPromQl, dashboardQueries } from '../../support/observability.ts';
import { exportedBy, problemsOf } from '../../support/promql.ts';
import { promtool } from '../../support/promtool.ts';
import { TidemillProcess } from '../../support/tidemill-process.ts';
import { until } from '../../support/until.ts';
import { type Controller, ControllerFleet, QUEUE } from './controllers.ts';

const TASKS = join(import.meta.dirname, '../../fixtures/e2e/tasks.ts');
const START_MS = 60_000;
/** Counts of a schedule are read back every 30 s. */
const READ_BACK_MS = 60_000;

const MANIFEST = `apiVersion: tidemill.dev/v1alpha1
kind: ScheduledTask
metadata: { name: from-a-file }
spec: { task: work, every: 1h, params: { ms: 1 } }
`;

/** Of the families that only a leader, or only who does not lead, may have. */
const OF_THE_CLUSTER = [
  ...['tidemill_queue_depth', 'tidemill_queue_max_pending', 'tidemill_consumers', 'tidemill_schedules'],
  ...['tidemill_redis_memory_used_bytes', 'tidemill_redis_memory_max_bytes'],
];

describe('what can be seen of real processes', () => {
  let fleet: ControllerFleet;
  let leader: Controller;
  let standby: Controller;
  let folder: string;
  const others: TidemillProcess[] = [];
  /** By process. */
  const urls = new Map<string, string>();

  const start = async (name: 'consumer' | 'scheduler', ...args: readonly string[]): Promise<void> => {
    const process = new TidemillProcess([
      ...[name, ...args, '--redis', fleet.redis.url],
      ...['--http-host', '127.0.0.1', '--http-port', '0'],
    ]);
    others.push(process);
    const line = await process.line(new RegExp(`${name} started`), START_MS);
    urls.set(name, /"http":"(http:[^"]+)"/.exec(line)?.[1] ?? '');
    if (name === 'scheduler') await process.line(/leads now/, START_MS);
  };
  const scrape = async (name: string): Promise<string> => {
    const response = await fetch(`${urls.get(name)}/metrics`);
    assert.equal(response.status, 200);
    return response.text();
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidemill-observability-'));
    writeFileSync(join(folder, 'schedules.yaml'), MANIFEST);
    fleet = await ControllerFleet.start();
    await start('consumer', '--tasks', TASKS, '--cpu-concurrency', '1');
    leader = await fleet.controller();
    await fleet.leads(leader);
    standby = await fleet.controller();
    await start('scheduler', folder, '--install', 'files', '--namespace', 'files');
    urls.set('leader', leader.http);
    urls.set('standby', standby.http);
    await fleet.apply({
      good: { task: 'work', params: { ms: 1 }, every: '1s', concurrencyPolicy: 'Allow' },
      failing: { task: 'exit-silently', every: '5s' },
    });
  });
  after(async () => {
    for (const process of others) await process[Symbol.asyncDispose]();
    await fleet[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test('every query of the dashboard, and every alert, asks for metrics, labels and values that they export', async (t) => {
    const queries = [...dashboardQueries(), ...alerts().map(({ alert, expr }) => ({ at: alert, expr }))];
    let problems: readonly string[] = [];
    await until(
      'all that is asked for is exported',
      async () => {
        const exported = exportedBy(await Promise.all([...urls.keys()].map(scrape)));
        problems = queries.flatMap(({ at, expr }) =>
          problemsOf(expr, exported).map((problem) => `${at}: ${problem}`),
        );
        return problems.length === 0;
      },
      { deadlineMs: READ_BACK_MS, describe: () => problems.join('\n') },
    );
    t.diagnostic(`${queries.length} expressions, such as ${asPromQl(queries[0]?.expr ?? '')}`);
  });

  for (const name of ['consumer', 'scheduler', 'leader', 'standby']) {
    test(`promtool has no complaint about the metrics of a ${name}`, async () => {
      const { ok, text } = promtool(['check', 'metrics'], await scrape(name));
      assert.ok(ok && text === '', text);
    });
  }

  test('what is true of the whole cluster only those tell who lead', async () => {
    for (const name of ['consumer', 'standby']) {
      const exported = exportedBy([await scrape(name)]);
      assert.deepEqual(
        OF_THE_CLUSTER.filter((family) => exported.has(family)),
        [],
        name,
      );
    }
    for (const name of ['leader', 'scheduler']) {
      const exported = exportedBy([await scrape(name)]);
      assert.deepEqual(
        OF_THE_CLUSTER.filter((family) => !exported.has(family)),
        [],
        name,
      );
    }
    const leads = async (name: string): Promise<boolean> =>
      exportedBy([await scrape(name)]).has('tidemill_scheduler_leader');
    assert.deepEqual(
      await Promise.all(['consumer', 'scheduler', 'leader', 'standby'].map(leads)),
      [false, true, false, false],
      'a controller has leader_election_master_status',
    );
  });

  test('each controller and the scheduler tell an autoscaler the same', async () => {
    const asked = 'scale-me';
    const queue = fleet.broker.queue(asked);
    const runs = ['a', 'b', 'c'].map((id) => ({
      ...{ id, task: 'work', priority: 'medium' as const, params: '{"ms":1}' },
      options: { source: 'api' as const },
      ...(id === 'c' && { delayMs: 3_600_000 }),
    }));
    await queue.runs.enqueue(runs);
    for (const name of ['leader', 'standby', 'scheduler']) {
      const { oldestAgeSeconds, ...counts } = await until(`${name} knows the queue`, async () => {
        const response = await fetch(`${urls.get(name)}/scale/${asked}`);
        assert.equal(response.status, 200);
        const answer = (await response.json()) as Record<string, unknown>;
        return answer['waiting'] === 2 && answer;
      });
      assert.deepEqual(counts, { queue: asked, backlog: 2, waiting: 2, running: 0, delayedSoon: 0 }, name);
      assert.ok(typeof oldestAgeSeconds === 'number' && oldestAgeSeconds >= 0);
    }
    assert.equal(
      (await fetch(`${urls.get('consumer')}/scale/${QUEUE}`)).status,
      404,
      'consumers do not serve it',
    );
  });
});
