/**
 * A copy of what was built, for processes of a long test: a build made meanwhile takes nothing from under their feet. A copy
 * can be changed in one place, which is how a test plants a bug that a suite must find.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

export class BuildCopy implements Disposable {
  readonly #folder: string;

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'tidemill-build-'));
    for (const name of ['bin', 'dist', 'package.json'])
      cpSync(join(ROOT, name), join(this.#folder, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  /** The script that a process of this build runs. */
  get entry(): string {
    return join(this.#folder, 'bin/tidemill.js');
  }

  /** Puts a file of ours beside the build: what it imports as `tidemill` is this build. @returns its path there */
  add(path: string): string {
    const copy = join(this.#folder, basename(path));
    cpSync(path, copy);
    return copy;
  }

  /**
   * Puts other text in the place of each occurrence, in whatever file of the build.
   * @throws AssertionError when the text is not there `times` times: then the code has moved on, and the plant must follow
   */
  replace(text: string, replacement: string, times: number): void {
    const dist = join(this.#folder, 'dist');
    const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.js'),
    );
    let found = 0;
    for (const file of files) {
      const parts = readFileSync(join(dist, file), 'utf8').split(text);
      found += parts.length - 1;
      if (parts.length > 1) writeFileSync(join(dist, file), parts.join(replacement));
    }
    assert.equal(found, times, `the build holds ${JSON.stringify(text)} another number of times`);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
