/** From what the API server sends to a snapshot: small, and never nothing without a reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toScheduledObject } from '../../../src/kube/to-scheduled-object.ts';
import type { ScheduledObject } from '../../../src/resource/scheduled-object.ts';

const raw = (
  more: { readonly metadata?: object; readonly spec?: unknown; readonly status?: unknown } = {},
): object => ({
  apiVersion: 'tidemill.dev/v1alpha1',
  kind: 'ScheduledTask',
  metadata: {
    namespace: 'team-a',
    name: 'report',
    uid: 'u1',
    generation: 3,
    resourceVersion: '42',
    creationTimestamp: '2026-01-01T00:00:00Z',
    managedFields: [{ manager: 'kubectl' }],
    ...more.metadata,
  },
  spec: 'spec' in more ? more.spec : { task: 'report', every: '1h' },
  ...('status' in more && { status: more.status }),
});

function read(value: unknown): ScheduledObject {
  const found = toScheduledObject(value);
  assert.ok(found.kind === 'object', JSON.stringify(found));
  return found.object;
}

test('what the engine needs is kept, and nothing else', () => {
  const annotations = {
    'kubectl.kubernetes.io/last-applied-configuration': 'x'.repeat(10_000),
    'tidemill.dev/run-now': '1',
    'nottidemill.dev/x': 'y',
  };
  const object = read(raw({ metadata: { annotations, labels: { app: 'x' } } }));
  const { spec, ...rest } = object;
  assert.deepEqual(rest, {
    key: 'team-a/report',
    uid: 'u1',
    generation: 3,
    namespace: 'team-a',
    name: 'report',
    resourceVersion: '42',
    annotations: { 'tidemill.dev/run-now': '1' },
  });
  assert.ok('every' in spec && spec.every === '1h' && spec.concurrencyPolicy === 'Forbid');
  assert.ok(JSON.stringify(object).length < 1_000);
});

test('an object that is being deleted tells since when', () => {
  assert.equal(read(raw()).deletedAt, undefined);
  const object = read(raw({ metadata: { deletionTimestamp: '2026-01-02T03:04:05Z' } }));
  assert.equal(object.deletedAt, Date.UTC(2026, 0, 2, 3, 4, 5));
});

test('a spec that cannot be read becomes one that says why, in the queue that it names', () => {
  const { spec, status } = read(
    raw({ spec: { task: 'report', every: 5, queue: 'reports' }, status: { active: 2 } }),
  );
  assert.ok('unreadable' in spec);
  assert.match(spec.unreadable, /spec\.every/);
  assert.equal(spec.queue, 'reports');
  assert.deepEqual(status, { active: 2 });
});

test('a queue that is none, and a spec that is nothing at all, go to the default queue', () => {
  for (const spec of [{ task: 'report', queue: 'No Queue!' }, null, 'text', [], 7]) {
    const object = read(raw({ spec }));
    assert.ok('unreadable' in object.spec && object.spec.unreadable !== '');
    assert.equal(object.spec.queue, 'default');
  }
});

test('a status that cannot be read does not stop a schedule', () => {
  const object = read(raw({ status: { active: 'many' } }));
  assert.ok('task' in object.spec);
  assert.equal(object.status, undefined);
});

test('what is nobody’s object is a problem, with the key where that can be told', () => {
  const nameless = toScheduledObject({ metadata: {} });
  assert.ok(nameless.kind === 'problem' && nameless.key === undefined);
  const uidless = toScheduledObject(raw({ metadata: { uid: undefined } }));
  assert.ok(uidless.kind === 'problem' && uidless.key === 'team-a/report');
  assert.match(uidless.message, /uid/);
  for (const value of [undefined, null, 7, 'text', []])
    assert.equal(toScheduledObject(value).kind, 'problem');
});

test('the same version of the same object is the snapshot that is here already', () => {
  const first = read(raw());
  const again = (value: object): unknown => toScheduledObject(value, () => first);
  assert.deepEqual(again(raw({ spec: 'not even looked at' })), { kind: 'object', object: first });
  for (const metadata of [{ resourceVersion: '43' }, { uid: 'u2' }]) {
    assert.notEqual(Object.values(again(raw({ metadata })) ?? {})[1], first);
  }
});
