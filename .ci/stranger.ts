/** An empty project that knows Tidemill from its tarball alone, and the sentences of the checks that are made in it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');
const INSTALL = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];

export class Stranger implements Disposable {
  readonly folder: string;

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `tidemill-${name}-`));
    this.file('package.json', JSON.stringify({ name: 'stranger', private: true, type: 'module' }));
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  file(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  install(...packages: readonly string[]): void {
    this.run('npm', [...INSTALL, ...packages]);
  }

  /** @returns what it wrote to stdout; fails when the program fails */
  run(command: string, args: readonly string[]): string {
    return run(command, args, this.folder);
  }

  node(...args: readonly string[]): string {
    return this.run(process.execPath, args);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function run(command: string, args: readonly string[], cwd: string): string {
  // The scripts of a project run with this Node, whatever else the machine has.
  const PATH = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`;
  const env = { ...process.env, PATH };
  return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

/** @returns the path of the tarball */
export function pack(into: Stranger): string {
  run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', into.folder], ROOT);
  const name = readdirSync(into.folder).find((found) => found.endsWith('.tgz'));
  if (name === undefined) throw new Error('npm pack made no tarball');
  return into.path(name);
}

export function say(what: string): void {
  process.stdout.write(`  ok  ${what}\n`);
}

export function expect(actual: string, wanted: string, what: string): void {
  if (actual.trim() !== wanted)
    throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual.trim())}`);
  say(what);
}
