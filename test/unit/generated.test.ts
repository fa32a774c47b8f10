/** What repeats the code must say what the code says now. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GENERATED } from '../../.ci/generated.ts';

const root = join(import.meta.dirname, '../..');

for (const [path, render] of Object.entries(GENERATED)) {
  test(`${path} is what the code gives (npm run generate)`, async () => {
    assert.equal(readFileSync(join(root, path), 'utf8'), await render());
  });
}
