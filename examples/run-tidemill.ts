/** Runs the `tidemill` command in a process of its own, beside something else that must outlive it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** @returns its exit code */
export function runTidemill(args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const binary = join(import.meta.dirname, '../bin/tidemill.js');
  const tidemill = spawn(process.execPath, [binary, ...args], {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  // Ctrl-C reaches both processes: this one waits for the other to stop cleanly. SIGTERM comes to this one alone.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => tidemill.kill('SIGTERM'));
  return new Promise((resolve) => {
    tidemill.once('exit', (code) => {
      resolve(code ?? 1);
    });
  });
}
