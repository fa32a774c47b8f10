/** Installs what the tests need and this machine lacks, where that is allowed. */
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { isOnPath } from './on-path.ts';

export function canInstall(): boolean {
  return process.getuid?.() === 0 && isOnPath('apt-get');
}

/** Debian packages, without the servers that some of them would start. */
export function installPackages(packages: readonly string[]): void {
  process.stderr.write(`installing ${packages.join(', ')} with apt-get (about a minute)\n`);
  const options: ExecFileSyncOptions = {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  };
  // Another run may be installing.
  const apt = ['-o', 'DPkg::Lock::Timeout=300', '-qq'];
  execFileSync('apt-get', [...apt, 'update'], options);
  execFileSync('apt-get', [...apt, 'install', '-y', '--no-install-recommends', ...packages], options);
}
