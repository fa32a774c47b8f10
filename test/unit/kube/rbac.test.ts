/** The rights of a controller: exactly these. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controllerRules, doctorRules, rbacObjects } from '../../../src/kube/rbac.ts';

test('a controller may read its objects, patch their status, tell events and hold one Lease, and nothing else', () => {
  const { objects, lease } = controllerRules('tidemill-controller');
  assert.deepEqual(
    [...objects, ...lease].map(({ apiGroups, resources, resourceNames, verbs }) =>
      [apiGroups, resources, resourceNames ?? '*', verbs].join(' '),
    ),
    [
      'tidemill.dev scheduledtasks * get,list,watch',
      'tidemill.dev scheduledtasks/status * patch',
      'events.k8s.io events * create,patch',
      'coordination.k8s.io leases * create',
      'coordination.k8s.io leases tidemill-controller get,update',
    ],
  );
});

const names = (watchNamespaces: readonly string[]): readonly string[] =>
  rbacObjects({ namespace: 'tidemill', serviceAccount: 'sa', leaseName: 'l', watchNamespaces }).map(
    ({ kind, metadata: { name, namespace } }) => `${kind} ${namespace ?? '-'}/${name}`,
  );

test('all namespaces take a ClusterRole for the objects; the Lease stays in its own namespace', () => {
  assert.deepEqual(names([]), [
    'ServiceAccount tidemill/sa',
    'ClusterRole -/tidemill:sa',
    'ClusterRoleBinding -/tidemill:sa',
    'Role tidemill/sa-lease',
    'RoleBinding tidemill/sa-lease',
  ]);
});

test('named namespaces take a Role in each, under a name that no other install uses, and nothing of the whole cluster', () => {
  assert.deepEqual(names(['a', 'tidemill', 'a']), [
    'ServiceAccount tidemill/sa',
    'Role a/tidemill:sa',
    'RoleBinding a/tidemill:sa',
    'Role tidemill/tidemill:sa',
    'RoleBinding tidemill/tidemill:sa',
    'Role tidemill/sa-lease',
    'RoleBinding tidemill/sa-lease',
  ]);
});

test('doctor may read one Lease and one CRD, and nothing else', () => {
  const { lease, crd } = doctorRules('tidemill-controller');
  assert.deepEqual(
    [...lease, ...crd].map(({ resources, resourceNames, verbs }) =>
      [resources, resourceNames, verbs].join(' '),
    ),
    ['leases tidemill-controller get', 'customresourcedefinitions scheduledtasks.tidemill.dev get'],
  );
});
