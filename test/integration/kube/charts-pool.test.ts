/** What a release of tidemill-worker makes of its values. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { Helm, type KubeObject, valuesOf } from '../../support/helm.ts';
import { Deployment, only, podOf, variables } from '../../support/rendered-objects.ts';

let helm4: Helm;
before(async () => {
  helm4 = await Helm.open('helm');
});
after(() => {
  helm4[Symbol.dispose]();
});

/** The objects of a pool with a set of values, and with what is set beside it. */
const poolOf = (set: string, ...args: readonly string[]): Promise<readonly KubeObject[]> =>
  helm4.objects('tidemill-worker', [...valuesOf('tidemill-worker', set), ...args]);
const consumerOf = async (...args: readonly string[]) =>
  podOf(only(await poolOf('minimal', ...args), 'Deployment'));

describe('a pool', () => {
  test('has its grace period from drain and kill grace', async () => {
    assert.equal((await consumerOf()).terminationGracePeriodSeconds, 40);
    const patient = await consumerOf('--set', 'drainSeconds=600,killGraceSeconds=30');
    assert.equal(patient.terminationGracePeriodSeconds, 640);
    assert.equal(variables(patient)['TIDEMILL_DRAIN'], '600s');
  });

  test('takes its CPU-bound concurrency from the limit, else the request, rounded up', async () => {
    const cpu = async (...args: readonly string[]) =>
      variables(await consumerOf('--set', 'resources.limits.memory=8Gi', ...args))[
        'TIDEMILL_CPU_CONCURRENCY'
      ];
    assert.equal(await cpu(), '1');
    assert.equal(await cpu('--set', 'resources.limits.cpu=2500m'), '3');
    assert.equal(await cpu('--set-string', 'resources.requests.cpu=4'), '4');
    assert.equal(await cpu('--set', 'cpuConcurrency=0'), '0');
  });

  test('shares the memory limit among the consumer and its children', async () => {
    const heap = async (...args: readonly string[]) => {
      const of = variables(await consumerOf(...args));
      return [of['NODE_OPTIONS'], of['TIDEMILL_CHILD_HEAP']];
    };
    assert.deepEqual(await heap(), ['--max-old-space-size=336 --max-semi-space-size=16', '336MiB']);
    assert.deepEqual(await heap('--set', 'resources.limits.memory=4G,cpuConcurrency=3'), [
      '--max-old-space-size=667 --max-semi-space-size=16',
      '667MiB',
    ]);
    assert.deepEqual(await heap('--set', 'resources.limits.memory=1.5Gi'), [
      '--max-old-space-size=528 --max-semi-space-size=16',
      '528MiB',
    ]);
    assert.deepEqual(await heap('--set-json', 'resources.limits.memory=1073741824'), await heap());
    assert.deepEqual(await heap('--set', 'resources.limits.memory=null'), [undefined, undefined]);
    assert.deepEqual(await heap('--set', 'env.NODE_OPTIONS=--x'), ['--x', '336MiB']);
  });

  test('restricts children, and says what they may do besides', async () => {
    const of = variables(
      await consumerOf(
        '--set-json',
        'settings={"childRestricted":true,"childRead":"/data,/etc/ssl","childAllow":"wasi"}',
      ),
    );
    assert.deepEqual(
      [of['TIDEMILL_CHILD_RESTRICTED'], of['TIDEMILL_CHILD_READ'], of['TIDEMILL_CHILD_ALLOW']],
      ['true', '/data,/etc/ssl', 'wasi'],
    );
  });

  test('writes numbers as they were given', async () => {
    const of = variables(
      await consumerOf(
        '--set-json',
        'env={"BIG":5000000,"HALF":0.5,"YES":true},settings={"maxPending":5000000}',
      ),
    );
    assert.deepEqual([of['BIG'], of['HALF'], of['YES']], ['5000000', '0.5', 'true']);
    assert.equal(of['TIDEMILL_MAX_PENDING'], '5000000');
  });

  test('takes a tag that looks like a number for what it says, and refuses one that YAML would change', async () => {
    const image = async (...args: readonly string[]): Promise<unknown> =>
      Reflect.get((await consumerOf(...args)).containers[0] ?? {}, 'image');
    assert.equal(await image('--set', 'image.tag=20261124'), 'registry.example.org/my-worker:20261124');
    assert.equal(await image('--set-json', 'image.tag=20261124'), 'registry.example.org/my-worker:20261124');
    await assert.rejects(image('--set-json', 'image.tag=1.1'), /\/image\/tag.*got number, want/);
  });

  test('that is to be recreated has no settings of a rolling update', async () => {
    const objects = await poolOf('minimal', '--set', 'strategy.type=Recreate');
    const { spec } = Deployment.parse(only(objects, 'Deployment'));
    assert.deepEqual(spec['strategy'], { type: 'Recreate' });
  });

  test('leaves the number of its pods to the autoscaler', async () => {
    const replicas = async (set: string) =>
      Deployment.parse(only(await poolOf(set), 'Deployment')).spec.replicas;
    assert.equal(await replicas('minimal'), 2);
    assert.equal(await replicas('hpa'), undefined);
    assert.equal(await replicas('keda'), undefined);
  });

  test('is scaled by the scale endpoint, with one trigger for each queue', async () => {
    const Scaled = z.looseObject({
      spec: z.looseObject({
        minReplicaCount: z.number(),
        triggers: z.array(
          z.object({ type: z.string(), metricType: z.string(), metadata: z.record(z.string(), z.string()) }),
        ),
      }),
    });
    const { spec } = Scaled.parse(only(await poolOf('keda'), 'ScaledObject'));
    assert.equal(spec.minReplicaCount, 0);
    assert.deepEqual(
      spec.triggers.map(({ metadata }) => metadata),
      ['default', 'reports'].map((queue) => ({
        url: `http://tidemill-controller.tidemill.svc:9464/scale/${queue}?lookAheadSeconds=30`,
        valueLocation: 'backlog',
        targetValue: '20',
      })),
    );
  });
});
