/** Builds `dist/`: JavaScript and declarations from `src/`, with the Lua scripts inlined so that no file is read at run time. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCRIPT_NAMES, scriptSource } from '../src/broker/redis/scripts.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** Takes the place of `broker/redis/scripts.js`: the same exports, and the texts inside. */
function inlinedScripts(): string {
  const sources = Object.fromEntries(SCRIPT_NAMES.map((name) => [name, scriptSource(name)]));
  return [
    '/** The Lua scripts as texts, inlined by the build. */',
    `export const SCRIPT_NAMES = ${JSON.stringify(SCRIPT_NAMES)};`,
    `const SOURCES = ${JSON.stringify(sources, null, 2)};`,
    'export function scriptSource(name) {\n  return SOURCES[name];\n}\n',
  ].join('\n');
}

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

rmSync(dist, { recursive: true, force: true });
const tsc = join(root, 'node_modules/typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
  cwd: root,
});
writeFileSync(join(dist, 'broker/redis/scripts.js'), inlinedScripts());
writeFileSync(join(dist, 'build.json'), `${JSON.stringify({ commit: commit() })}\n`);

/** In a function with `using` the compiler leaves the path of a dynamic import as it is: such a build fails where it is used. */
const unresolved = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter(
  (path) =>
    path.endsWith('.js') && /\bimport\(['"][^'"]*\.ts['"]\)/.test(readFileSync(join(dist, path), 'utf8')),
);
if (unresolved.length > 0)
  throw new Error(
    `these files import a .ts file at run time: move the import out of its function: ${unresolved.join(', ')}`,
  );
