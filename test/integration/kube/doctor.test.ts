/** `tidemill doctor --kubernetes` on a real API server, with exactly the rights that are documented for it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { connectKube } from '../../../src/kube/connect.ts';
import { LeaseApi } from '../../../src/kube/lease-api.ts';
import { doctorRules } from '../../../src/kube/rbac.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { tidemill } from '../../support/fake-io.ts';
import { until } from '../../support/until.ts';

const LEASE = 'tidemill-controller';
const ACCOUNT = 'doctor';

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly message: string;
}

const KUBE_CHECKS: readonly string[] = ['api-server', 'crd', 'crd-schema', 'lease'];

describe('doctor --kubernetes', () => {
  let plane: ControlPlane;
  let namespace: string;
  let kubeconfig: string;
  /** May read the Lease, and not the CRD. */
  let lesser: string;

  const roles = (account: string, withCrd: boolean): readonly object[] => {
    const { lease, crd } = doctorRules(LEASE);
    const subjects = [{ kind: 'ServiceAccount', name: account, namespace }];
    const apiGroup = 'rbac.authorization.k8s.io';
    const metadata = { name: account, namespace };
    const own = [
      { apiVersion: `${apiGroup}/v1`, kind: 'Role', metadata, rules: lease },
      {
        ...{ apiVersion: `${apiGroup}/v1`, kind: 'RoleBinding', metadata, subjects },
        roleRef: { apiGroup, kind: 'Role', name: account },
      },
    ];
    if (!withCrd) return own;
    return [
      ...own,
      { apiVersion: `${apiGroup}/v1`, kind: 'ClusterRole', metadata: { name: account }, rules: crd },
      {
        ...{
          apiVersion: `${apiGroup}/v1`,
          kind: 'ClusterRoleBinding',
          metadata: { name: account },
          subjects,
        },
        roleRef: { apiGroup, kind: 'ClusterRole', name: account },
      },
    ];
  };

  const examined = async (
    config: string,
    ...args: readonly string[]
  ): Promise<{ readonly code: number; readonly found: readonly Finding[] }> => {
    const { code, json } = await tidemill([
      'doctor',
      '--kubernetes',
      '--kubeconfig',
      config,
      ...args,
      '--json',
    ]);
    const { findings } = json() as { findings: readonly Finding[] };
    return { code, found: findings.filter(({ check }) => KUBE_CHECKS.includes(check)) };
  };

  const results = (found: readonly Finding[]): readonly string[] =>
    found.map(({ check, result }) => `${check} ${result}`);

  const messageOf = (found: readonly Finding[], name: string): string =>
    found.find(({ check }) => check === name)?.message ?? '';

  /** Writes the Lease as a controller whose clock is off would. */
  const holdLease = async (holder: string, clockOffsetMs = 0): Promise<void> => {
    await using connection = connectKube({ kubeconfig: plane.adminKubeconfig, clock: systemClock });
    const leases = new LeaseApi(connection, { namespace, name: LEASE });
    const nowMs = systemClock.now() + clockOffsetMs;
    const record = { holder, leaseMs: 15_000, transitions: 0, renewedAtMs: nowMs, acquiredAtMs: nowMs };
    assert.notEqual(await leases.write(record, await leases.read()), 'conflict');
  };

  before(async () => {
    plane = await startControlPlane();
    namespace = await plane.namespace('doctor');
    ({ kubeconfig } = await plane.serviceAccount(namespace, ACCOUNT, roles(ACCOUNT, true)));
    ({ kubeconfig: lesser } = await plane.serviceAccount(namespace, 'lesser', roles('lesser', false)));
    // The authorizer learns of new roles a moment after they were made.
    await until('both accounts have their rights', async () => {
      const [full, less] = [await examined(kubeconfig), await examined(lesser)];
      const isAllowed = ({ message }: Finding): boolean => !message.startsWith('not allowed');
      return (
        full.found.every(isAllowed) && less.found.filter(({ check }) => check === 'lease').every(isAllowed)
      );
    });
  });
  after(() => plane[Symbol.asyncDispose]());

  test('before anything is installed: names the CRD and the Lease, and what to do', async () => {
    const { code, found } = await examined(kubeconfig);
    assert.equal(code, 1);
    assert.deepEqual(results(found), ['api-server ok', 'crd failed', 'crd-schema skipped', 'lease failed']);
    assert.match(messageOf(found, 'api-server'), /^https:\/\/127\.0\.0\.1:\d+ answers: Kubernetes v1\.\d+\./);
    assert.match(
      messageOf(found, 'crd'),
      /is not served: install the CRD with `tidemill crd \| kubectl apply/,
    );
    assert.match(
      messageOf(found, 'lease'),
      new RegExp(`^there is no Lease ${namespace}/${LEASE}: no controller has ever led by that name`),
    );
  });

  test('with the CRD and a controller that leads, all is well; without the right to read the CRD that step is skipped', async () => {
    await plane.applyCrd();
    await holdLease('pod-1_abc');
    const { code, found } = await examined(kubeconfig);
    assert.deepEqual(
      results(found),
      ['api-server ok', 'crd ok', 'crd-schema ok', 'lease ok'],
      JSON.stringify(found),
    );
    assert.equal(code, 0);
    assert.match(
      messageOf(found, 'lease'),
      new RegExp(`^Lease ${namespace}/${LEASE}: pod-1_abc, renewed \\S+ ago$`),
    );
    const less = await examined(lesser);
    assert.equal(less.code, 0);
    assert.deepEqual(results(less.found), ['api-server ok', 'crd ok', 'crd-schema skipped', 'lease ok']);
    assert.match(messageOf(less.found, 'crd-schema'), /^not allowed to read the CRD/);
  });

  test('a Lease in another namespace than the rights are for is not readable, and that is said', async () => {
    const { code, found } = await examined(kubeconfig, '--lease-namespace', 'default');
    assert.equal(code, 1);
    assert.match(
      messageOf(found, 'lease'),
      /^not allowed to read Lease default\/tidemill-controller: it takes the verb get/,
    );
  });

  test('a holder that has died is told from one whose clock is wrong by whether the Lease is renewed', async () => {
    await holdLease('slow-clock_1', -600_000);
    const dead = await examined(kubeconfig);
    assert.equal(dead.code, 1);
    assert.match(
      messageOf(dead.found, 'lease'),
      /is not being renewed by its holder slow-clock_1 \(renewed 10m\S* ago\), and nobody has followed/,
    );

    const examining = new AbortController();
    const renewing = (async () => {
      while (!examining.signal.aborted) {
        await holdLease('slow-clock_1', -600_000);
        await systemClock.sleep(500, examining.signal);
      }
    })();
    const { code, found } = await examined(kubeconfig);
    examining.abort();
    await renewing;
    assert.equal(code, 0);
    assert.equal(found.at(3)?.result, 'warning');
    assert.match(
      messageOf(found, 'lease'),
      /is being renewed, and yet it was renewed 10m\S* ago: the clock of slow-clock_1/,
    );
  });

  test('a Lease that was left in order has no holder', async () => {
    await holdLease('');
    const { code, found } = await examined(kubeconfig);
    assert.equal(code, 1);
    assert.match(messageOf(found, 'lease'), /^nobody holds Lease/);
  });

  test('a CRD of another version is a warning that names the fields', async () => {
    const crd = parse(
      await plane.mustKubectl(['get', 'crd', 'scheduledtasks.tidemill.dev', '-o', 'yaml']),
    ) as {
      spec: { versions: [{ schema: { openAPIV3Schema: { properties: { spec: { properties: object } } } } }] };
    };
    const properties = crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties;
    Object.assign(properties, { fromTheFuture: { type: 'string' } });
    await plane.mustKubectl(['replace', '-f', '-'], JSON.stringify(crd));
    const { found } = await examined(kubeconfig);
    assert.equal(found.at(2)?.result, 'warning');
    assert.match(messageOf(found, 'crd-schema'), /it differs at spec\.fromTheFuture\. /);
  });

  test('an API server that is away is one failure, and the other steps are named as skipped', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = z.object({ port: z.number() }).parse(server.address());
    server.close();
    const nowhere = await plane.writeKubeconfig({ url: `https://127.0.0.1:${port}`, token: 'x', namespace });
    const { code, found } = await examined(nowhere);
    assert.equal(code, 1);
    assert.deepEqual(results(found), [
      'api-server failed',
      'crd skipped',
      'crd-schema skipped',
      'lease skipped',
    ]);
    assert.match(messageOf(found, 'api-server'), /ECONNREFUSED/);
    const bad = await examined('/nowhere/kubeconfig');
    assert.deepEqual(results(bad.found), ['api-server failed']);
  });
});
