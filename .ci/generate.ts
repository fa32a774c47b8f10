/**
 * Writes what repeats the code: the CRD and the reference pages. `npm run generate` writes them; a test fails when one of
 * them differs from what the code says now.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GENERATED } from './generated.ts';

const root = join(import.meta.dirname, '..');

for (const [path, render] of Object.entries(GENERATED)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), await render());
  process.stdout.write(`wrote ${path}\n`);
}
