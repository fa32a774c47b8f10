/** Starts pools of real children for tests, asks them to run tasks of the zoo, and proves that nothing is left of them. */
import { existsSync, readFileSync } from 'node:fs';
import { createCpuPool, type CpuPool, type CpuPoolOptions } from '../../src/consumer/children/pool.ts';
import { StopError, type StopKind } from '../../src/consumer/stop-error.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { buildManifest } from '../../src/task/build-manifest.ts';
import type { TaskLog } from '../../src/task/define-task.ts';
import type { AttemptResult } from '../../src/task/invoke.ts';
import { loadTasks } from '../../src/task/load.ts';
import type { TaskRegistry } from '../../src/task/registry.ts';
import type { RunRequest } from '../../src/task/request.ts';
import type { RunRecord } from '../../src/task/run.ts';

export const FIXTURES = new URL('../fixtures/tasks/', import.meta.url).pathname;
export const ZOO = `${FIXTURES}zoo.ts`;

export interface LogEntry {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps what is logged, and can be waited on. */
export class RecordingLog implements TaskLog {
  readonly entries: LogEntry[] = [];
  readonly #watchers = new Set<() => void>();

  debug = this.#recorder('debug');
  info = this.#recorder('info');
  warn = this.#recorder('warn');
  error = this.#recorder('error');

  /** Lines of output of the stream, as they were logged. */
  lines(stream: 'stdout' | 'stderr'): readonly unknown[] {
    return this.entries
      .filter(({ message, fields }) => message === 'task output' && fields['stream'] === stream)
      .map(({ fields }) => fields['line']);
  }

  find(message: string): LogEntry | undefined {
    return this.entries.find((entry) => entry.message === message);
  }

  async has(message: string): Promise<LogEntry> {
    let found = this.find(message);
    while (found === undefined) {
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
      found = this.find(message);
    }
    return found;
  }

  #recorder(level: string) {
    return (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      this.entries.push({ level, message, fields });
      for (const watcher of this.#watchers) watcher();
      this.#watchers.clear();
    };
  }
}

export interface StartedRun {
  readonly result: Promise<AttemptResult>;
  readonly log: RecordingLog;
  readonly begun: Promise<unknown>;
  readonly enqueued: RunRequest[];
  stop(kind: StopKind): void;
}

export class TestPool implements AsyncDisposable {
  readonly pool: CpuPool;
  readonly log: RecordingLog;
  readonly registry: TaskRegistry;
  #runs = 0;

  constructor(pool: CpuPool, log: RecordingLog, registry: TaskRegistry) {
    this.pool = pool;
    this.log = log;
    this.registry = registry;
  }

  static async start(
    options: Partial<CpuPoolOptions> = {},
    modules: readonly string[] = [ZOO],
  ): Promise<TestPool> {
    const { registry } = await loadTasks(modules, FIXTURES);
    const log = new RecordingLog();
    const pool = createCpuPool({
      tasks: modules,
      cwd: FIXTURES,
      manifestHash: buildManifest(registry, 0).hash,
      env: {},
      log,
      size: 1,
      killGraceMs: 300,
      ...options,
    });
    return new TestPool(pool, log, registry);
  }

  /** Runs a task of the zoo to its end. */
  async run(task: string, params: unknown = {}): Promise<AttemptResult> {
    return this.begin(task, params).result;
  }

  /** Runs a task that returns something. */
  async resultOf(task: string, params: unknown = {}): Promise<unknown> {
    const result = await this.run(task, params);
    if (result.kind !== 'succeeded') throw new Error(`${task} ended as ${JSON.stringify(result)}`);
    return JSON.parse(result.result ?? 'null');
  }

  begin(
    task: string,
    params: unknown = {},
    enqueue?: (request: RunRequest) => Promise<'enqueued' | 'duplicate'>,
  ): StartedRun {
    const log = new RecordingLog();
    const controller = new AbortController();
    const enqueued: RunRequest[] = [];
    const begun = Promise.withResolvers<undefined>();
    const result = this.pool.execute({
      task: this.registry.get(task),
      record: record(`run-${++this.#runs}`, task, params),
      timeoutMs: 60_000,
      signal: controller.signal,
      log,
      enqueue: async (_queue, request) => {
        enqueued.push(request);
        return { id: request.id, outcome: (await enqueue?.(request)) ?? 'enqueued' };
      },
      started: () => begun.resolve(undefined),
    });
    const stop = (kind: StopKind): void =>
      controller.abort(new StopError(kind, `stopped by the test: ${kind}`));
    return { result, log, begun: begun.promise, enqueued, stop };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }
}

function record(id: string, task: string, params: unknown): RunRecord {
  return {
    id,
    queue: 'default',
    task,
    priority: 'medium',
    state: 'running',
    params: JSON.stringify(params),
    options: { source: 'cli' },
    attempt: 1,
    deaths: 0,
    enqueuedAtMs: systemClock.now(),
  };
}

/** Whether a process exists and is no zombie. */
export function isAlive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    // The state stands behind the name, which is in brackets and may hold anything.
    return (
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\)\s/s, '')
        .charAt(0) !== 'Z'
    );
  } catch {
    return false;
  }
}

/** Waits until a condition holds; fails after the deadline and says what it waited for. */
export async function eventually(what: string, condition: () => boolean, deadlineMs = 15_000): Promise<void> {
  const endMs = systemClock.monotonic() + deadlineMs;
  while (!condition()) {
    if (systemClock.monotonic() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await systemClock.sleep(20);
  }
}
