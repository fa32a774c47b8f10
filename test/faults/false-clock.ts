/** Wall clocks that are wrong, or step, for processes that are started under them (libfaketime). Monotonic time stays right. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canInstall, installPackages } from '../support/apt.ts';

const LIBRARIES = '/usr/lib';

function findLibrary(): string | undefined {
  return readdirSync(LIBRARIES)
    .map((machine) => join(LIBRARIES, machine, 'faketime/libfaketime.so.1'))
    .find((path) => existsSync(path));
}

function library(): string {
  const found = findLibrary();
  if (found !== undefined) return found;
  if (canInstall()) installPackages(['libfaketime']);
  const installed = findLibrary();
  if (installed === undefined)
    throw new Error(
      'rows with wrong clocks need libfaketime: install it (Debian: apt-get install libfaketime)',
    );
  return installed;
}

export class FalseClock {
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  /** @param setting - as libfaketime has it: `+0`, `-1h`, `+30 x1.2` */
  constructor(folder: string, name: string, setting: string) {
    this.#file = join(folder, `${name}.clock`);
    this.set(setting);
    this.env = {
      LD_PRELOAD: library(),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** How far the clock of a process that is started now is from ours. */
  offsetMs(): number {
    const shown = execFileSync(process.execPath, ['-p', 'Date.now()'], {
      encoding: 'utf8',
      env: { ...process.env, ...this.env },
    });
    return Number(shown) - Date.now();
  }

  /** The clocks of all its processes step at once. */
  set(setting: string): void {
    writeFileSync(this.#file, setting);
  }
}
