/** The base image of the tests: Debian by debootstrap, and the Node that the lockfile pins. Cached outside the checkout. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, copyFile, cp, link, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { buildOnce, say } from '../programs/build-once.ts';
import { buildArchive, storageDriver } from './buildah.ts';
import {
  aptConfiguration,
  CA_BUNDLE,
  debianMirror,
  npmConfiguration,
  npmFolder,
  trustedCertificates,
} from './machine.ts';

export const CACHE = join(homedir(), '.cache', 'tidemill', 'images');
export const NODE_BASE = 'localhost/node:24';
const SUITE = 'bookworm';
/** What `node:24-bookworm-slim` has beside the essential packages, and Node needs. */
const PACKAGES = ['ca-certificates', 'libatomic1'] as const;
const ROOT = join(import.meta.dirname, '../..');
const DOCKERFILE = join(import.meta.dirname, 'node-base.Dockerfile');

const run = promisify(execFile);

/** @returns the folder of the image: `image.tar` and `store` */
export async function nodeBase(): Promise<string> {
  const debian = await debianTree();
  const npm = npmFolder();
  const texts = {
    'etc/apt/apt.conf.d/90machine': aptConfiguration(),
    'usr/local/etc/npmrc': npmConfiguration(),
    [CA_BUNDLE.slice(1)]: trustedCertificates(),
  };
  const pinned = [
    storageDriver(),
    process.versions.node,
    versionOf(npm),
    basename(dirname(debian)),
    readFileSync(DOCKERFILE, 'utf8'),
  ];
  const folder = join(CACHE, `node-${process.versions.node}-${hashOf(...pinned, JSON.stringify(texts))}`);
  await buildOnce(folder, async (work) => {
    say(`building the Node ${process.versions.node} base image of the tests: once, about 30 s`);
    const overlay = join(work, 'overlay');
    await writeOverlay(overlay, texts, npm);
    await link(debian, join(work, 'debian.tar'));
    await buildArchive({
      name: NODE_BASE,
      context: work,
      dockerfile: DOCKERFILE,
      args: {},
      store: join(work, 'store'),
      archive: join(work, 'image.tar'),
    });
    await rm(overlay, { recursive: true });
    await rm(join(work, 'debian.tar'));
  });
  return folder;
}

/** The files that go over Debian's own: where `node:24-bookworm-slim` has them. */
async function writeOverlay(
  overlay: string,
  texts: Readonly<Record<string, string>>,
  npm: string,
): Promise<void> {
  const local = join(overlay, 'usr/local');
  await mkdir(join(local, 'bin'), { recursive: true });
  await copyFile(
    join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin/node'),
    join(local, 'bin/node'),
  );
  await chmod(join(local, 'bin/node'), 0o755);
  await cp(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
  for (const command of ['npm', 'npx'])
    await symlink(`../lib/node_modules/npm/bin/${command}-cli.js`, join(local, 'bin', command));
  for (const [path, text] of Object.entries(texts)) {
    await mkdir(dirname(join(overlay, path)), { recursive: true });
    await writeFile(join(overlay, path), text);
  }
}

/** @returns path of a tar of the smallest Debian */
async function debianTree(): Promise<string> {
  const mirror = debianMirror(SUITE);
  const folder = join(CACHE, `debian-${SUITE}-${hashOf(mirror, ...PACKAGES)}`);
  await buildOnce(folder, async (work) => {
    say(`making a Debian ${SUITE} with debootstrap from ${new URL(mirror).host}: once, about 2 min`);
    const tree = join(work, 'tree');
    const options = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, SUITE, tree, mirror];
    await run('debootstrap', options, { maxBuffer: 64 * 1024 * 1024 });
    const excluded = ['var/cache/apt/archives/*.deb', 'var/lib/apt/lists/*_*', 'dev/*', 'proc/*', 'sys/*'];
    const tar = ['--numeric-owner', ...excluded.map((path) => `--exclude=./${path}`)];
    await run('tar', [...tar, '-C', tree, '-cf', join(work, 'debian.tar'), '.']);
    await rm(tree, { recursive: true });
  });
  return join(folder, 'debian.tar');
}

function versionOf(npm: string): string {
  return readFileSync(join(npm, 'package.json'), 'utf8');
}

export function hashOf(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 12);
}
