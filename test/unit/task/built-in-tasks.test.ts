/** The built-in tasks: every consumer has them, no list shows them as the user's, and nobody else may have their names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorld } from '../../../src/testing.ts';
import { buildManifest } from '../../../src/task/build-manifest.ts';
import { NOOP } from '../../../src/task/built-in-tasks.ts';
import { defineContract, defineTask } from '../../../src/task/define-task.ts';
import { isTaskName } from '../../../src/task/names.ts';
import { TaskRegistry } from '../../../src/task/registry.ts';

const own = defineTask({ name: 'own', run: () => undefined });

test('they are found in every set of tasks and published with it, but are none of its own', () => {
  const registry = new TaskRegistry([own]);
  assert.equal(registry.find('tidemill.noop'), NOOP);
  assert.equal(registry.get('tidemill.noop'), NOOP);
  assert.deepEqual(registry.names(), ['own']);
  assert.deepEqual(registry.all(), [own]);
  assert.deepEqual(
    buildManifest(registry, 1).tasks.map(({ name, executor, paramsSchema }) => [
      name,
      executor,
      paramsSchema,
    ]),
    [
      ['own', 'io', undefined],
      ['tidemill.noop', 'io', undefined],
    ],
  );
});

test('their names fit the rule of the CRD, so that an object may schedule them', () => {
  assert.ok(isTaskName(NOOP.name));
});

test('nobody else may define a task or a contract under such a name', () => {
  const refused = {
    code: 'TASK_INVALID',
    message: /must not begin with tidemill\.: such names are kept for the built-in tasks/,
  };
  for (const name of ['tidemill.noop', 'tidemill.other']) {
    assert.throws(() => defineTask({ name, run: () => undefined }), refused);
    assert.throws(() => defineContract({ name }), refused);
  }
  assert.equal(defineTask({ name: 'tidemill-like', run: () => undefined }).name, 'tidemill-like');
});

test('a schedule runs the noop where everything is in one process', async () => {
  await using world = await createWorld({
    tasks: [own],
    startAt: new Date('2026-03-01T00:01:00Z'),
    schedules: [
      {
        apiVersion: 'tidemill.dev/v1alpha1',
        kind: 'ScheduledTask',
        metadata: { name: 'sign-of-life' },
        spec: { task: 'tidemill.noop', every: '10m' },
      },
    ],
  });
  await world.advance('25m');
  assert.deepEqual(
    world.runs('tidemill.noop').map(({ outcome, result }) => [outcome, result]),
    [
      ['succeeded', 'done'],
      ['succeeded', 'done'],
    ],
  );
});
