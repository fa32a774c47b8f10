/** A controller does its whole work with the documented rights, which are these and no more; with Roles in two namespaces it serves these two. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { controllerRules, rbacObjects } from '../../../src/kube/rbac.ts';
import { until } from '../../support/until.ts';
import { ControllerFleet, LEASE } from './controllers.ts';

const SPEC = { task: 'tick', every: '500ms', concurrencyPolicy: 'Allow' };
const ACCOUNT = 'controller';

/** All that the documentation names. */
const OBJECTS = [
  'events.events.k8s.io [] [create patch]',
  'scheduledtasks.tidemill.dev [] [get list watch]',
  'scheduledtasks.tidemill.dev/status [] [patch]',
];
const OWN_NAMESPACE = [
  'leases.coordination.k8s.io [] [create]',
  `leases.coordination.k8s.io [${LEASE}] [get update]`,
];

describe('the rights of a controller', () => {
  let fleet: ControllerFleet;
  before(async () => {
    fleet = await ControllerFleet.start();
  });
  after(() => fleet[Symbol.asyncDispose]());

  /** One line for each rule: resources or paths, names, verbs. */
  const listed = async (account: string, namespace: string): Promise<readonly string[]> => {
    const table = await fleet.plane.mustKubectl([
      'auth',
      'can-i',
      '--list',
      '-n',
      namespace,
      '--no-headers',
      `--as=system:serviceaccount:${account}`,
    ]);
    return table
      .split('\n')
      .map((line) => /^(\S*)\s+\[([^\]]*)\]\s+\[([^\]]*)\]\s+\[([^\]]*)\]/.exec(line))
      .flatMap((match) => (match === null ? [] : [match.slice(1)]))
      .map(([resource = '', paths = '', names = '', verbs = '']) => {
        const what = resource === '' ? paths : resource;
        return `${what} [${names}] [${verbs.split(' ').toSorted().join(' ')}]`;
      });
  };

  /** Beyond what every account may do, such as asking for its own rights. */
  const rightsOf = async (account: string, namespace: string): Promise<readonly string[]> => {
    const anybody = new Set(await listed('default:nobody', namespace));
    assert.ok(anybody.size > 0);
    const rights = await listed(account, namespace);
    return rights.filter((right) => !anybody.has(right)).toSorted();
  };

  /** The authorizer learns of new roles a moment after they were made. */
  const assertRights = async (
    account: string,
    namespace: string,
    expected: readonly string[],
  ): Promise<void> => {
    let rights: readonly string[] = [];
    const isComplete = async (): Promise<boolean> => {
      rights = await rightsOf(account, namespace);
      return rights.length >= expected.length;
    };
    await until(`${account} has its rights in ${namespace}`, isComplete, {
      describe: () => rights.join('; '),
    });
    assert.deepEqual(rights, expected.toSorted());
  };

  test('in the whole cluster are the documented ones, and nothing else', async (t) => {
    const objects = rbacObjects({
      namespace: fleet.namespace,
      serviceAccount: ACCOUNT,
      leaseName: LEASE,
      watchNamespaces: [],
    });
    await fleet.plane.serviceAccount(fleet.namespace, ACCOUNT, objects);
    const account = `${fleet.namespace}:${ACCOUNT}`;
    await assertRights(account, fleet.namespace, [...OBJECTS, ...OWN_NAMESPACE]);
    // No Lease but in its own namespace.
    await assertRights(account, 'default', OBJECTS);
    const rules = await rightsOf(account, fleet.namespace);
    t.diagnostic(`${rules.length} rules: ${rules.join('; ')}`);
    const words = JSON.stringify(controllerRules(LEASE));
    for (const word of ['*', 'secrets', 'pods', 'escalate', 'bind', 'impersonate', 'delete'])
      assert.ok(!words.includes(word), word);
  });

  test('with Roles in two namespaces are those, and it serves both and no third', async (t) => {
    const [a, b, c, home] = await Promise.all(
      ['a', 'b', 'c', 'home'].map((prefix) => fleet.plane.namespace(prefix)),
    );
    assert.ok(a !== undefined && b !== undefined && c !== undefined && home !== undefined);
    const objects = rbacObjects({
      namespace: home,
      serviceAccount: ACCOUNT,
      leaseName: LEASE,
      watchNamespaces: [a, b],
    });
    assert.ok(
      objects.every(({ kind }) => !kind.startsWith('Cluster')),
      'nothing for the whole cluster',
    );
    const access = await fleet.plane.serviceAccount(home, ACCOUNT, objects);
    const account = `${home}:${ACCOUNT}`;
    await assertRights(account, a, OBJECTS);
    await assertRights(account, b, OBJECTS);
    await assertRights(account, home, OWN_NAMESPACE);
    await assertRights(account, c, []);

    await fleet.plane.apply(
      [a, b, c].map((namespace) => ({
        apiVersion: 'tidemill.dev/v1alpha1',
        kind: 'ScheduledTask',
        metadata: { name: 'tick', namespace },
        spec: SPEC,
      })),
    );
    const uids = await Promise.all(
      [a, b, c].map((namespace) =>
        fleet.plane.mustKubectl(['-n', namespace, 'get', 'st', 'tick', '-o', 'jsonpath={.metadata.uid}']),
      ),
    );
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-rights-'));
    t.after(() => rm(folder, { recursive: true }));
    const queuesFile = join(folder, 'queues.yaml');
    await writeFile(queuesFile, 'queues: [{ name: default, namespaces: ["*"], tasks: ["*"] }]\n');
    const controller = await fleet.controller(
      ['--watch-namespaces', `${a},${b}`, '--queues-file', queuesFile],
      { account: access },
    );
    await fleet.leads(controller);
    await fleet.adopted(uids.slice(0, 2), 1);
    await fleet.settled(uids.slice(0, 2), (await fleet.broker.now()) + 2_000);
    const states = await fleet.queue.schedules.states(uids);
    t.diagnostic(`fired in a, b, c: ${states.map((state) => state?.fired ?? 0).join(', ')}`);
    assert.ok((states[0]?.fired ?? 0) > 0 && (states[1]?.fired ?? 0) > 0);
    assert.equal(states[2], undefined);
    for (const namespace of [a, b]) {
      await fleet.plane.mustKubectl([
        ...['-n', namespace, 'wait', '--for=jsonpath={.status.observedGeneration}=1', 'st/tick'],
        '--timeout=30s',
      ]);
    }
    const seen = ['-n', c, 'get', 'st', 'tick', '-o', 'jsonpath={.status.observedGeneration}'];
    assert.equal(await fleet.plane.mustKubectl(seen), '-1');
    const told = controller.process.lines.filter((line) => /forbidden|KUBE_FORBIDDEN/i.test(line));
    assert.deepEqual(told, [], 'it never asks for what it may not do');
    await fleet.stop(controller);
  });
});
