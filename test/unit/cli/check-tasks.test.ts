import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { taskProblems } from '../../../src/cli/check-tasks.ts';
import { parseManifests } from '../../../src/resource/manifest.ts';
import { defineTask } from '../../../src/task/define-task.ts';
import { TaskRegistry } from '../../../src/task/registry.ts';
import { tidemill } from '../../support/fake-io.ts';

const TASKS = join(import.meta.dirname, '../../fixtures/cli/tasks.ts');

const manifest = (spec: string): string =>
  `apiVersion: tidemill.dev/v1alpha1\nkind: ScheduledTask\nmetadata: { name: one }\nspec: { every: 5s, ${spec} }\n`;

function problemsOf(spec: string): readonly string[] {
  const { objects, problems } = parseManifests(manifest(spec), 'one.yaml');
  assert.deepEqual(problems, []);
  const registry = new TaskRegistry([
    defineTask({ name: 'heartbeat', run: () => 1 }),
    defineTask({ name: 'add', params: z.object({ a: z.number(), b: z.number().default(1) }), run: () => 1 }),
  ]);
  return taskProblems(objects, registry).map(({ at, message }) => `${at} ${message}`);
}

describe('taskProblems', () => {
  test('a task that is there and takes the params has none', () => {
    assert.deepEqual(problemsOf('task: heartbeat'), []);
    assert.deepEqual(problemsOf('task: add, params: { a: 1 }'), []);
  });

  test('a mistyped task is told with its place and the name that was meant', () => {
    assert.deepEqual(problemsOf('task: hearbeat'), [
      'one.yaml:1 spec.task: there is no task "hearbeat" (did you mean heartbeat?)',
    ]);
  });

  test('params are held against the schema of the task', () => {
    assert.match(problemsOf('task: add').join(), /^one\.yaml:1 spec\.params\.a: /);
    assert.match(problemsOf('task: add, params: { a: x }').join(), /spec\.params\.a: .*expected number/);
    assert.match(problemsOf('task: heartbeat, params: { a: 1 }').join(), /spec\.params\.a: /);
  });
});

test('doctor fails for a schedule whose task is not among --tasks, and cannot tell without them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-doctor-'));
  try {
    const file = join(folder, 'one.yaml');
    writeFileSync(file, manifest('task: gret'));
    const { code, stdout } = await tidemill(['doctor', file, '--tasks', TASKS]);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /failed +manifests +.*one\.yaml:1: spec\.task: there is no task "gret" \(did you mean greet\?\)/,
    );
    assert.equal((await tidemill(['doctor', file])).code, 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
