/** Finds the servers that the tests run against, or installs them where it may, and says what it does. */
import { execFileSync } from 'node:child_process';
import { controlPlaneBinaries } from '../control-plane/binaries.ts';
import { installValkey } from './install-valkey.ts';

function isOnPath(command: string): boolean {
  try {
    execFileSync('which', [command], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function ensureRedis(): void {
  if (isOnPath('redis-server')) return;
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) {
    throw new Error(
      'the tests need redis-server 7.0 or newer on the PATH: install it (Debian: apt-get install redis-server) and run again',
    );
  }
  process.stderr.write('redis-server is not on the PATH: installing it with apt-get (about a minute)\n');
  execFileSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

/**
 * @param wanted whether the tests that run need a Kubernetes API server; building one takes minutes
 * @throws Error with one sentence that says what to install
 */
export async function ensureServers(wanted: { readonly controlPlane: boolean }): Promise<void> {
  ensureRedis();
  await installValkey();
  if (wanted.controlPlane) await controlPlaneBinaries();
}
