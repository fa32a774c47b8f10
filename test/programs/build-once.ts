/** Makes a folder of a cache once: complete or absent, and by one process at a time. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from '../support/is-alive.ts';

const LOOK_EVERY_MS = 500;

/**
 * @param folder the final place; what is there is taken as complete
 * @param fill puts everything into the folder that it is given, which is then moved to the final place whole
 */
export async function buildOnce(folder: string, fill: (work: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  await withLock(folder, async () => {
    // Whoever held the lock before has perhaps just made it.
    if (existsSync(folder)) return;
    const work = await mkdtemp(`${folder}.`);
    try {
      await fill(work);
      await rename(work, folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

async function withLock(folder: string, work: () => Promise<void>): Promise<void> {
  const lock = `${folder}.lock`;
  for (let told = false; !(await take(lock)); told = true) {
    if (!told)
      say(
        `another process makes ${basename(folder)}: waiting for it (its lock is ${lock.replace(homedir(), '~')})`,
      );
    await delay(LOOK_EVERY_MS);
  }
  try {
    await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const holder = Number(await readFile(lock, 'utf8').catch(() => ''));
  // A holder that was killed left its lock; between its creation and its first byte a lock names nobody.
  if (holder > 0 && !isAlive(holder)) await rm(lock, { force: true });
  return false;
}

/** Progress, for whoever waits: on stderr. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
