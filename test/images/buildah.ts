/**
 * Builds Dockerfiles by buildah, without a registry. Every image has a store of its own that holds no more than its own
 * layers: the images below it are read from their stores, so that a build copies none of them.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

export interface Build {
  /** What the image is called, in the store and wherever the archive is imported. */
  readonly name: string;
  readonly context: string;
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
  /** Stores of the images that the Dockerfile is FROM. Default none. */
  readonly below?: readonly string[];
  /** Where the store is made. Default: it is not kept. */
  readonly store?: string;
  /** The archive that is written (OCI). */
  readonly archive: string;
}

interface Storage {
  /** Written. */
  readonly store: string;
  /** Temporary files and mounts. */
  readonly run: string;
  /** Read. */
  readonly below: readonly string[];
}

const SHOWN_CHARACTERS = 6_000;
const POLICY = join(import.meta.dirname, 'policy.json');
/** Takes no registry's word for anything: there is none. */
const WITH_POLICY = new Set(['build', 'from', 'push']);

/** @throws Error with the end of what buildah said */
export async function buildArchive(request: Build): Promise<void> {
  const { name, context, dockerfile, args, below = [], archive } = request;
  const run = await mkdtemp(join(tmpdir(), 'tidemill-buildah-'));
  const storage = { store: request.store ?? join(run, 'store'), run, below };
  const buildArgs = Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
  // One layer a stage, and times of zero: the same inputs give the same image.
  const options = ['--pull-never', '--layers=false', '--timestamp', '0', '--network', 'host', ...buildArgs];
  try {
    await buildah(storage, ['build', ...options, '--file', dockerfile, '--tag', name, context]);
    const target = `oci-archive:${archive}:${name}`;
    await buildah(storage, ['push', '--quiet', '--disable-compression', name, target]);
  } finally {
    await rm(run, { recursive: true, force: true });
  }
}

/** Runs `work` with the image mounted. */
export async function withMounted<T>(
  { name, stores }: { readonly name: string; readonly stores: readonly string[] },
  work: (image: { readonly root: string; readonly configuration: unknown }) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-image-'));
  const storage = { store: join(folder, 'store'), run: folder, below: stores };
  try {
    const container = (await buildah(storage, ['from', '--quiet', '--pull-never', name])).trim();
    const root = (await buildah(storage, ['mount', container])).trim();
    try {
      const configuration: unknown = JSON.parse(
        await buildah(storage, ['inspect', '--type', 'container', container]),
      );
      return await work({ root, configuration });
    } finally {
      await buildah(storage, ['umount', container]);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

let driver: 'overlay' | 'vfs' | undefined;

/** overlay where the kernel lets us mount it; vfs copies whole trees, and works everywhere. */
export function storageDriver(): 'overlay' | 'vfs' {
  if (driver !== undefined) return driver;
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-driver-'));
  const places = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run')];
  try {
    execFileSync('buildah', [...places, '--storage-driver', 'overlay', 'images'], { stdio: 'ignore' });
    driver = 'overlay';
  } catch {
    driver = 'vfs';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return driver;
}

/** @returns what it wrote to stdout */
async function buildah({ store, run, below }: Storage, args: readonly string[]): Promise<string> {
  const [command = '', ...rest] = args;
  const places = ['--root', store, '--runroot', join(run, 'run'), '--storage-driver', storageDriver()];
  for (const path of below) places.push('--storage-opt', `${storageDriver()}.imagestore=${path}`);
  const policy = WITH_POLICY.has(command) ? ['--signature-policy', POLICY] : [];
  const child = spawn('buildah', [...places, command, ...policy, ...rest], {
    env: { ...process.env, BUILDAH_ISOLATION: 'chroot', TMPDIR: run },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let all = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    all += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => (all += chunk.toString()));
  const [code] = z
    .tuple([z.number().nullable()])
    .rest(z.unknown())
    .parse(await once(child, 'close'));
  if (code !== 0)
    throw new Error(`buildah ${command} ended with ${String(code)}:\n${all.slice(-SHOWN_CHARACTERS)}`);
  return stdout;
}
