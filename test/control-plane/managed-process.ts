/** One server process of a control plane: started, ended, killed, frozen, and never outliving the test that started it. */
import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guardian } from './guardian.ts';

const START_DEADLINE_MS = 90_000;
const STOP_DEADLINE_MS = 60_000;
const LOOK_EVERY_MS = 50;
const SHOWN_LOG_CHARACTERS = 4_000;

export interface ProcessPlan {
  readonly name: string;
  readonly binary: string;
  readonly args: readonly string[];
  /** Where its output goes; it is shown when the process does not start. */
  readonly logFile: string;
  /** Answers true once the process serves. */
  readonly ready: () => Promise<boolean>;
  readonly env?: NodeJS.ProcessEnv;
  /** Where it runs. Default: beside the test process. */
  readonly place?: Place;
}

/** Namespaces that a process is started in by a wrapper, so that its child is not the process itself. */
export interface Place {
  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess;
  /** The process behind a child of `spawn`. */
  pidOf(child: ChildProcess): number | undefined;
}

/** What ends a process that the test left running. */
export type Watcher = Pick<Guardian, 'watch' | 'forget'>;

export class ManagedProcess {
  readonly #plan: ProcessPlan;
  readonly #guardian: Watcher;
  #child: ChildProcess | undefined;

  constructor(plan: ProcessPlan, guardian: Watcher) {
    this.#plan = plan;
    this.#guardian = guardian;
  }

  get running(): boolean {
    return this.#child !== undefined && hasNotEnded(this.#child);
  }

  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined;
  }

  /** Starts the process, on the same port and data as before, and waits until it serves. */
  async start(): Promise<void> {
    if (this.running) throw new Error(`${this.#plan.name} runs already`);
    const log = createWriteStream(this.#plan.logFile, { flags: 'a' });
    const child = this.#spawn();
    this.#child = child;
    let failure: string | undefined;
    child.once('error', (error) => (failure = error.message));
    child.once('exit', (code, signal) => (failure ??= `it ended with ${signal ?? `code ${String(code)}`}`));
    child.stdout?.pipe(log);
    child.stderr?.pipe(log);
    if (child.pid !== undefined) this.#guardian.watch(child.pid);
    const deadlineMs = performance.now() + START_DEADLINE_MS;
    while (!(await this.#plan.ready())) {
      if (failure !== undefined)
        throw new Error(`${this.#plan.name} did not start: ${failure}\n${this.log()}`);
      if (performance.now() > deadlineMs) {
        await this.kill();
        throw new Error(`${this.#plan.name} was not ready within ${START_DEADLINE_MS} ms\n${this.log()}`);
      }
      await delay(LOOK_EVERY_MS);
    }
  }

  /** SIGTERM, as an operator would, and waits for the end. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** kill -9 */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The process stands still: its sockets stay open and nothing is answered. */
  freeze(): void {
    this.#signal('SIGSTOP');
  }

  thaw(): void {
    this.#signal('SIGCONT');
  }

  /** The end of what it has printed. */
  log(): string {
    const { logFile } = this.#plan;
    return existsSync(logFile) ? readFileSync(logFile, 'utf8').slice(-SHOWN_LOG_CHARACTERS) : '';
  }

  #spawn(): ChildProcess {
    const { binary, args, env, place } = this.#plan;
    const options: SpawnOptions = {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(env === undefined ? {} : { env }),
    };
    return place === undefined ? spawn(binary, args, options) : place.spawn(binary, args, options);
  }

  #signal(signal: NodeJS.Signals): void {
    const child = this.#child;
    if (child === undefined) return;
    const pid = this.#plan.place?.pidOf(child);
    if (pid === undefined) child.kill(signal);
    else process.kill(pid, signal);
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    if (hasNotEnded(child)) {
      const exited = once(child, 'exit', { signal: AbortSignal.timeout(STOP_DEADLINE_MS) });
      this.#signal(signal);
      // A stopped process is not ended by SIGTERM before it goes on.
      this.#signal('SIGCONT');
      await exited;
    }
    this.#child = undefined;
    if (child.pid !== undefined) this.#guardian.forget(child.pid);
  }
}

function hasNotEnded(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Below the range from which systems take the ports of outgoing connections (Linux: 32768, others: 49152). */
const PORTS = { first: 20_000, count: 12_000 };

/**
 * A port that stays ours while its server is down: one from the ephemeral range could be taken by a client that
 * connects meanwhile, even by one that tries to reach that very port.
 */
export async function lastingPort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port was found from ${PORTS.first} on`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
