/** Values that cannot work, which both Helms refuse with a sentence. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Chart, chartFolder, Helm, valuesOf } from '../../support/helm.ts';

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

describe('values that cannot work', () => {
  const REFUSED: readonly (readonly [Chart, readonly string[], RegExp])[] = [
    [
      'tidemill',
      ['--set', 'redis.url='],
      /a Redis is needed: set exactly one of redis\.url, redis\.existingSecret and redis\.dev/,
    ],
    ['tidemill', ['--set', 'redis.dev.enabled=true'], /more than one Redis is named/],
    [
      'tidemill',
      ['--set', 'redis.url=http://secret@x'],
      /redis\.url must be redis:\/\/\[user:password@\]host/,
    ],
    ['tidemill', ['--set', 'redis.sentinels={a:1}'], /needs redis\.sentinelName/],
    ['tidemill', ['--set', 'redis.sentinelName=a'], /needs redis\.sentinels/],
    [
      'tidemill',
      ['--set', 'redis.sentinels={a:1},redis.sentinelName=a,redis.cluster=true'],
      /exclude each other/,
    ],
    ['tidemill', ['--set', 'controller.replica=3'], /\/controller.*'replica' not allowed/],
    ['tidemill', ['--set', 'redis.dev.enable=true'], /\/redis\/dev.*'enable' not allowed/],
    ['tidemill', ['--set', 'queues.Sales.namespaces={a}'], /Sales/],
    ['tidemill', ['--set', 'queues.sales.namespace={a}'], /\/queues\/sales.*'namespace' not allowed/],
    ['tidemill', ['--set', 'queues.sales.namespaces={*,a}'], /\/queues\/sales\/namespaces/],
    ['tidemill', ['--set', 'logLevel=loud'], /\/logLevel.*'debug', 'info'/],
    [
      'tidemill',
      ['--set', 'controller.env.TIDEMILL_PREFIX=x'],
      /controller\.env\.TIDEMILL_PREFIX: the chart sets this variable itself/,
    ],
    [
      'tidemill',
      ['--set', 'controller.resources.limits.memory=lots'],
      /controller\.resources\.limits\.memory is "lots": write a number with a unit/,
    ],
    [
      'tidemill',
      [
        '--set',
        'observability.prometheusRule.enabled=true,observability.prometheusRule.disabledAlerts={Nope}',
      ],
      /there is no alert "Nope"; there are \w+/,
    ],
    [
      'tidemill-worker',
      ['--set', 'image.repository='],
      /image\.repository must name the image that holds your tasks/,
    ],
    [
      'tidemill',
      ['--set', 'controller.env.A.valueFrom.secretKeyRef.name=a'],
      /\/controller\/env\/A.*'valueFrom' not allowed/,
    ],
    ['tidemill', ['--set', 'redis.dev=null'], /\/redis'?: missing property 'dev'/],
    ['tidemill', ['--set', 'controller.replicas=null'], /\/controller'?: missing property 'replicas'/],
    [
      'tidemill',
      ['--set-json', 'commonLabels={"app.kubernetes.io/managed-by":"us"}'],
      /the label app\.kubernetes\.io\/managed-by: the chart sets it itself/,
    ],
    [
      'tidemill-worker',
      ['--set-json', 'podLabels={"app.kubernetes.io/component":"us"}'],
      /the label app\.kubernetes\.io\/component: the chart sets it itself/,
    ],
    ['tidemill-worker', ['--set', 'queues=null'], /missing property 'queues'/],
    [
      'tidemill-worker',
      ['--set', 'autoscaling.type=keda,autoscaling.minReplicas=11'],
      /minReplicas \(11\) is more than autoscaling\.maxReplicas \(10\)/,
    ],
    ['tidemill-worker', ['--set', 'image.tag='], /image\.tag must name the version/],
    ['tidemill-worker', ['--set', 'redis.url='], /set exactly one of redis\.url and redis\.existingSecret/],
    ['tidemill-worker', ['--set', 'queue=reports'], /'queue' not allowed/],
    ['tidemill-worker', ['--set', 'settings.leases=5s'], /\/settings.*'leases' not allowed/],
    [
      'tidemill-worker',
      ['--set', 'cpuConcurrency=8'],
      /resources\.limits\.memory is 1Gi for 9 processes .* too little/,
    ],
    [
      'tidemill-worker',
      ['--set', 'autoscaling.type=hpa,resources.requests.cpu=null'],
      /set resources\.requests\.cpu/,
    ],
    [
      'tidemill-worker',
      ['--set', 'autoscaling.type=hpa,autoscaling.minReplicas=0'],
      /only keda can start pods from none/,
    ],
  ];
  for (const [chart, args, message] of REFUSED) {
    test(`${chart} ${args.join(' ')} is refused with a sentence`, async () => {
      const command = ['template', 'rel', chartFolder(chart), ...valuesOf(chart, 'minimal'), ...args];
      for (const helm of [helm4, helm3]) {
        const { code, stderr } = await helm.run(command);
        assert.equal(code, 1);
        assert.match(stderr, message);
        assert.doesNotMatch(stderr, /secret@/);
      }
    });
  }

  test('a cluster that is too old is refused', async () => {
    const command = ['template', 'rel', chartFolder('tidemill'), ...valuesOf('tidemill', 'minimal')];
    const { code, stderr } = await helm4.run([...command, '--kube-version', 'v1.32.9']);
    assert.equal(code, 1);
    assert.match(stderr, />=1\.33\.0-0/);
    await helm4.must([...command, '--kube-version', 'v1.33.1-gke.100']);
  });
});
