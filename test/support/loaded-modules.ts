/** What `tidemill` loads for a command line. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ENTRY = join(import.meta.dirname, 'tidemill-entry.ts');
const PRINT = join(import.meta.dirname, '../fixtures/print-modules.ts');

/** The URLs of the modules, those of Node itself left out. */
export function modulesOf(...args: readonly string[]): readonly string[] {
  const { status, stderr } = spawnSync(process.execPath, ['--import', PRINT, ENTRY, ...args], {
    ...{ encoding: 'utf8', timeout: 60_000 },
  });
  assert.equal(status, 0, stderr);
  return [...stderr.matchAll(/^loaded (file:.*)$/gm)].map(([, url = '']) => url);
}
