/** `--namespace` is for all schedules that name none: those in code, and the objects of files. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TidemillProcess } from '../../support/tidemill-process.ts';

const TASKS = join(import.meta.dirname, '../../fixtures/cli/tasks.ts');
const MANIFEST = `apiVersion: tidemill.dev/v1alpha1
kind: ScheduledTask
metadata: { name: unnamed }
spec: { task: greet, every: 1h }
---
apiVersion: tidemill.dev/v1alpha1
kind: ScheduledTask
metadata: { name: named, namespace: team-b }
spec: { task: greet, every: 1h }
`;

describe('--namespace', () => {
  let file: string;
  before(() => {
    file = join(mkdtempSync(join(tmpdir(), 'tidemill-namespace-')), 'schedules.yaml');
    writeFileSync(file, MANIFEST);
  });
  after(() => rmSync(join(file, '..'), { recursive: true }));

  test('dev puts objects of files that name no namespace into it', async () => {
    await using dev = new TidemillProcess([
      ...['dev', file, '--tasks', TASKS, '--no-watch', '--namespace', 'sales', '--http-port', '0'],
    ]);
    await dev.line(/\+ sales\/unnamed/);
    await dev.line(/\+ team-b\/named/);
  });

  test('schedules next shows them there', async () => {
    await using next = new TidemillProcess(['schedules', 'next', file, '--namespace', 'sales']);
    assert.deepEqual(await next.exited, { code: 0, signal: null });
    const text = next.lines.join('\n');
    assert.match(text, /^sales\/unnamed /m);
    assert.match(text, /^team-b\/named /m);
  });
});
