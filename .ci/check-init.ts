/** Uses what `tidemill init` writes as its README says: install, check, build, and `dev` until Ctrl-C. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { run, say, Stranger } from './stranger.ts';

const DEADLINE_MS = 45_000;
/** What must be seen before Ctrl-C: of a schedule in a file and of one in code, of an IO task and of a CPU-bound one. */
const WANTED: Readonly<Record<string, RegExp>> = {
  'the schedule in the file fires': /"event":"fired".*"schedule":"default\/hello"/,
  'the schedule in code fires': /"event":"fired".*"task":"heartbeat"/,
  'hello runs': /"event":"run","outcome":"succeeded".*"task":"hello"/,
  'count-primes runs': /"event":"run","outcome":"succeeded".*"task":"count-primes"/,
};

const Manifest = z.looseObject({
  scripts: z.looseObject({ dev: z.string(), test: z.string().optional() }),
  devDependencies: z.looseObject({ tidemill: z.string() }),
});

/** @param project - has Tidemill installed */
export async function checkInit(project: Stranger, tarball: string): Promise<void> {
  // Beside the project, not in it: what is installed there must not help.
  using worker = new Stranger('worker');
  const folder = worker.path('my-worker');
  project.node('node_modules/tidemill/bin/tidemill.js', 'init', folder);
  const manifest = Manifest.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
  // Not published yet, or published with other contents: the tarball is what is checked.
  manifest.devDependencies.tidemill = `file:${tarball}`;
  worker.file('my-worker/package.json', JSON.stringify(manifest));
  const npm = (...args: readonly string[]): string => run('npm', args, folder);
  npm('install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error');
  say('tidemill init, and npm install in what it made');
  npm('run', '--silent', 'check');
  npm('run', '--silent', 'build');
  if (manifest.scripts.test !== undefined) npm('test', '--silent');
  say('its types and manifests are right, and it builds');
  const [, ...args] = manifest.scripts.dev.split(' ');
  await checkDev([join(folder, 'node_modules/tidemill/bin/tidemill.js'), ...args], folder);
  say('its dev fires, runs, and stops at Ctrl-C');
}

async function checkDev(args: readonly string[], cwd: string): Promise<void> {
  const dev = spawn(process.execPath, [...args, '--json', '--http-port', '0'], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const missing = new Set(Object.keys(WANTED));
  let output = '';
  const interrupt = (): void => void dev.kill('SIGINT');
  const asking = setTimeout(interrupt, DEADLINE_MS);
  const killing = setTimeout(() => dev.kill('SIGKILL'), DEADLINE_MS + 10_000);
  const read = (chunk: Buffer): void => {
    if (missing.size === 0) return;
    output += chunk.toString();
    for (const [what, pattern] of Object.entries(WANTED)) if (pattern.test(output)) missing.delete(what);
    if (missing.size === 0) interrupt();
  };
  dev.stdout.on('data', read);
  dev.stderr.on('data', read);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    dev.once('close', (exitCode, exitSignal) => resolve([exitCode, exitSignal]));
  });
  clearTimeout(asking);
  clearTimeout(killing);
  if (code === 0 && missing.size === 0) return;
  throw new Error(
    `dev ended with ${code ?? signal ?? 'nothing'}; not seen within ${DEADLINE_MS} ms: ${[...missing].join(', ') || 'nothing'}\n${output}`,
  );
}
