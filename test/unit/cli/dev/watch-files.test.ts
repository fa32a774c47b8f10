import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { watchTasks } from '../../../../src/cli/dev/watch-files.ts';
import { systemClock } from '../../../../src/runtime/clock.ts';
import { until } from '../../../support/until.ts';

test('a change of a source beside or below the tasks is told once; data, packages and hidden files are not sources', async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tidemill-watch-')));
  try {
    mkdirSync(join(folder, 'lib'));
    mkdirSync(join(folder, 'node_modules'));
    const changes: string[] = [];
    using _watcher = watchTasks({
      paths: ['tasks.ts'],
      cwd: folder,
      clock: systemClock,
      onChange: (file) => changes.push(file),
    });
    for (const name of ['data.json', 'node_modules/a.js', '.hidden.ts', 'notes.md'])
      writeFileSync(join(folder, name), '1');
    writeFileSync(join(folder, 'tasks.ts'), '1');
    writeFileSync(join(folder, 'lib/part.ts'), '1');
    await until('the change is told', () => changes.length > 0);
    assert.equal(changes.length, 1);
    assert.match(changes[0] ?? '', /^(tasks\.ts|lib\/part\.ts)$/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
