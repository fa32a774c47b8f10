/**
 * Builds `dist/`: declarations as the compiler makes them from `src/`, and JavaScript as few files: what the entry points
 * have in common stands in `dist/chunks`. A module of its own costs a process about 0.5 ms at its start. Nothing but code is
 * read at run time: the Lua scripts and the version are inlined.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import PACKAGE from '../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Made beside, and put into its place whole: whoever uses `dist/` meanwhile has the old one. */
const fresh = join(root, `node_modules/.cache/tidemill-build-${process.pid}`);

/** What others import, what `bin/` starts, and what we start as threads and processes ourselves. */
const ENTRY_POINTS = [
  ...['index', 'client', 'testing', 'cli/launch', 'cli/kubectl/program'],
  ...['broker/redis/heartbeat-thread', 'consumer/loop-watcher'],
  ...['consumer/children/child-main', 'consumer/children/parent-watch-thread'],
];

/** Stands for the path from a file to `dist/`. Which file code ends up in is known only afterwards. */
const TO_DIST = '@@to-dist@@';

/** Takes the place of `broker/redis/lua-files.js`: the same export, and the texts inside. */
function luaFiles(): string {
  const folder = join(root, 'src/broker/redis/lua');
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.lua'),
  );
  const texts = paths.map((path): [string, string] => [
    path.slice(0, -'.lua'.length),
    readFileSync(join(folder, path), 'utf8'),
  ]);
  const files = JSON.stringify(Object.fromEntries(texts), null, 2);
  return `const FILES = ${files};\nexport const luaFile = (path) => FILES[path];\n`;
}

/** Takes the place of `runtime/own-files.js`. */
const OWN_FILES = [
  `export const ownFile = (path) => new URL('${TO_DIST}' + path + '.js', import.meta.url);`,
  `export const ownRoot = () => new URL('${TO_DIST}', import.meta.url).href;`,
].join('\n');

/** Takes the place of `cli/build-files.js`. */
const buildFiles = (commit: string): string =>
  `export const version = () => ${JSON.stringify(PACKAGE.version)};\nexport const commit = () => ${JSON.stringify(commit)};\n`;

/** The commit that is built, with `-dirty` when files differ from it: beside the sources, nothing else goes into a build. */
function commit(): string {
  const given = process.env['TIDEMILL_COMMIT'];
  if (given !== undefined && given !== '') return given;
  try {
    return git('describe', '--always', '--exclude=*', '--abbrev=40', '--dirty');
  } catch {
    process.stderr.write(
      'the build does not know its commit: there is no git repository here, and TIDEMILL_COMMIT is not set\n',
    );
    return 'unknown';
  }
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}

function compile(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', fresh], {
    stdio: 'inherit',
    cwd: root,
  });
  writeFileSync(join(fresh, 'broker/redis/lua-files.js'), luaFiles());
  writeFileSync(join(fresh, 'runtime/own-files.js'), OWN_FILES);
  writeFileSync(join(fresh, 'cli/build-files.js'), buildFiles(commit()));
}

/** Puts the files that the compiler made together. Names stay as they are, so that stack traces can be read. */
async function bundle(): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: ENTRY_POINTS.map((path) => join(fresh, `${path}.js`)),
    absWorkingDir: fresh,
    outdir: fresh,
    outbase: fresh,
    chunkNames: 'chunks/[name]-[hash]',
    ...{ bundle: true, splitting: true, format: 'esm', platform: 'node', target: 'node22.12' },
    ...{ packages: 'external', legalComments: 'none', logLevel: 'warning', write: false },
  });
  for (const path of javascript(fresh)) rmSync(path);
  for (const { path, text } of outputFiles) {
    const toDist = relative(dirname(path), fresh);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text.replaceAll(TO_DIST, toDist === '' ? './' : `${toDist}/`));
  }
}

function javascript(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.js'))
    .map((path) => join(folder, path));
}

try {
  compile();
  await bundle();
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
