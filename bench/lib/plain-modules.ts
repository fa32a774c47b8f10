/** Writes modules of a bench as plain JavaScript, as they stand in a worker's image: no types are stripped at its start. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';

const BENCH = join(import.meta.dirname, '..');
const PLAIN = join(BENCH, 'node_modules/.plain');

/**
 * @param paths - below `bench/`: the module and those it imports
 * @returns the path of the first
 */
export function plainModules(first: string, ...others: readonly string[]): string {
  for (const path of [first, ...others]) {
    const plain = stripTypeScriptTypes(readFileSync(join(BENCH, path), 'utf8'));
    const target = plainPath(path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, plain.replaceAll(/(from '\.[^']*)\.ts'/g, "$1.js'"));
  }
  writeFileSync(join(PLAIN, 'package.json'), '{"type":"module"}');
  return plainPath(first);
}

/** @returns the path of a module with this text, from which `tidemill` can be imported */
export function generatedModule(name: string, text: string): string {
  mkdirSync(PLAIN, { recursive: true });
  writeFileSync(join(PLAIN, 'package.json'), '{"type":"module"}');
  writeFileSync(plainPath(name), text);
  return plainPath(name);
}

function plainPath(path: string): string {
  return join(PLAIN, path.replace(/\.ts$/, '.js'));
}
