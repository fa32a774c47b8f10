/** Prometheus's own checker: found on this machine, or installed where that is allowed. */
import { spawnSync } from 'node:child_process';
import { canInstall, installPackages } from './apt.ts';
import { isOnPath } from './on-path.ts';

/** @throws Error with one sentence that says what to install */
function ensurePromtool(): void {
  if (isOnPath('promtool')) return;
  if (!canInstall()) {
    throw new Error(
      'these tests need promtool on the PATH: install Prometheus (Debian: apt-get install prometheus) and run again',
    );
  }
  installPackages(['prometheus']);
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
