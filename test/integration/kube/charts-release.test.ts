/** The life of a release on a real API server: install, upgrade, roll-back, uninstall, and the ways out that the notes name. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { chartFolder, Helm, valuesOf } from '../../support/helm.ts';
import { until } from '../../support/until.ts';

const CRD = 'scheduledtasks.tidemill.dev';
const CHART = chartFolder('tidemill');
const MINIMAL = valuesOf('tidemill', 'minimal');

let plane: ControlPlane;
let helm: Helm;
let helm3: Helm;
/** The chart as an older version might have been: without a field of the CRD. */
let older: string;
let namespace: string;
const NEWER_FIELD = 'maxCatchUp';

before(async () => {
  plane = await startControlPlane();
  helm = await Helm.open('helm', plane.adminKubeconfig);
  helm3 = await Helm.open('helm3', plane.adminKubeconfig);
  older = olderChart();
});
after(async () => {
  helm[Symbol.dispose]();
  helm3[Symbol.dispose]();
  rmSync(older, { recursive: true, force: true });
  await plane[Symbol.asyncDispose]();
});
beforeEach(async () => {
  namespace = await plane.namespace('mill');
});
afterEach(async () => {
  for (const name of (await helm.must(['list', '-q', '-n', namespace]))
    .split('\n')
    .filter((line) => line !== ''))
    await helm.must(['uninstall', name, '-n', namespace]);
  await plane.mustKubectl(['delete', 'crd', CRD, '--ignore-not-found', '--timeout=60s']);
});

function olderChart(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-older-chart-'));
  cpSync(CHART, folder, { recursive: true });
  const edit = (file: string, change: (text: string) => string): void => {
    const path = join(folder, file);
    const before = readFileSync(path, 'utf8');
    const after = change(before);
    assert.notEqual(after, before, file);
    writeFileSync(path, after);
  };
  edit('Chart.yaml', (text) =>
    text.replace(/^version: .*$/m, 'version: 0.0.9').replace(/^appVersion: .*$/m, 'appVersion: 0.0.9'),
  );
  edit('files/crd.yaml', withoutField);
  // A value that came later: what was set for the newer chart must not stop a way back.
  edit('values.schema.json', (text) => text.replaceAll('"heapMiB"', '"heapMib"'));
  edit('values.yaml', (text) => text.replace('heapMiB: auto', 'heapMib: auto'));
  edit('templates/controller-deployment.yaml', (text) =>
    text.replace('.Values.controller.heapMiB', '.Values.controller.heapMib'),
  );
  return folder;
}

/** Takes a field and the rules about it out of the text of the CRD. */
function withoutField(crd: string): string {
  const field = new RegExp(`^( +)${NEWER_FIELD}:\n(?:\\1 +.*\n)+`, 'm');
  const rule = new RegExp(`^( +)- rule: .*${NEWER_FIELD}.*\n(?:\\1 +.*\n)*`, 'gm');
  return crd.replace(field, '').replace(rule, '');
}

const install = (...args: readonly string[]): Promise<string> =>
  helm.must(['upgrade', '--install', 'mill', CHART, '-n', namespace, ...MINIMAL, ...args]);
const field = async (kind: string, name: string, path: string): Promise<string> =>
  plane.mustKubectl(['get', kind, name, '-n', namespace, '-o', `jsonpath={${path}}`, '--ignore-not-found']);
const crdHasField = async (): Promise<boolean> =>
  (await plane.mustKubectl(['get', 'crd', CRD, '-o', 'json'])).includes(`"${NEWER_FIELD}"`);
const makeSchedule = (name: string, more: object = {}): Promise<void> =>
  plane.apply([
    {
      apiVersion: 'tidemill.dev/v1alpha1',
      kind: 'ScheduledTask',
      metadata: { name, namespace },
      spec: { task: 'a', every: '1m', ...more },
    },
  ]);
const established = (): Promise<string> =>
  plane.mustKubectl(['wait', '--for=condition=Established', '--timeout=60s', `crd/${CRD}`]);

/** Everything of the release that is left, but the namespace's own. */
async function leftOvers(): Promise<readonly string[]> {
  const kinds =
    'deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies,clusterroles,clusterrolebindings,crds';
  const selector = 'app.kubernetes.io/part-of=tidemill';
  const found = await plane.mustKubectl(['get', kinds, '-A', '-l', selector, '-o', 'name']);
  return found.split('\n').filter((line) => line !== '');
}

describe('a release', () => {
  test('is installed, upgraded from an older version, rolled back, and uninstalled but for the CRD and its objects', async () => {
    await helm.must(['install', 'mill', older, '-n', namespace, ...MINIMAL]);
    await established();
    assert.equal(await crdHasField(), false);
    await makeSchedule('mine');
    const uid = await field('st', 'mine', '.metadata.uid');

    await install();
    assert.equal(await crdHasField(), true);
    const image = () =>
      field('deployment', 'mill-tidemill-controller', '.spec.template.spec.containers[0].image');
    const current = await image();

    await helm.must(['rollback', 'mill', '1', '-n', namespace]);
    assert.match(await image(), /:0\.0\.9$/);
    assert.equal(await crdHasField(), false);

    await install();
    assert.equal(await image(), current);
    await helm.must(['uninstall', 'mill', '-n', namespace]);
    assert.deepEqual(await leftOvers(), [`customresourcedefinition.apiextensions.k8s.io/${CRD}`]);
    assert.equal(await field('st', 'mine', '.metadata.uid'), uid);

    // The CRD that stayed is the release's own again.
    await install();
    assert.equal(await field('st', 'mine', '.metadata.uid'), uid);
  });

  test('takes its CRD along when crds.keep is off', async () => {
    await install('--set', 'crds.keep=false');
    await established();
    await helm.must(['uninstall', 'mill', '-n', namespace, '--wait']);
    await plane.mustKubectl(['wait', '--for=delete', '--timeout=60s', `crd/${CRD}`]);
    assert.deepEqual(await leftOvers(), []);
  });

  test('goes back to an older chart with the newer CRD, as the notes say', async () => {
    await install('--set', 'redis.prefix=shop');
    await established();
    await makeSchedule('mine', { concurrencyPolicy: 'Allow', missedRunPolicy: 'All', [NEWER_FIELD]: 7 });
    await helm.must([
      'upgrade',
      'mill',
      older,
      '-n',
      namespace,
      '--reset-then-reuse-values',
      '--set',
      'crds.install=false',
    ]);
    assert.equal(await crdHasField(), true);
    assert.match(
      await field('deployment', 'mill-tidemill-controller', '.spec.template.spec.containers[0].image'),
      /:0\.0\.9$/,
    );
    await plane.mustKubectl(['label', 'st', 'mine', '-n', namespace, 'touched=yes']);
    assert.equal(await field('st', 'mine', `.spec.${NEWER_FIELD}`), '7');
  });

  test('by a plain roll-back loses the field at the next write, which is what the notes warn of', async () => {
    await helm.must(['install', 'mill', older, '-n', namespace, ...MINIMAL]);
    await established();
    await install();
    await untilServed(true);
    await makeSchedule('mine', { concurrencyPolicy: 'Allow', missedRunPolicy: 'All', [NEWER_FIELD]: 7 });
    assert.equal(await field('st', 'mine', `.spec.${NEWER_FIELD}`), '7');
    await helm.must(['rollback', 'mill', '1', '-n', namespace]);
    await untilServed(false);
    await plane.mustKubectl(['label', 'st', 'mine', '-n', namespace, 'touched=yes']);
    await install();
    await untilServed(true);
    assert.notEqual(await field('st', 'mine', `.spec.${NEWER_FIELD}`), '7');
  });

  /** The API server takes a moment to serve a changed CRD. */
  async function untilServed(wanted: boolean): Promise<void> {
    await until(
      'the API server serves the changed CRD',
      async () => {
        const schemas = await plane.mustKubectl(['get', '--raw', '/openapi/v3/apis/tidemill.dev/v1alpha1']);
        return schemas.includes(`"${NEWER_FIELD}"`) === wanted;
      },
      { deadlineMs: 60_000 },
    );
  }

  test('of Helm 3 installs and uninstalls as well', async () => {
    await helm3.must(['install', 'mill', CHART, '-n', namespace, ...MINIMAL]);
    await established();
    assert.equal(await field('deployment', 'mill-tidemill-controller', '.spec.replicas'), '2');
    await helm3.must(['uninstall', 'mill', '-n', namespace]);
    assert.deepEqual(await leftOvers(), [`customresourcedefinition.apiextensions.k8s.io/${CRD}`]);
  });

  test('gives the account of the controller its rights and no others', async () => {
    await install();
    const account = `system:serviceaccount:${namespace}:mill-tidemill-controller`;
    const may = async (...question: readonly string[]): Promise<boolean> =>
      (await plane.kubectl(['auth', 'can-i', ...question, '--as', account])).stdout.trim() === 'yes';
    assert.ok(await may('watch', 'scheduledtasks.tidemill.dev', '-A'));
    assert.ok(await may('update', 'leases/mill-tidemill-controller', '-n', namespace));
    assert.equal(await may('update', 'leases/other', '-n', namespace), false);
    assert.equal(await may('update', 'scheduledtasks.tidemill.dev', '-A'), false);
    assert.equal(await may('get', 'secrets', '-n', namespace), false);
    assert.equal(await may('list', 'pods', '-n', namespace), false);
  });
});

describe('the remedies of the notes', () => {
  test('a CRD that kubectl had applied: "invalid ownership metadata", then --take-ownership', async () => {
    await plane.applyCrd();
    const command = ['upgrade', '--install', 'mill', CHART, '-n', namespace, ...MINIMAL];
    const refused = await helm.run(command);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /invalid ownership metadata/);
    await helm.must([...command, '--take-ownership']);
    assert.equal(await field('crd', CRD, '.metadata.annotations.meta\\.helm\\.sh/release-name'), 'mill');
  });

  test('a field that another manager set: a conflict, then --force-conflicts', async () => {
    await install();
    const edited = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'mill-tidemill-controller', namespace },
      spec: { replicas: 5 },
    };
    await plane.mustKubectl(
      ['apply', '--server-side', '--force-conflicts', '--field-manager=somebody', '-f', '-'],
      JSON.stringify(edited),
    );
    const command = ['upgrade', 'mill', CHART, '-n', namespace, ...MINIMAL, '--set', 'controller.replicas=3'];
    const refused = await helm.run(command);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /conflict with "somebody"[^]*\.spec\.replicas/);
    await helm.must([...command, '--force-conflicts']);
    assert.equal(await field('deployment', 'mill-tidemill-controller', '.spec.replicas'), '3');
  });
});

describe('a pool', () => {
  test('keeps the number of pods that its autoscaler set, through an upgrade', async () => {
    const command = ['upgrade', '--install', 'pool', chartFolder('tidemill-worker'), '-n', namespace];
    const values = valuesOf('tidemill-worker', 'hpa');
    await helm.must([...command, ...values]);
    await plane.mustKubectl(['scale', 'deployment/pool', '-n', namespace, '--replicas=7']);
    await helm.must([...command, ...values, '--set', 'concurrency=50']);
    assert.equal(await field('deployment', 'pool', '.spec.replicas'), '7');
    assert.match(
      await field('deployment', 'pool', '.spec.template.spec.containers[0].env'),
      /"TIDEMILL_CONCURRENCY","value":"50"/,
    );
    await helm.must(['uninstall', 'pool', '-n', namespace]);
    assert.deepEqual(await leftOvers(), []);
  });
});
