/** A real `tidemill` process of a test: started from the sources, watched line by line, killed, frozen, and always ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const SOURCES = join(import.meta.dirname, 'tidemill-entry.ts');
/** The binary, which runs what was built: for benches, which measure what is shipped. */
export const BUILT = join(import.meta.dirname, '../../bin/tidemill.js');
const DEFAULT_DEADLINE_MS = 30_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class TidemillProcess implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #exit: Exit | undefined;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}, entry: string = SOURCES) {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !name.startsWith('TIDEMILL_') && !name.startsWith('NODE_'),
    );
    this.#child = spawn(process.execPath, [entry, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...Object.fromEntries(inherited), ...env },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        this.#wake();
      });
    }
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        this.#wake();
        resolve(this.#exit);
      });
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the process did not start');
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** The first line, past or future, that fits. Fails with everything that was printed when none comes or the process ends. */
  async line(pattern: RegExp, deadlineMs = DEFAULT_DEADLINE_MS): Promise<string> {
    let seen = 0;
    const find = (): string | undefined => {
      while (seen < this.lines.length) {
        const line = this.lines[seen++];
        if (line !== undefined && pattern.test(line)) return line;
      }
      return undefined;
    };
    const endMs = performance.now() + deadlineMs;
    while (true) {
      const line = find();
      if (line !== undefined) return line;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0 || !this.running) {
        throw new Error(
          `no line fits ${pattern} (${this.running ? 'running' : JSON.stringify(this.#exit)}); printed:\n${this.lines.slice(-60).join('\n')}`,
        );
      }
      await this.#nextChange(leftMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) {
      this.#child.kill('SIGCONT');
      this.#child.kill('SIGKILL');
    }
    await this.exited;
  }

  #nextChange(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#watchers.add(done);
    });
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
