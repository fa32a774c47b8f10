/**
 * Looks at the licence of every package that is shipped: the production dependencies as locked, and zod, which is in the
 * image. A licence that is not on the list, or none, fails.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** SPDX names of licences that ask for no more than their text, which stays in each package. */
const ALLOWED = new Set([
  'Apache-2.0',
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'Unlicense',
  'PSF-2.0',
]);
/** Peers: not a dependency of the package, but in the image beside it. */
const PEERS = new Set(['node_modules/zod']);

const Package = z.looseObject({
  version: z.string().optional(),
  license: z.string().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  link: z.boolean().optional(),
});
const Lockfile = z.looseObject({ packages: z.record(z.string(), Package) });
export type Lockfile = z.output<typeof Lockfile>;

export interface Verdict {
  readonly shipped: number;
  /** One line for each package that may not be shipped. */
  readonly refused: readonly string[];
}

/** Optional packages are the Node binaries of the developers: nothing of ours depends on them. */
export function judge({ packages }: Lockfile): Verdict {
  const shipped = Object.entries(packages).filter(
    ([path, found]) =>
      PEERS.has(path) ||
      (path.startsWith('node_modules/') &&
        found.dev !== true &&
        found.optional !== true &&
        found.link !== true),
  );
  const refused = shipped
    .filter(([, { license = '' }]) => !ALLOWED.has(license))
    .map(([path, { version = '', license = 'no licence' }]) => `${nameOf(path)} ${version}: ${license}`);
  return { shipped: shipped.length, refused };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

if (import.meta.main) {
  const file = join(import.meta.dirname, '../package-lock.json');
  const { shipped, refused } = judge(Lockfile.parse(JSON.parse(readFileSync(file, 'utf8'))));
  if (refused.length > 0) {
    process.stderr.write(
      `these packages may not be shipped under their licences: take another package, or add the licence to .ci/check-licences.ts after reading it\n${refused.map((line) => `  ${line}\n`).join('')}`,
    );
    process.exitCode = 1;
  } else process.stdout.write(`  ok  the licences of ${shipped} shipped packages\n`);
}
