/** Runs one attempt of a task in a unit test, with no broker, no consumer and no clock of the machine. */
import { invokeTask } from '../task/invoke.ts';
import { makeRequest } from '../task/make-request.ts';
import { decideOutcome } from '../task/retry.ts';
import type { LoadedApp } from '../task/app.ts';
import type { RunRequest } from '../task/request.ts';
import type { Outcome, RunError, RunRecord } from '../task/run.ts';
import type { Empty, RunInfo, Task, TaskContract, TaskLog } from '../task/types.ts';

/** A line that the task logged. */
export interface LoggedLine {
  readonly level: keyof TaskLog;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A child that the task enqueued. */
export interface EnqueuedRun extends Omit<RunRequest, 'params'> {
  readonly queue: string;
  /** As the child's task gets them before its schema: parsed JSON. */
  readonly params: unknown;
}

interface CommonRunOptions {
  /** Aborts the run as a timeout, cancel or shutdown would. Default: never aborts. */
  readonly signal?: AbortSignal;
  /** Parts of the identity of the run, such as `{ attempt: 2 }` or `{ slot: new Date(…) }`. */
  readonly run?: Partial<RunInfo>;
}

type ParamsOption<Input> = Empty extends Input ? { readonly params?: Input } : { readonly params: Input };
type DepsOption<Deps> = Empty extends Deps ? { readonly deps?: Deps } : { readonly deps: Deps };

/** `params` and `deps` may be left out where `{}` would do. */
export type RunTaskOptions<Input, Deps> = CommonRunOptions & ParamsOption<Input> & DepsOption<Deps>;
type RunTaskArguments<Input, Deps> = Empty extends ParamsOption<Input> & DepsOption<Deps>
  ? [options?: RunTaskOptions<Input, Deps>]
  : [options: RunTaskOptions<Input, Deps>];

export interface TaskRunReport<Result> {
  /** What the task returned; `undefined` when it did not succeed. */
  readonly result: Result | undefined;
  readonly enqueued: readonly EnqueuedRun[];
  readonly logs: readonly LoggedLine[];
  /** What the queue would be told. A retry's `delayMs` is the longest that the back-off gives. */
  readonly outcome: Outcome;
  /** The failure as it would be stored; `undefined` when there is none. */
  readonly error: RunError | undefined;
  /** What the task itself threw, for `assert.equal` and `instanceof`. */
  readonly thrown: unknown;
}

/**
 * Runs one attempt of a task exactly as a consumer does: params through JSON and schema, the result checked and capped,
 * children recorded with the ids they would have. A failing task does not throw here: look at `outcome` and `error`.
 *
 * @throws ProblemsError PARAMS_INVALID when the params do not fit, as `enqueue` would
 */
export async function runTask<Input, Output, Result, Deps>(
  task: Task<Input, Output, Result, Deps>,
  ...[options]: RunTaskArguments<Input, Deps>
): Promise<TaskRunReport<Result>> {
  const given: CommonRunOptions & { readonly params?: Input; readonly deps?: Deps } = options ?? {};
  const record = recordOf(task, given.params, given.run ?? {});
  const enqueued = new Map<string, EnqueuedRun>();
  const log = new LogRecorder();
  const seen: { returned?: Result; thrown?: unknown } = {};

  const attemptResult = await invokeTask({
    task: {
      ...task,
      run: (context: Parameters<typeof task.run>[0]) => observed(seen, async () => task.run(context)),
    },
    record,
    app: appOf(given.deps ?? {}),
    signal: given.signal ?? new AbortController().signal,
    log,
    enqueue: async (queue, request) => {
      const known = enqueued.has(request.id);
      if (!known) enqueued.set(request.id, { ...request, queue, params: JSON.parse(request.params) });
      return { id: request.id, outcome: known ? 'duplicate' : 'enqueued' };
    },
  });
  const outcome = decideOutcome(attemptResult, {
    attempt: record.attempt,
    policy: task.retry,
    random: () => 1,
  });
  return {
    result: outcome.kind === 'succeeded' ? seen.returned : undefined,
    enqueued: [...enqueued.values()],
    logs: log.lines,
    outcome,
    error: 'error' in outcome ? outcome.error : undefined,
    thrown: seen.thrown,
  };
}

/** Keeps the values themselves: only their JSON and text leave `invokeTask`. */
async function observed<Result>(
  seen: { returned?: Result; thrown?: unknown },
  body: () => Promise<Result>,
): Promise<Result> {
  try {
    return (seen.returned = await body());
  } catch (error) {
    seen.thrown = error;
    throw error;
  }
}

const TEST_UID = 'test-schedule';

function recordOf(task: TaskContract, params: unknown, run: Partial<RunInfo>): RunRecord {
  const queue = run.queue ?? 'default';
  const { request } = makeRequest(task, params, undefined, {
    queue,
    source: 'api',
    makeId: () => run.id ?? 'test-run',
  });
  const schedule = run.schedule ?? (run.slot && { namespace: 'default', name: task.name });
  return {
    ...request,
    queue,
    state: 'running',
    attempt: run.attempt ?? 1,
    deaths: 0,
    enqueuedAtMs: 0,
    options: {
      source: schedule === undefined ? 'api' : 'schedule',
      ...(run.parentId !== undefined && { parentId: run.parentId }),
      ...(run.rootId !== undefined && { rootId: run.rootId }),
      ...(schedule && {
        schedule: { uid: TEST_UID, ...schedule, ...(run.slot && { slotMs: run.slot.getTime() }) },
      }),
    },
  };
}

function appOf(deps: unknown): LoadedApp {
  return {
    deps,
    wrap: undefined,
    onFailure: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

class LogRecorder implements TaskLog {
  readonly lines: LoggedLine[] = [];

  debug(message: string, fields?: LoggedLine['fields']): void {
    this.#add('debug', message, fields);
  }

  info(message: string, fields?: LoggedLine['fields']): void {
    this.#add('info', message, fields);
  }

  warn(message: string, fields?: LoggedLine['fields']): void {
    this.#add('warn', message, fields);
  }

  error(message: string, fields?: LoggedLine['fields']): void {
    this.#add('error', message, fields);
  }

  #add(level: keyof TaskLog, message: string, fields: LoggedLine['fields'] = {}): void {
    this.lines.push({ level, message, fields });
  }
}
