/** What `bin/` says when the program behind it cannot be loaded. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../support/markdown.ts';

/** All that is loaded before the program itself. */
const LAUNCHER = ['bin', 'src/runtime', 'src/cli/launch.ts', 'src/cli/small-heap.ts', 'src/cli/restart.ts'];

test('a program of which a part is missing says that it cannot start, and ends with 70', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-start-'));
  try {
    for (const path of LAUNCHER) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'bin/tidemill.js')], {
      ...{ encoding: 'utf8', timeout: 30_000 },
    });
    assert.match(stderr, /^tidemill cannot start: .*main\.ts/);
    assert.equal(status, 70);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
