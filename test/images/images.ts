/**
 * The images that the tests run: ours from the real `Dockerfile`, and whatever a test asks for. Built by buildah without
 * a registry, and kept outside the checkout under a key of all that goes in. Import it, or run it with names.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { buildOnce, say } from '../programs/build-once.ts';
import { buildArchive } from './buildah.ts';
import { ensureImageTools } from './machine.ts';
import { CACHE, hashOf, NODE_BASE, nodeBase } from './node-base.ts';
import PACKAGE from '../../package.json' with { type: 'json' };

export interface ImageArchive {
  /** What a pod calls it. */
  readonly name: string;
  /** For `ctr images import`. */
  readonly archive: string;
  /** Folders in which buildah finds its layers, its own and those below. */
  readonly stores: readonly string[];
}

export interface ImageRequest {
  readonly name: string;
  /** Folder that COPY takes files of. */
  readonly context: string;
  /** Below the context unless absolute. Default `Dockerfile`. */
  readonly dockerfile?: string;
  /** Build argument → value, or an image that was built here, by its name. */
  readonly args?: Readonly<Record<string, string | ImageArchive>>;
}

export const ROOT = resolve(import.meta.dirname, '../..');
const KEEP_MS = 24 * 60 * 60 * 1_000;
/** COPY and ADD of the context; those of other stages have their own inputs. */
const COPIED = /^(?:COPY|ADD)\s+(?!--from)(.+)\s+\S+$/gm;

/** Our images by their short names. */
const OURS = {
  node: nodeImage,
  tidemill: tidemillImage,
  worker: workerImage,
} as const;
export type OurImage = keyof typeof OURS;

/** Builds one of our images, unless it is there. */
export async function imageArchive(image: OurImage): Promise<ImageArchive> {
  return OURS[image]();
}

/** Builds an image of a test, unless one of the same inputs is there. `ARG NODE_IMAGE` gets the base of the tests. */
export async function buildImage(request: ImageRequest): Promise<ImageArchive> {
  ensureImageTools();
  const { name, context } = request;
  const dockerfile = fileOf(request);
  const text = readFileSync(dockerfile, 'utf8');
  const given: Record<string, string | ImageArchive> = { ...request.args };
  if (/^ARG NODE_IMAGE\b/m.test(text)) given['NODE_IMAGE'] ??= await nodeImage();
  const args = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, nameOf(value)]));
  // A store's path holds its key, so that an image on a changed one is another image.
  const stores = Object.values(given).flatMap((value) => (typeof value === 'string' ? [] : value.stores));
  const below = [...new Set(stores)];
  const slug = name.replaceAll(/[^a-z0-9.]+/gi, '-');
  const key = hashOf(name, text, JSON.stringify(args), ...below, ...inputs(context, text));
  const folder = join(CACHE, `${slug}-${key}`);
  await buildOnce(folder, async (work) => {
    say(`building the image ${name}`);
    const startMs = performance.now();
    const output = { store: join(work, 'store'), archive: join(work, 'image.tar') };
    await buildArchive({ name, context, dockerfile, args, below, ...output });
    say(`built the image ${name} in ${Math.round((performance.now() - startMs) / 1_000)} s`);
  });
  await forgetOld(slug, folder);
  return inFolder(name, folder, below);
}

function inFolder(name: string, folder: string, below: readonly string[]): ImageArchive {
  return { name, archive: join(folder, 'image.tar'), stores: [join(folder, 'store'), ...below] };
}

function nameOf(value: string | ImageArchive): string {
  return typeof value === 'string' ? value : value.name;
}

async function nodeImage(): Promise<ImageArchive> {
  ensureImageTools();
  return inFolder(NODE_BASE, await nodeBase(), []);
}

function tidemillImage(): Promise<ImageArchive> {
  return buildImage({
    name: `ghcr.io/tidemill/tidemill:${PACKAGE.version}`,
    context: ROOT,
    args: { TIDEMILL_COMMIT: commit() },
  });
}

async function workerImage(): Promise<ImageArchive> {
  return buildImage({
    name: `ghcr.io/tidemill/example-worker:${PACKAGE.version}`,
    context: join(ROOT, 'examples/worker'),
    args: { TIDEMILL_IMAGE: await tidemillImage() },
  });
}

/** The commit that the checkout stands at, with `-dirty` when files differ from it; `unknown` without git. */
export function commit(): string {
  const args = ['describe', '--always', '--exclude=*', '--abbrev=40', '--dirty'];
  try {
    return execFileSync('git', args, {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

function fileOf({ context, dockerfile = 'Dockerfile' }: ImageRequest): string {
  return isAbsolute(dockerfile) ? dockerfile : join(context, dockerfile);
}

/** Names, modes and contents of what the Dockerfile copies from its context. */
function inputs(context: string, text: string): readonly (string | Buffer)[] {
  const sources = [...text.matchAll(COPIED)].flatMap(([, paths = '']) => paths.split(/\s+/));
  return sources
    .filter((path) => !path.startsWith('--'))
    .flatMap((path) => matching(context, path).flatMap((found) => contents(context, found)));
}

function matching(context: string, pattern: string): readonly string[] {
  if (!pattern.includes('*')) return [pattern];
  const expression = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
  return readdirSync(context)
    .filter((name) => expression.test(name))
    .sort();
}

/** By names below the context: the same checkout at another place gives the same image. */
function contents(context: string, name: string): readonly (string | Buffer)[] {
  const path = join(context, name);
  if (!existsSync(path)) return [];
  const { mode } = statSync(path);
  if (statSync(path).isFile()) return [`${name}:${mode}`, readFileSync(path)];
  return readdirSync(path)
    .filter((found) => found !== 'node_modules')
    .sort()
    .flatMap((found) => contents(context, join(name, found)));
}

/** Another run may be using one of yesterday's. */
async function forgetOld(slug: string, current: string): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name);
    if (!new RegExp(`^${slug}-[0-9a-f]{12}$`).test(name) || path === current) continue;
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > KEEP_MS) await rm(path, { recursive: true, force: true });
  }
}

function isOurs(name: string): name is OurImage {
  return Object.hasOwn(OURS, name);
}

if (import.meta.main) {
  const names = process.argv.slice(2).filter(isOurs);
  if (names.length === 0) say(`usage: node test/images/images.ts ${Object.keys(OURS).join(' | ')}`);
  for (const name of names) process.stdout.write(`${(await imageArchive(name)).archive}\n`);
}
