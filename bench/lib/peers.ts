/**
 * Installs the queues that the benches compare with, on first use and only here: `bench/package.json` pins them, and the
 * package of Tidemill never sees them.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BENCH = join(import.meta.dirname, '..');
const MODULES = join(BENCH, 'node_modules');
const LOCKFILE = join(BENCH, 'package-lock.json');
/** The lockfile that `node_modules` was made from: a changed pin is installed anew. */
const INSTALLED = join(MODULES, '.installed-from');

/** Makes `bullmq`, `bee-queue` and, as it was built, `tidemill` importable from below `bench/`. */
export function ensurePeers(): void {
  const wanted = readFileSync(LOCKFILE, 'utf8');
  if (!existsSync(INSTALLED) || readFileSync(INSTALLED, 'utf8') !== wanted) {
    process.stderr.write('installing the peers of the benches (npm ci in bench/)\n');
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: BENCH,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    writeFileSync(INSTALLED, wanted);
  }
  linkTidemill();
}

/** Makes `tidemill` alone importable: a bench without peers needs nothing from a registry. */
export function linkTidemill(): void {
  const own = join(MODULES, 'tidemill');
  mkdirSync(MODULES, { recursive: true });
  if (!existsSync(own)) symlinkSync(join(BENCH, '..'), own, 'dir');
}
