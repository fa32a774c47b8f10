/** What the charts render, as kubeconform and a real API server see it: every field known, and Pod Security content. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { z } from 'zod';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { moduleSources, program } from '../../programs/programs.ts';
import {
  type Chart,
  chartFolder,
  Helm,
  type KubeObject,
  objectsIn,
  SETS,
  valuesOf,
} from '../../support/helm.ts';
import { ROOT } from '../../support/markdown.ts';
import { openapiSchemas } from '../../support/openapi-schemas.ts';
import { until } from '../../support/until.ts';

let plane: ControlPlane;
let helm: Helm;
let kubeconform: string;
let schemas: string;
const CRD = 'crd/scheduledtasks.tidemill.dev';

before(async () => {
  plane = await startControlPlane();
  helm = await Helm.open('helm');
  kubeconform = await program('kubeconform');
  await plane.applyCrd();
  await plane.mustKubectl([
    'apply',
    '--server-side',
    '-f',
    join(ROOT, 'test/fixtures/kube-monitoring-crds.yaml'),
  ]);
  const keda = join(await moduleSources('keda'), 'config/crd/bases/keda.sh_scaledobjects.yaml');
  await plane.mustKubectl(['apply', '--server-side', '-f', keda]);
  for (const name of ['scaledobjects.keda.sh', 'prometheusrules.monitoring.coreos.com'])
    await plane.mustKubectl(['wait', '--for=condition=Established', '--timeout=60s', `crd/${name}`]);
  // What pods may name, and the API server looks for.
  await plane.apply(
    ['mill', 'team-a', 'team-b'].map((name) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name,
        labels: Object.fromEntries(
          ['enforce', 'warn', 'audit'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
        ),
      },
    })),
  );
  await plane.apply([
    { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'gvisor' }, handler: 'runsc' },
  ]);
  await plane.apply([
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'mill' } },
  ]);
  await publishesCustomKinds();
  schemas = await openapiSchemas((path) => plane.mustKubectl(['get', '--raw', path]));
});
after(async () => {
  helm[Symbol.dispose]();
  await plane[Symbol.asyncDispose]();
  await rm(dirname(schemas), { recursive: true, force: true });
});

/** The API server publishes the schema of a CRD a moment after it serves it. */
async function publishesCustomKinds(): Promise<void> {
  const groups = ['tidemill.dev/v1alpha1', 'keda.sh/v1alpha1', 'monitoring.coreos.com/v1'];
  await until(
    'the API server publishes the custom kinds',
    async () => {
      const paths = await plane.mustKubectl(['get', '--raw', '/openapi/v3']);
      return groups.every((group) => paths.includes(group));
    },
    { deadlineMs: 60_000 },
  );
}

/** @returns what it has against the objects */
function conform(text: string): Promise<string> {
  const args = ['-strict', '-summary', '-schema-location', schemas, '-output', 'json', '-'];
  return new Promise((resolve) => {
    const child = execFile(kubeconform, args, { maxBuffer: 64 * 1_024 ** 2 }, (error, stdout, stderr) =>
      resolve(error === null ? '' : `${stdout}${stderr}`),
    );
    child.stdin?.end(text);
  });
}

const listOf = (items: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
const isPod = ({ kind }: KubeObject): boolean => kind === 'Deployment' || kind === 'Pod';

const Template = z.looseObject({ spec: z.record(z.string(), z.unknown()) });
const WithTemplate = z.looseObject({ spec: z.looseObject({ template: Template }) });

/** Pods by themselves: for a Deployment, Pod Security only warns. */
function podsOf(objects: readonly KubeObject[]): readonly object[] {
  return objects.filter(isPod).map((object) => {
    const { spec } =
      object.kind === 'Pod' ? Template.parse(object) : WithTemplate.parse(object).spec.template;
    const { name, namespace } = object.metadata;
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `${name}-alone`, namespace },
      // The accounts are made by the release, and this is a dry run.
      spec: { ...spec, serviceAccountName: 'default' },
    };
  });
}

describe('the API server itself', () => {
  test('is what kubeconform goes by: a stray field, a wrong type and a bad schedule are found', async () => {
    const bad = [
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { port: [] } },
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a' }, spec: { replicas: 'two' } },
      {
        apiVersion: 'tidemill.dev/v1alpha1',
        kind: 'ScheduledTask',
        metadata: { name: 'a' },
        spec: { task: 'a', evry: '1m' },
      },
      { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', metadata: { name: 'a' }, spec: {} },
      { apiVersion: 'v1', kind: 'Nonsense', metadata: { name: 'a' } },
    ];
    for (const object of bad) assert.notEqual(await conform(stringify(object)), '', object.kind);
  });
});

describe('a namespace with Pod Security "restricted"', () => {
  for (const { chart, set } of SETS) {
    test(`takes ${chart} with the values "${set}" without a warning, and kubeconform has nothing against it`, async () => {
      const text = await helm.template(chart, valuesOf(chart, set));
      assert.equal(await conform(text), '');
      const objects = objectsIn(text);
      const applied = await plane.kubectl(
        ['apply', '--server-side', '--dry-run=server', '--force-conflicts', '-f', '-'],
        listOf(objects.filter(({ kind }) => kind !== 'Pod')),
      );
      assert.deepEqual({ code: applied.code, stderr: applied.stderr }, { code: 0, stderr: '' });
      const pods = podsOf(objects);
      assert.ok(pods.length > 1);
      const alone = await plane.kubectl(['create', '--dry-run=server', '-f', '-'], listOf(pods));
      assert.deepEqual({ code: alone.code, stderr: alone.stderr }, { code: 0, stderr: '' });
    });
  }

  test('refuses a pod without these settings, so that the test above can fail', async () => {
    const spec = {
      containers: [{ name: 'a', image: 'a' }],
      serviceAccountName: 'default',
      automountServiceAccountToken: false,
    };
    const { code, stderr } = await plane.kubectl(
      ['create', '--dry-run=server', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'mill' }, spec }),
    );
    assert.equal(code, 1);
    assert.match(stderr, /violates PodSecurity "restricted/);
  });
});

describe('the notes', () => {
  test('of each value set show a ScheduledTask that the API server takes', async () => {
    for (const { chart, set } of SETS) {
      const notes = await notesOf(chart, set);
      const [, manifest = ''] = /<<EOF\n([^]*?)\n +EOF/.exec(notes) ?? [];
      const indent = /^ */.exec(manifest)?.[0].length ?? 0;
      const yaml = manifest.replaceAll(new RegExp(`^ {${indent}}`, 'gm'), '');
      assert.equal(await conform(yaml), '', `${chart} ${set}: ${yaml}`);
      await plane.mustKubectl(['apply', '--dry-run=server', '-f', '-'], yaml);
    }
    await plane.mustKubectl(['get', CRD]);
  });

  const notesOf = async (chart: Chart, set: string, more: readonly string[] = []): Promise<string> => {
    const args = [
      'install',
      'rel',
      chartFolder(chart),
      '-n',
      'mill',
      '--dry-run=client',
      ...valuesOf(chart, set),
      ...more,
    ];
    const [, notes = ''] = (await helm.must(args)).split('\nNOTES:\n');
    return notes;
  };

  test('warn of what is not for production, and of nothing else', async () => {
    assert.match(
      await notesOf('tidemill', 'dev-redis'),
      /Warnings\n {2}- The Redis of this release is for development only.*\n[^]*1 replica: while it is replaced/,
    );
    const namespaced = await notesOf('tidemill', 'namespaced');
    assert.match(namespaced, /crds\.install is false/);
    assert.match(namespaced, /as they are here: redis\.caConfigMap, redis\.cluster\.\n/);
    assert.doesNotMatch(namespaced, /is among watchNamespaces/);
    const unserved = await notesOf('tidemill', 'minimal', ['--set', 'watchNamespaces={team}']);
    assert.match(
      unserved,
      /Warnings\n {2}- No namespace of these queues is among watchNamespaces.*: default\./,
    );
    assert.doesNotMatch(await notesOf('tidemill', 'ha'), /Warnings/);
    assert.match(await notesOf('tidemill', 'ha'), /--take-ownership[^]*--force-conflicts[^]*drop these\n/);
    assert.match(await notesOf('tidemill-worker', 'keda'), /minReplicas is 0/);
  });
});
