/** The types of everything that a task is, and of everything that its `run` is given. */
import type { z } from 'zod';
import type { Schedule, ScheduleSpec } from '../schedule/schedule.ts';
import type { Executor, Priority } from './run.ts';

/** Marks our objects across copies of the package, where `instanceof` would not. */
export const CONTRACT_BRAND = Symbol.for('tidemill.contract');
export const TASK_BRAND = Symbol.for('tidemill.task');
/** Where a task keeps the app that it was defined by. */
export const TASK_APP = Symbol.for('tidemill.task.app');

/** Params of a task that takes none. */
export type NoParams = Record<string, never>;
/** What `{}` fits: where it fits a type, a value of that type may be left out. */
// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- `{}` is meant: to compare with, never to hold
export type Empty = Record<never, never>;
/** Dependencies of a task that was not defined through an app. */
export type NoDeps = Empty;

/**
 * The outside of a task: name, params, result. It can live in a module of its own, which producers import without the
 * implementation, and through which tasks enqueue themselves or each other.
 */
export interface TaskContract<Input = unknown, Output = unknown, Result = unknown> {
  readonly [CONTRACT_BRAND]: true;
  readonly name: string;
  /** Absent: the task takes no params. */
  readonly params: z.ZodType<Output, Input> | undefined;
  /** Checks what is stored, which is JSON: a reader who parses the stored result with it gets `Result`. */
  readonly result: z.ZodType<Result> | undefined;
}

/** What holds for every run of a task, with all defaults filled in. */
export interface TaskSettings {
  readonly description: string | undefined;
  readonly tags: readonly string[];
  readonly executor: Executor;
  readonly timeoutMs: number;
  readonly priority: Priority;
  readonly maxConcurrency: number | undefined;
  readonly retry: RetryPolicy;
  /** Schedules in code: in force in `dev` and `scheduler` only. */
  readonly schedules: readonly ScheduleSpec[];
}

/** A task is its own contract, plus how it runs. */
export interface Task<Input = unknown, Output = unknown, Result = unknown, Deps = unknown>
  extends TaskContract<Input, Output, Result>, TaskSettings {
  readonly [TASK_BRAND]: true;
  /** The app, for tasks of `app.defineTask`: its dependencies are opened even when nobody exports it. */
  readonly [TASK_APP]?: object;
  readonly run: (context: RunContext<Output, Deps>) => Result | Promise<Result>;
}

/** Any task, whatever its types: what the registry holds. */
export interface AnyTask extends TaskContract, TaskSettings {
  readonly [TASK_BRAND]: true;
  readonly [TASK_APP]?: object;
  /** A method, whose parameter TypeScript compares both ways: only `invokeTask` calls it, with what the task's own schema gave. */
  run(context: RunContext<unknown, unknown>): unknown;
}

export type InputOf<T> = T extends TaskContract<infer Input, infer _Output, infer _Result> ? Input : never;
export type OutputOf<T> = T extends TaskContract<infer _Input, infer Output, infer _Result> ? Output : never;
export type ResultOf<T> = T extends TaskContract<infer _Input, infer _Output, infer Result> ? Result : never;

/** All fields resolved; durations in ms. */
export interface RetryPolicy {
  /** Tries in all, the first one included. Default 1: no retry. */
  readonly attempts: number;
  /** Longest wait before the second attempt; it doubles with each further one. Default 1 s. */
  readonly backoffMs: number;
  /** No wait is longer. Default 10 min. */
  readonly maxBackoffMs: number;
  /** Decides for one error: false ends the run, a number of ms replaces the back-off, true or nothing keeps it. */
  readonly when?: RetryDecider;
}

export type RetryDecider = (error: unknown, attempt: number) => boolean | number | undefined;

export interface RunInfo {
  readonly id: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly queue: string;
  /** Nominal time of a scheduled run: what the schedule says, never when it was noticed. */
  readonly slot: Date | undefined;
  readonly parentId: string | undefined;
  /** The run at the top of the chain; the run itself when it has no parent. */
  readonly rootId: string;
  readonly schedule: { readonly namespace: string; readonly name: string } | undefined;
}

/** Structured log: constant message, values as fields. Bound to the run. */
export interface TaskLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface EnqueueOptions {
  /** Chosen id: enqueuing it again while it is known answers `duplicate`. */
  readonly id?: string;
  readonly runAt?: Date;
  /** A duration such as `'30s'` or a number of ms. */
  readonly delay?: string | number;
  /** The run ends as `expired` when nobody claimed it within this time from its being ready. */
  readonly expiresIn?: string | number;
  readonly priority?: Priority;
  /** Default: for a producer `default`, for a run the queue that it runs in. */
  readonly queue?: string;
}

export interface Enqueued {
  readonly id: string;
  readonly outcome: 'enqueued' | 'duplicate';
}

/** Params may be left out where `{}` would do. */
export type EnqueueArguments<Input> = Empty extends Input
  ? [params?: Input, options?: EnqueueOptions]
  : [params: Input, options?: EnqueueOptions];

/** Typed by the contract: wrong params do not compile. */
export type Enqueue = <Input, Output, Result>(
  task: TaskContract<Input, Output, Result>,
  ...rest: EnqueueArguments<Input>
) => Promise<Enqueued>;

/** The one argument of `run`. */
export interface RunContext<Params, Deps> {
  readonly params: Params;
  readonly run: RunInfo;
  /** Aborts at timeout, cancel, shutdown and lost lease. */
  readonly signal: AbortSignal;
  readonly log: TaskLog;
  /** Idempotent: a retry of this run enqueues the same child, not a second one. Resolves when the queue has it. */
  readonly enqueue: Enqueue;
  readonly deps: Deps;
  /** Ends this run as cancelled, with no retry. Throws, so nothing after it runs; catching it does not undo it. */
  readonly abort: (reason: string) => never;
}

/** A duration such as `'1h30m'` or `'500ms'`, or a number of ms. */
export type Duration = string | number;

export interface RetryOptions {
  /** Tries in all, the first one included: 1 to 100. Default 1. */
  readonly attempts?: number;
  /** Longest wait before the second attempt; it doubles with each further one. Default 1 s. */
  readonly backoff?: Duration;
  /** No wait is longer. Default 10 min. */
  readonly maxBackoff?: Duration;
  /** Decides for one error: false ends the run, a number of ms replaces the back-off, true or nothing keeps it. */
  readonly when?: RetryDecider;
}

/** How a task runs: everything about it that is not in its contract. */
export interface BehaviourOptions<Output, Result, Deps> {
  readonly description?: string;
  /** Words to filter by: at most 64 characters each. */
  readonly tags?: readonly string[];
  /** Runs in a child process of its own: for code that blocks. Default false. */
  readonly cpuBound?: boolean;
  /** Longest time of one attempt, from 1 ms to 7 days. Default 60 s. */
  readonly timeout?: Duration;
  readonly retry?: RetryOptions;
  /** Runs of this task at the same time in one queue, over all its consumers. Default: no limit. */
  readonly maxConcurrency?: number;
  /** Default medium. */
  readonly priority?: Priority;
  /** What `every()` or `cron()` gave. In force in `dev` and `scheduler`; params must then be valid as `{}`. */
  readonly schedule?: Schedule | readonly Schedule[];
  readonly run: (context: RunContext<Output, Deps>) => Result | Promise<Result>;
}

export interface ContractOptions<Input, Output, Result> {
  /** Lower-case letters, digits, '.', '_' or '-'; at most 128 characters. Part of the data in the queue: it must stay. */
  readonly name: string;
  /** Schema of the params. Producers send its input as JSON, `run` gets its output. Default: no params. */
  readonly params?: z.ZodType<Output, Input>;
  /** Schema of the returned value as JSON. Default: all JSON is taken. */
  readonly result?: z.ZodType<Result>;
}

/** A task that says its contract itself; its result is what `run` returns. */
export interface TaskOptions<Input, Output, Result, Deps>
  extends Omit<ContractOptions<Input, Output, Result>, 'result'>, BehaviourOptions<Output, Result, Deps> {
  readonly contract?: never;
  readonly result?: never;
}

/** A task whose result is given as a schema: `run` must return that. */
export interface TaskWithResultOptions<Input, Output, Result, Deps>
  extends ContractOptions<Input, Output, Result>, BehaviourOptions<Output, NoInfer<Result>, Deps> {
  readonly result: z.ZodType<Result>;
  readonly contract?: never;
}

/** A task that implements a contract from elsewhere. */
export interface ContractTaskOptions<Input, Output, Result, Deps> extends BehaviourOptions<
  NoInfer<Output>,
  NoInfer<Result>,
  Deps
> {
  readonly contract: TaskContract<Input, Output, Result>;
  readonly name?: never;
  readonly params?: never;
  readonly result?: never;
}

/**
 * Defines a task. Nothing starts: a consumer finds it among the exports of its tasks modules.
 * @throws TidemillError TASK_INVALID that lists every bad option
 */
export interface DefineTask<Deps> {
  <Input, Output, Result>(
    options: ContractTaskOptions<Input, Output, Result, Deps>,
  ): Task<Input, Output, Result, Deps>;
  <Result, Input = NoParams, Output = NoParams>(
    options: TaskWithResultOptions<Input, Output, Result, Deps>,
  ): Task<Input, Output, Result, Deps>;
  <Input = NoParams, Output = NoParams, Result = void>(
    // eslint-disable-next-line @typescript-eslint/unified-signatures -- apart, so that the result of a contract is inferred from it alone
    options: TaskOptions<Input, Output, Result, Deps>,
  ): Task<Input, Output, Result, Deps>;
}
