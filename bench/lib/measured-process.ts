/** A process that a bench starts, which tells what it measured in lines on its stdout. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { z } from 'zod';

const MARK = 'BENCH ';
const DEADLINE_MS = 120_000;
const STOP_DEADLINE_MS = 40_000;
const LINES_KEPT = 40;

/** Called in the process: at once, whatever else it writes, and whoever took over `console`. */
export function tell(message: object): void {
  writeSync(1, `${MARK}${JSON.stringify(message)}\n`);
}

/** A clock that all processes of this machine share, ms: the kernel's monotonic one. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

type Waiter = (message: string | undefined) => void;

export class MeasuredProcess implements AsyncDisposable {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #messages: string[] = [];
  readonly #waiters: Waiter[] = [];
  #lastLines: string[] = [];
  #isOver = false;

  /** @param args - the file to run first; flags of Node may stand before it */
  constructor(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#name = name;
    this.#child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...env },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.#isOver = true;
        for (const waiter of this.#waiters.splice(0)) waiter(undefined);
        resolve();
      });
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#name} did not start`);
    return this.#child.pid;
  }

  /** The next message, in the order in which they were told. */
  async next<Schema extends z.ZodType>(schema: Schema, deadlineMs = DEADLINE_MS): Promise<z.output<Schema>> {
    const message = this.#messages.shift() ?? (await this.#arrival(deadlineMs));
    if (message === undefined) {
      const state = this.#isOver ? 'ended' : `was silent for ${deadlineMs} ms`;
      throw new Error(`${this.#name} ${state}; it printed:\n${this.#lastLines.join('\n')}`);
    }
    return schema.parse(JSON.parse(message));
  }

  /** As its operator would: resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#isOver) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  #read(line: string): void {
    if (!line.startsWith(MARK)) {
      this.#lastLines = [...this.#lastLines.slice(1 - LINES_KEPT), line];
      return;
    }
    const message = line.slice(MARK.length);
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#messages.push(message);
    else waiter(message);
  }

  #arrival(deadlineMs: number): Promise<string | undefined> {
    if (this.#isOver) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const waiter: Waiter = (message) => {
        clearTimeout(timer);
        resolve(message);
      };
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        resolve(undefined);
      }, deadlineMs);
      this.#waiters.push(waiter);
    });
  }
}

/** Settings of whoever runs the bench must not become those of what is measured. */
function cleanEnvironment(): Record<string, string> {
  const kept: [string, string][] = [];
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(TIDEMILL|NODE|BENCH)_/.test(name)) kept.push([name, value]);
  }
  return Object.fromEntries(kept);
}
