/** Builds what `invokeTask` needs: a run record, an app, a log that remembers, and a queue that remembers. */
import { openApp } from '../../src/task/app.ts';
import type { AnyApp, LoadedApp } from '../../src/task/app.ts';
import type { Attempt } from '../../src/task/attempt.ts';
import type { RunRequest } from '../../src/task/request.ts';
import type { RunRecord } from '../../src/task/run.ts';
import type { AnyTask, Enqueued, TaskLog } from '../../src/task/types.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class MemoryLog implements TaskLog {
  readonly lines: LogLine[] = [];
  readonly debug: TaskLog['debug'] = (message, fields) => this.#add('debug', message, fields);
  readonly info: TaskLog['info'] = (message, fields) => this.#add('info', message, fields);
  readonly warn: TaskLog['warn'] = (message, fields) => this.#add('warn', message, fields);
  readonly error: TaskLog['error'] = (message, fields) => this.#add('error', message, fields);

  #add(level: string, message: string, fields: LogLine['fields'] = {}): void {
    this.lines.push({ level, message, fields });
  }
}

export function runRecord(task: Pick<AnyTask, 'name'>, changes: Partial<RunRecord> = {}): RunRecord {
  return {
    id: 'run-1',
    queue: 'default',
    task: task.name,
    priority: 'medium',
    state: 'running',
    params: '{}',
    options: { source: 'api' },
    attempt: 1,
    deaths: 0,
    enqueuedAtMs: 0,
    ...changes,
  };
}

/** An app as a process has it after start. */
export function loadedApp(app?: AnyApp, log: TaskLog = new MemoryLog()): Promise<LoadedApp> {
  return openApp(app, { log });
}

export interface TestAttempt extends Attempt {
  readonly log: MemoryLog;
  /** What reached the queue, in order. */
  readonly sent: { readonly queue: string; readonly request: RunRequest }[];
}

export interface AttemptOptions {
  readonly record?: Partial<RunRecord>;
  readonly app?: AnyApp;
  readonly signal?: AbortSignal;
  readonly enqueue?: (queue: string, request: RunRequest) => Promise<Enqueued>;
}

export async function attemptOf(task: AnyTask, options: AttemptOptions = {}): Promise<TestAttempt> {
  const log = new MemoryLog();
  const sent: TestAttempt['sent'] = [];
  const accept = async (_queue: string, { id }: RunRequest): Promise<Enqueued> => ({
    id,
    outcome: 'enqueued',
  });
  return {
    task,
    record: runRecord(task, options.record),
    app: await loadedApp(options.app, log),
    signal: options.signal ?? new AbortController().signal,
    log,
    sent,
    enqueue: (queue, request) => {
      sent.push({ queue, request });
      return (options.enqueue ?? accept)(queue, request);
    },
  };
}

/** Something to wait for, settled from outside. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return { opened: promise, open: () => resolve(undefined) };
}
