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

rmSync(dist, { recursive: true, force: true });
const tsc = join(root, 'node_modules/typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
  cwd: root,
});
writeFileSync(join(dist, 'broker/redis/scripts.js'), inlinedScripts());

/** In a function with `using` the compiler leaves the path of a dynamic import as it is: such a build fails where it is used. */
const unresolved = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter(
  (path) =>
    path.endsWith('.js') && /\bimport\(['"][^'"]*\.ts['"]\)/.test(readFileSync(join(dist, path), 'utf8')),
);
if (unresolved.length > 0)
  throw new Error(
    `these files import a .ts file at run time: move the import out of its function: ${unresolved.join(', ')}`,
  );
