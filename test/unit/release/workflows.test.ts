/** The workflows that build and release: what they run is pinned, and what they may do is little. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseDocument } from 'yaml';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '../../..');
const FOLDER = join(ROOT, '.github/workflows');

const Step = z.looseObject({
  uses: z.string().optional(),
  run: z.string().optional(),
  with: z.record(z.string(), z.unknown()).optional(),
});
const Job = z.looseObject({
  'runs-on': z.string(),
  'timeout-minutes': z.number().max(60),
  permissions: z.record(z.string(), z.enum(['read', 'write'])),
  steps: z.array(Step).min(1),
});
const Workflow = z.looseObject({
  on: z.record(z.string(), z.unknown()),
  permissions: z.strictObject({}),
  jobs: z.record(z.string(), Job),
});
const Manifest = z.object({ scripts: z.record(z.string(), z.string()) });

function read(file: string): { readonly text: string; readonly workflow: z.output<typeof Workflow> } {
  const text = readFileSync(join(FOLDER, file), 'utf8');
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  assert.deepEqual(document.errors, []);
  return { text, workflow: Workflow.parse(document.toJS()) };
}

/** What a step may do to more than its own machine, and the jobs that need it. */
const WRITERS: Readonly<Record<string, readonly string[]>> = {
  'id-token': ['release/npm', 'release/image', 'release/charts'],
  packages: ['release/image', 'release/charts'],
  contents: ['release/notes'],
};

for (const file of readdirSync(FOLDER)) {
  describe(`the workflow ${file}`, () => {
    const { text, workflow } = read(file);
    const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);

    test('pins every action by its commit, with the version beside it', () => {
      const uses = text.split('\n').filter((line) => /^\s*(- )?uses:/.test(line));
      assert.equal(uses.length, steps.filter((step) => step.uses !== undefined).length);
      for (const line of uses) assert.match(line, /uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    });

    test('gives nothing by default, and each job no more than it needs', () => {
      for (const [name, { permissions }] of Object.entries(workflow.jobs)) {
        const where = `${file.replace('.yml', '')}/${name}`;
        for (const [permission, access] of Object.entries(permissions)) {
          if (access === 'read') assert.equal(permission, 'contents', `${where} reads ${permission}`);
          else assert.ok(WRITERS[permission]?.includes(where), `${where} writes ${permission}`);
        }
      }
    });

    test('never runs code of a fork with rights, and keeps no credentials in the checkout', () => {
      assert.ok(!('pull_request_target' in workflow.on));
      assert.ok(!('workflow_run' in workflow.on));
      for (const step of steps)
        if (step.uses?.startsWith('actions/checkout@') === true)
          assert.equal(step.with?.['persist-credentials'], false);
    });

    test('puts no text that others chose into a script', () => {
      for (const { run = '' } of steps) assert.doesNotMatch(run, /\$\{\{/, run);
    });

    test('runs scripts that exist', () => {
      const { scripts } = Manifest.parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));
      for (const { run = '' } of steps) {
        for (const [, name = ''] of run.matchAll(/npm run (?:--silent )?([\w:]+)/g))
          assert.ok(name in scripts, name);
        for (const [, path = ''] of run.matchAll(/(?:node |^)((?:\.ci|test)\/[\w./-]+)/gm))
          assert.ok(existsSync(join(ROOT, path)), path);
      }
    });
  });
}

test('the workflows are looked at', () => {
  assert.deepEqual(readdirSync(FOLDER).toSorted(), ['ci.yml', 'release.yml']);
});
