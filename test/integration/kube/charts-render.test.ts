/** What the charts render, by Helm 4 and Helm 3. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import {
  COMMAND_SETTINGS,
  CONSUMER_RULES,
  ConsumerSettings,
  ControllerSettings,
} from '../../../src/cli/settings.ts';
import { parseQueuesFile } from '../../../src/cli/queues-file.ts';
import { REDIS_RULES } from '../../../src/cli/redis-settings.ts';
import { controllerRules, doctorRules, rbacObjects } from '../../../src/kube/rbac.ts';
import { readSettings, variablesOf } from '../../../src/runtime/config.ts';
import {
  type Chart,
  chartFolder,
  CHARTS,
  Helm,
  type KubeObject,
  objectsIn,
  SETS,
  valueSets,
  valuesOf,
} from '../../support/helm.ts';
import { Deployment, only, podOf, variables } from '../../support/rendered-objects.ts';

let helm4: Helm;
let helm3: Helm;
before(async () => {
  helm4 = await Helm.open('helm');
  helm3 = await Helm.open('helm3');
});
after(() => {
  helm4[Symbol.dispose]();
  helm3[Symbol.dispose]();
});

const rendered = (chart: Chart, args: readonly string[]): Promise<readonly KubeObject[]> =>
  helm4.objects(chart, args);

describe('the charts', () => {
  test('have six sets of values each', () => {
    for (const chart of CHARTS) assert.equal(valueSets(chart).length, 6);
  });

  for (const { chart, set } of SETS) {
    test(`${chart} with the values "${set}" passes lint, and Helm 3 renders what Helm 4 does`, async () => {
      const values = valuesOf(chart, set);
      for (const helm of [helm4, helm3]) await helm.must(['lint', '--strict', chartFolder(chart), ...values]);
      const by4 = await rendered(chart, values);
      assert.ok(by4.length > 1);
      assert.deepEqual(await helm3.objects(chart, values), by4);
    });

    test(`${chart} with the values "${set}" has settings that the process takes`, async () => {
      const deployments = (await rendered(chart, valuesOf(chart, set))).filter(
        ({ kind, metadata }) =>
          kind === 'Deployment' && metadata.labels?.['app.kubernetes.io/component'] !== 'redis-dev',
      );
      const pod = podOf(deployments[0] ?? assert.fail());
      const names = pod.containers[0]?.env.map(({ name }) => name) ?? [];
      assert.equal(new Set(names).size, names.length, 'a variable stands twice');
      const environment = variables(pod);
      const settings = chart === 'tidemill' ? ControllerSettings : ConsumerSettings;
      const read = readSettings(settings, chart === 'tidemill' ? REDIS_RULES : CONSUMER_RULES, {
        flags: {},
        environment: {
          ...environment,
          ...(environment['TIDEMILL_REDIS_URL'] === 'of-a-secret' && {
            TIDEMILL_REDIS_URL: 'rediss://redis:6379',
          }),
        },
        readFile: () => '',
        knownVariables: variablesOf(Object.values(COMMAND_SETTINGS)),
        didYouMean: () => '',
      });
      assert.equal(read.prefix, environment['TIDEMILL_PREFIX']);
    });
  }

  test('write names of digits as texts', async () => {
    const names = [
      ...['-n', '2024', '--set-string', 'redis.url=,redis.existingSecret=555'],
      ...['--set-json', 'podLabels={"tier":"1"}', '--set', 'serviceAccount.create=true'],
    ];
    for (const [chart, args] of [
      ['tidemill-worker', names],
      [
        'tidemill',
        [
          ...[...names.slice(0, 4), '--set-string', 'install=77'],
          ...['--set-json', 'watchNamespaces=["1","2"],queues={"123":{"namespaces":["1"]}}'],
        ],
      ],
    ] as const) {
      const command = ['template', '42', chartFolder(chart), ...valuesOf(chart, 'minimal'), ...args];
      const objects = objectsIn(await helm4.must(command));
      const deployment = Deployment.parse(objects.find(({ kind }) => kind === 'Deployment'));
      variables(deployment.spec.template.spec);
      assert.equal(objects.find(({ kind }) => kind === 'Deployment')?.metadata.namespace, '2024');
    }
  });

  test('take a list or a map that was left empty, as `env:` with nothing under it, for none', async () => {
    const nothing = (...paths: readonly string[]) => ['--set', paths.map((path) => `${path}=null`).join(',')];
    const ofPods = ['env', 'podLabels', 'podAnnotations', 'tolerations', 'resources', 'affinity'];
    await rendered('tidemill', [
      ...valuesOf('tidemill', 'minimal'),
      ...nothing('watchNamespaces', 'commonLabels', 'redis.sentinels', 'redis.existingSecret'),
      ...nothing(...ofPods.map((path) => `controller.${path}`)),
    ]);
    await rendered('tidemill-worker', [
      ...valuesOf('tidemill-worker', 'minimal'),
      ...nothing('settings', 'strategy', 'volumes', 'envFrom', 'commonLabels', ...ofPods),
    ]);
  });

  test('write no label twice: those of an object win over the common ones', async () => {
    const labels = (...args: readonly string[]) => ['--set-json', args.join(',')];
    const worker = await rendered('tidemill-worker', [
      ...valuesOf('tidemill-worker', 'minimal'),
      ...labels(
        'commonLabels={"release":"a","app.kubernetes.io/part-of":"shop"}',
        'podLabels={"release":"b"}',
      ),
      ...labels('podMonitor={"enabled":true,"labels":{"release":"c"}}'),
    ]);
    assert.equal(only(worker, 'Deployment').metadata.labels?.['app.kubernetes.io/part-of'], 'shop');
    assert.equal(only(worker, 'PodMonitor').metadata.labels?.['release'], 'c');
    const controller = await rendered('tidemill', [
      ...valuesOf('tidemill', 'everything'),
      ...labels(
        'commonLabels={"release":"a","grafana_dashboard":"0"}',
        'controller.podLabels={"release":"b"}',
      ),
    ]);
    assert.equal(only(controller, 'ServiceMonitor').metadata.labels?.['release'], 'prometheus');
  });

  test('lint without any values', async () => {
    for (const chart of CHARTS) await helm4.must(['lint', '--strict', chartFolder(chart)]);
  });
});

describe('the rights', () => {
  const RBAC = /^(ServiceAccount|(Cluster)?Role(Binding)?)$/;
  const bare = ({ apiVersion, kind, metadata: { name, namespace }, ...rest }: KubeObject): object => {
    const { automountServiceAccountToken: _, ...more } = rest;
    return { apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }) }, ...more };
  };
  const byName = (a: object, b: object): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

  for (const watchNamespaces of [[], ['team-a', 'team-b']]) {
    test(`of a controller of ${watchNamespaces.join(' and ') || 'all namespaces'} are those of tidemill rbac`, async () => {
      const objects = await rendered('tidemill', [
        ...valuesOf('tidemill', 'minimal'),
        ...['--set-json', `watchNamespaces=${JSON.stringify(watchNamespaces)}`],
      ]);
      const own = objects.filter(
        ({ kind, metadata }) =>
          RBAC.test(kind) && metadata.labels?.['app.kubernetes.io/component'] === 'controller',
      );
      const account = 'rel-tidemill-controller';
      const wanted = rbacObjects({
        namespace: 'mill',
        serviceAccount: account,
        leaseName: account,
        watchNamespaces,
      });
      assert.deepEqual(
        own.map(bare).toSorted(byName),
        JSON.parse(JSON.stringify([...wanted].toSorted(byName))),
      );
    });
  }

  test('of the test pod are those that doctor needs', async () => {
    const objects = await rendered('tidemill', valuesOf('tidemill', 'minimal'));
    const { lease, crd } = doctorRules('rel-tidemill-controller');
    assert.deepEqual(only(objects, 'Role', 'rel-tidemill-test')['rules'], lease);
    assert.deepEqual(only(objects, 'ClusterRole', 'mill:rel-tidemill-test')['rules'], crd);
  });

  test('with watched namespaces there is no ClusterRole, once rbac.aggregate is off', async () => {
    const objects = await rendered('tidemill', valuesOf('tidemill', 'namespaced'));
    assert.deepEqual(
      objects.filter(({ kind }) => kind.startsWith('Cluster')),
      [],
    );
  });

  test('of people: view reads, edit writes, and neither writes a status', async () => {
    const Rules = z.array(z.object({ resources: z.array(z.string()), verbs: z.array(z.string()) }));
    const objects = await rendered('tidemill', valuesOf('tidemill', 'minimal'));
    const view = Rules.parse(only(objects, 'ClusterRole', 'mill:rel-tidemill-view')['rules']);
    const edit = Rules.parse(only(objects, 'ClusterRole', 'mill:rel-tidemill-edit')['rules']);
    assert.deepEqual(
      view.flatMap(({ verbs }) => verbs),
      ['get', 'list', 'watch'],
    );
    assert.deepEqual(
      edit.flatMap(({ resources }) => resources),
      ['scheduledtasks'],
    );
  });

  test('consumers have none, and no token', async () => {
    for (const set of valueSets('tidemill-worker')) {
      const objects = await rendered('tidemill-worker', valuesOf('tidemill-worker', set));
      assert.deepEqual(
        objects.filter(({ kind }) => /Role/.test(kind)),
        [],
      );
      assert.equal(podOf(only(objects, 'Deployment')).automountServiceAccountToken, false);
    }
  });

  test('of the controller reach no Secret', () => {
    assert.ok(controllerRules('x').objects.every(({ resources }) => !resources.includes('secrets')));
  });
});

describe('the controller', () => {
  test('reads a queues file that says what the values say', async () => {
    const Config = z.looseObject({ data: z.object({ 'queues.yaml': z.string() }) });
    const queuesOf = async (...args: readonly string[]) => {
      const objects = await rendered('tidemill', [...valuesOf('tidemill', 'minimal'), ...args]);
      const config = Config.parse(only(objects, 'ConfigMap', 'rel-tidemill-queues'));
      return parseQueuesFile(config.data['queues.yaml'], 'queues.yaml');
    };
    const own = { name: 'default', namespaces: ['mill'], tasks: ['*'] };
    assert.deepEqual(await queuesOf(), { queues: [own] });
    assert.deepEqual(await queuesOf('--set', 'queues.sales.namespaces={sales},queues.sales.tasks={a,b}'), {
      queues: [own, { name: 'sales', namespaces: ['sales'], tasks: ['a', 'b'] }],
    });
    assert.deepEqual(await queuesOf('--set', 'queues.default=null'), { queues: [] });
    assert.deepEqual(await queuesOf('--set-json', 'queues={"default":null,"gone":null}'), { queues: [] });
    assert.deepEqual(await queuesOf('--set-json', 'queues={"default":null,"sales":{}}'), {
      queues: [{ name: 'sales', namespaces: ['mill'], tasks: ['*'] }],
    });
  });

  test('has a budget for disruptions only with more than one replica', async () => {
    const kinds = async (replicas: number) => {
      const args = [...valuesOf('tidemill', 'minimal'), '--set', `controller.replicas=${replicas}`];
      return (await rendered('tidemill', args)).map(({ kind }) => kind);
    };
    assert.ok((await kinds(2)).includes('PodDisruptionBudget'));
    assert.ok(!(await kinds(1)).includes('PodDisruptionBudget'));
  });

  test('gets no secret as an argument or a plain variable', async () => {
    for (const { chart, set } of SETS) {
      for (const object of await rendered(chart, valuesOf(chart, set))) {
        if (object.kind !== 'Deployment' && object.kind !== 'Pod') continue;
        const text = JSON.stringify(object);
        assert.doesNotMatch(text, /"rediss:|redis:\/\/redis\.example|"value":"[^"]*password/i);
      }
    }
  });

  test('is restarted by another address, not by another queue', async () => {
    const pod = async (...args: readonly string[]) =>
      Deployment.parse(
        only(await rendered('tidemill', [...valuesOf('tidemill', 'minimal'), ...args]), 'Deployment'),
      ).spec.template;
    const untouched = await pod();
    assert.deepEqual(await pod('--set', 'queues.more.namespaces={a}'), untouched);
    assert.notDeepEqual(await pod('--set', 'redis.url=redis://other:6379'), untouched);
  });
});
