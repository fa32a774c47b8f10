/** What the checks of a cluster make of what they find: versions and schemas that a test cluster does not have. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClusterFacts } from '../../../../src/kube/cluster-facts.ts';
import { clusterFindings } from '../../../../src/cli/doctor/kubernetes.ts';
import type { Finding } from '../../../../src/cli/doctor/finding.ts';
import { schemaDifferences } from '../../../../src/cli/doctor/schema-differences.ts';
import { crdSchema } from '../../../../src/resource/crd.ts';
import { VirtualClock } from '../../../../src/runtime/virtual-clock.ts';

const LEASE = { namespace: 'tidemill', name: 'tidemill-controller' };
const NOW_MS = 1_800_000_000_000;

type Facts = Parameters<typeof clusterFindings>[0];

/** A cluster where all is well, but for what a test says. */
const facts = (more: Partial<Omit<Facts, 'server'>> = {}): Facts => ({
  server: 'https://cluster',
  version: async () => 'v1.36.1',
  served: async () => ({ kind: 'read', value: ['scheduledtasks', 'scheduledtasks/status'] }),
  storedSchema: async () => ({ kind: 'read', value: crdSchema() }),
  lease: async () => ({
    kind: 'read',
    value: { holder: 'pod', leaseMs: 15_000, renewedAtMs: NOW_MS - 1_000, version: '1' },
  }),
  renewal: async () => false,
  ...more,
});

const examined = (more?: Parameters<typeof facts>[0]): Promise<readonly Finding[]> =>
  clusterFindings(facts(more), LEASE, new VirtualClock(NOW_MS));

describe('the checks of a cluster', () => {
  const versions: readonly (readonly [version: string, result: Finding['result']])[] = [
    ['v1.33.0', 'ok'],
    ['v1.33.4-gke.100', 'ok'],
    ['v1.32.9', 'warning'],
    ['v2.0.0', 'ok'],
    ['unknown', 'warning'],
  ];
  for (const [version, result] of versions) {
    test(`answer Kubernetes ${version} with ${result}`, async () => {
      const [server] = await examined({ version: async () => version });
      assert.equal(server?.result, result);
      assert.match(server.message, result === 'ok' ? new RegExp(`${version}$`) : /tested from v1\.33 on/);
    });
  }

  test('a CRD without its status is not served', async () => {
    const found = await examined({ served: async () => ({ kind: 'read', value: ['scheduledtasks'] }) });
    assert.equal(found[1]?.result, 'failed');
  });

  test('a Lease that was renewed in the future is no proof of life, and one without a renewal neither', async () => {
    for (const renewedAtMs of [NOW_MS + 60_000, undefined]) {
      const lease: ClusterFacts['lease'] = async () => ({
        kind: 'read',
        value: {
          holder: 'pod',
          leaseMs: 15_000,
          version: '1',
          ...(renewedAtMs !== undefined && { renewedAtMs }),
        },
      });
      assert.equal((await examined({ lease }))[3]?.result, 'failed');
      assert.equal((await examined({ lease, renewal: async () => true }))[3]?.result, 'warning');
    }
  });

  test('one that cannot be done does not keep the others from being done', async () => {
    const found = await examined({
      storedSchema: () => Promise.reject(new Error('the connection was cut')),
    });
    assert.deepEqual(
      found.map(({ result }) => result),
      ['ok', 'ok', 'failed', 'ok'],
    );
    assert.equal(found[2]?.message, 'the connection was cut');
  });
});

describe('the difference of two schemas', () => {
  const schema = (spec: object, more: object = {}): object => ({
    type: 'object',
    properties: { spec: { type: 'object', properties: spec, ...more } },
  });

  test('is empty when they say the same in another order', () => {
    assert.deepEqual(
      schemaDifferences({ type: 'object', properties: {} }, { properties: {}, type: 'object' }),
      [],
    );
  });

  test('names fields that are missing on either side or say something else, and the object whose rules differ', () => {
    const ours = schema({
      a: { type: 'string' },
      b: { type: 'string', maxLength: 5 },
      same: { type: 'string' },
    });
    const stored = schema({ b: { type: 'string', maxLength: 6 }, c: {}, same: { type: 'string' } });
    assert.deepEqual(schemaDifferences(ours, stored), ['spec.a', 'spec.b', 'spec.c']);
    assert.deepEqual(schemaDifferences(schema({}), schema({}, { 'x-kubernetes-validations': [] })), ['spec']);
    const list = (items: object): object => schema({ recent: { type: 'array', items } });
    assert.deepEqual(
      schemaDifferences(list({ properties: { x: {} } }), list({ properties: { x: {}, y: {} } })),
      ['spec.recent.y'],
    );
    assert.deepEqual(schemaDifferences({ type: 'object' }, 'nothing'), ['the whole']);
  });
});
