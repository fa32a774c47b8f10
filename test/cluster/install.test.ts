/** The way in for a team: both charts by Helm on a real cluster, a first schedule, the tests of the charts, Prometheus, and the way out. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT } from '../images/images.ts';
import { until } from '../support/until.ts';
import { podsOf, type Prometheus, startPrometheus } from './ground/prometheus.ts';
import { CONTROLLER, Installation, PLATFORM, QUEUES, TEAM } from './installation.ts';

const POOL = 'workers';
const EVERY_SECOND = { task: 'tick', every: '1s', concurrencyPolicy: 'Allow' };

describe('an install by Helm', () => {
  let installation: Installation;
  let prometheus: Prometheus;
  let uid: string;

  before(async () => {
    installation = await Installation.start();
    const { cluster } = installation;
    prometheus = await startPrometheus(cluster, {
      scrape: [podsOf(cluster, PLATFORM), podsOf(cluster, TEAM)],
      ruleFiles: [join(ROOT, 'helm', 'tidemill', 'files', 'alerts.yaml')],
    });
  });
  after(() => installation[Symbol.asyncDispose]());

  test('before there is a consumer, helm test passes and names the step that it cannot try', async () => {
    const tested = await installation.cluster.mustHelm(['test', PLATFORM, '-n', PLATFORM, '--logs']);
    assert.match(tested, /skipped .*no consumer/i);
  });

  test('a pool of consumers and an applied object: it runs every second, in the namespace of the team', async (t) => {
    const startedAt = performance.now();
    await installation.pool(POOL, 'first');
    t.diagnostic(`a pool of 2 pods was ready after ${Math.round(performance.now() - startedAt)} ms`);
    const uids = await installation.schedule({ heartbeat: EVERY_SECOND });
    uid = uids.get('heartbeat') ?? '';
    const queue = installation.broker.queue(QUEUES.scheduled);
    await until('ten slots ran', async () => (await queue.inspect.stats()).retainedSucceeded >= 10);
    const shown = await installation.cluster.mustKubectl(['get', 'st', '-n', TEAM]);
    assert.match(shown, /heartbeat +tick .*True/);
  });

  test('helm test of both releases goes through every step', async () => {
    const { cluster } = installation;
    const platform = await cluster.mustHelm(['test', PLATFORM, '-n', PLATFORM, '--logs']);
    assert.doesNotMatch(platform, /failed/i);
    const pool = await cluster.mustHelm(['test', POOL, '-n', TEAM, '--logs']);
    for (const queue of Object.values(QUEUES)) assert.match(pool, new RegExp(`ok .*${queue}`));
  });

  test('in Prometheus the values are right, and what concerns all is there once', async (t) => {
    const { broker, cluster } = installation;
    await cluster.mustKubectl([
      'patch',
      'st',
      'heartbeat',
      '-n',
      TEAM,
      '--type=merge',
      '-p',
      '{"spec":{"suspend":true}}',
    ]);
    await cluster.mustKubectl([
      ...['wait', '-n', TEAM, 'st/heartbeat', '--timeout=30s'],
      '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Suspended',
    ]);
    const queue = broker.queue(QUEUES.scheduled);
    const [state] = await queue.schedules.states([uid]);
    assert.ok(state !== undefined && state.fired > 0);
    const valueOf = async (expression: string): Promise<number | undefined> =>
      (await prometheus.query(expression))[0]?.value;
    const counted = async (what: string, expression: string, wanted: number): Promise<void> => {
      let seen: number | undefined;
      const look = async (): Promise<boolean> => (seen = await valueOf(expression)) === wanted;
      await until(`${what} are counted`, look, { describe: () => `${String(seen)} instead of ${wanted}` });
    };
    const fired = 'sum(tidemill_schedule_fires_total{outcome="fired"})';
    await counted('the fired slots', fired, state.fired);
    const succeeded = 'sum(tidemill_runs_finished_total{task="tick",outcome="succeeded"})';
    await counted('each of their runs', succeeded, state.fired);
    t.diagnostic(`${state.fired} slots fired, ${await valueOf(succeeded)} runs succeeded`);

    const depths = await prometheus.query(
      `tidemill_queue_depth{queue="${QUEUES.scheduled}",state="pending"}`,
    );
    assert.deepEqual(
      depths.map(({ labels, value }) => [labels['pod'], value]),
      [[await installation.leader(), 0]],
    );
    assert.equal(await valueOf('sum(leader_election_master_status)'), 1);
    assert.equal(await valueOf('min(tidemill_redis_up)'), 1);
    const firing = (await prometheus.alerts()).filter(({ state: now }) => now === 'firing');
    assert.deepEqual(firing, []);
  });

  test('any replica of the controller tells the backlog of a queue', async () => {
    const { cluster } = installation;
    const pods = await installation.controllers();
    assert.ok(pods.length > 1, 'there are replicas');
    for (const pod of pods) {
      const path = `/api/v1/namespaces/${PLATFORM}/pods/${pod}:9464/proxy/scale/${QUEUES.scheduled}`;
      const scale: unknown = JSON.parse(await cluster.mustKubectl(['get', '--raw', path]));
      assert.ok(typeof scale === 'object' && scale !== null && 'backlog' in scale);
      assert.equal(scale.backlog, 0);
    }
  });

  test('consumers have no token of the API server, and nobody runs as root', async () => {
    const { cluster } = installation;
    const [pod = ''] = await installation.podsOf(POOL);
    const look = async (...command: readonly string[]) =>
      cluster.kubectl(['exec', '-n', TEAM, pod, '--', ...command]);
    assert.notEqual((await look('ls', '/var/run/secrets/kubernetes.io')).code, 0);
    assert.equal((await look('id', '-u')).stdout.trim(), '10001');
    assert.match((await look('touch', '/app/x')).stderr, /Read-only file system/);
    const controller = `--as=system:serviceaccount:${PLATFORM}:${CONTROLLER}`;
    const canI = async (what: string): Promise<string> =>
      (await cluster.kubectl(['auth', 'can-i', ...what.split(' '), '-A', controller])).stdout.trim();
    assert.equal(await canI('list scheduledtasks'), 'yes', 'this is the account that it has');
    for (const forbidden of [
      'get secrets',
      'list pods',
      'create pods',
      'update scheduledtasks',
      'delete leases',
    ])
      assert.equal(await canI(forbidden), 'no', forbidden);
  });

  test('uninstalling both leaves the CRD with its objects, and nothing else', async () => {
    const { cluster } = installation;
    await cluster.mustHelm(['uninstall', POOL, '-n', TEAM, '--wait']);
    await cluster.mustHelm(['uninstall', PLATFORM, '-n', PLATFORM, '--wait']);
    const kinds =
      'all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,persistentvolumeclaims';
    for (const namespace of [PLATFORM, TEAM]) {
      await cluster.until(`nothing is left in ${namespace}`, async () => {
        const left = await cluster.mustKubectl(['get', kinds, '-n', namespace, '-o', 'name']);
        return (
          left.trim().split('\n').sort().join(' ') === 'configmap/kube-root-ca.crt serviceaccount/default'
        );
      });
    }
    const ours = await cluster.mustKubectl([
      ...['get', 'clusterroles,clusterrolebindings', '-o', 'name'],
      ...['-l', `app.kubernetes.io/instance=${PLATFORM}`],
    ]);
    assert.equal(ours.trim(), '');
    const kept = await cluster.mustKubectl(['get', 'st', '-n', TEAM, '-o', 'name']);
    assert.match(kept, /heartbeat/);
  });
});
