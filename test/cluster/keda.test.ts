/** A real KEDA scales a pool of consumers by what the controller tells of the backlog: up, down to none, and nothing is lost. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../support/until.ts';
import { startKeda } from './ground/keda.ts';
import { CONTROLLER, Installation, PLATFORM, QUEUES, TEAM } from './installation.ts';
import { drained, endsOf } from './load.ts';
import { PodLogs } from './pod-logs.ts';

const POOL = 'elastic';
const RUNS = 400;
const MOST_PODS = 4;
const SCALED_MS = 180_000;

describe('a pool that KEDA scales by the backlog', () => {
  let installation: Installation;
  let consumers: PodLogs;

  before(async () => {
    installation = await Installation.start();
    await startKeda(installation.cluster);
    consumers = new PodLogs((args) => installation.cluster.spawnKubectl(args), TEAM);
    await installation.pool(POOL, 'first', {
      queues: [QUEUES.manual],
      concurrency: 2,
      drainSeconds: 2,
      killGraceSeconds: 1,
      autoscaling: {
        type: 'keda',
        minReplicas: 0,
        maxReplicas: MOST_PODS,
        keda: {
          backlogPerReplica: 20,
          controller: { service: CONTROLLER, namespace: PLATFORM },
          pollingIntervalSeconds: 2,
          cooldownSeconds: 5,
          behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
        },
      },
    });
  });
  after(async () => {
    consumers[Symbol.dispose]();
    await installation[Symbol.asyncDispose]();
  });

  const pods = async (): Promise<number> => (await installation.podsOf(POOL)).length;

  test('none while nothing waits, all of them under a backlog, none again after it; every run ends', async (t) => {
    await until('no pod runs', async () => (await pods()) === 0, { deadlineMs: SCALED_MS });
    const items = Array.from({ length: RUNS }, (_, index) => ({
      id: `elastic-${index}`,
      params: { ms: index % 10 === 0 ? 8_000 : 300 },
      queue: QUEUES.manual,
    }));
    const queue = installation.broker.queue(QUEUES.manual);
    await installation.client.enqueueMany('work', items);
    const beganMs = performance.now();
    await until('all pods run', async () => (await pods()) === MOST_PODS, { deadlineMs: SCALED_MS });
    const upMs = Math.round(performance.now() - beganMs);
    await drained(queue, SCALED_MS);
    const drainedMs = performance.now();
    await until('no pod runs', async () => (await pods()) === 0, { deadlineMs: SCALED_MS });
    const downMs = Math.round(performance.now() - drainedMs);
    const records = await Promise.all(
      items.map(({ id }) => installation.client.get(id, { queue: QUEUES.manual })),
    );
    const lost = records.filter((record) => record?.state !== 'succeeded').length;
    const settledTwice = (await endsOf(queue)) - RUNS;
    const handedBack = consumers.sum('consumer stopped', 'handedBack');
    t.diagnostic(
      `0 to ${MOST_PODS} pods in ${upMs} ms, to 0 ${downMs} ms after the last run; runs ${RUNS}, lost ${lost}, settled twice ${settledTwice}, handed back ${handedBack}`,
    );
    assert.deepEqual({ lost, settledTwice }, { lost: 0, settledTwice: 0 });
  });
});
