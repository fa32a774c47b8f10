/** Prometheus's own checker: found on this machine, or installed where that is allowed. */
import { execFileSync, spawnSync } from 'node:child_process';

const isOnPath = (command: string): boolean =>
  spawnSync('which', [command], { stdio: 'ignore' }).status === 0;

/** @throws Error with one sentence that says what to install */
function ensurePromtool(): void {
  if (isOnPath('promtool')) return;
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) {
    throw new Error(
      'these tests need promtool on the PATH: install Prometheus (Debian: apt-get install prometheus) and run again',
    );
  }
  process.stderr.write('promtool is not on the PATH: installing prometheus with apt-get (about a minute)\n');
  const options = {
    stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  };
  execFileSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', 'update', '-qq'], options);
  const install = ['install', '-y', '-qq', '--no-install-recommends', 'prometheus'];
  execFileSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...install], options);
}

export interface Verdict {
  readonly ok: boolean;
  /** All that it printed. */
  readonly text: string;
}

/** Runs promtool, with `input` on its standard input. */
export function promtool(args: readonly string[], input = ''): Verdict {
  ensurePromtool();
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  if (error !== undefined) throw error;
  return { ok: status === 0, text: `${stdout}${stderr}` };
}
