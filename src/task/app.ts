/** What the tasks of one worker share: dependencies opened once per process, and hooks around every run. */
import { messageOf, TidemillError } from '../runtime/errors.ts';
import { taskBuilder } from './define-task.ts';
import { OptionCheck, requireOptions, shown } from './option-check.ts';
import type { DefineTask, NoDeps, RunContext, RunInfo, TaskLog } from './types.ts';

const APP_BRAND = Symbol.for('tidemill.app');

/** What `wrap` sees: the context of the run, and which task it is. */
export interface WrapContext<Deps> extends RunContext<unknown, Deps> {
  readonly task: { readonly name: string };
}

/** A failed attempt, as `onFailure` is told. */
export interface TaskFailure<Deps> {
  readonly task: { readonly name: string };
  readonly run: RunInfo;
  /** What was thrown; a `RunError` where nothing was (a child that died, a run that ignored its timeout). */
  readonly error: unknown;
  /** No further attempt follows. */
  readonly final: boolean;
  readonly deps: Deps;
  readonly log: TaskLog;
}

export interface AppOptions<Deps> {
  /**
   * Opens what the tasks need, once per process and once per child process. Members that are `AsyncDisposable` or
   * `Disposable` are disposed at stop, the last first; a record that is itself disposable disposes its members itself.
   */
  readonly deps?: (context: { readonly log: TaskLog }) => Deps | Promise<Deps>;
  /** Called after every failed attempt, in the process that ran it or saw it die. What it throws is logged, no more. */
  readonly onFailure?: (failure: TaskFailure<Deps>) => unknown;
  /**
   * Surrounds every run: call `next()` once. What it throws fails the run; it cannot turn a failure into a success, and
   * the result stays what the task returned.
   */
  readonly wrap?: (context: WrapContext<Deps>, next: () => Promise<unknown>) => unknown;
}

export interface App<Deps> {
  readonly [APP_BRAND]: true;
  readonly options: AppOptions<Deps>;
  /** `defineTask` whose `run` gets these `deps`. */
  readonly defineTask: DefineTask<Deps>;
}

/** Any app, whatever its dependencies. Methods, so that TypeScript compares their parameters both ways. */
export interface AnyApp {
  readonly [APP_BRAND]: true;
  readonly options: {
    deps?(context: { readonly log: TaskLog }): unknown;
    onFailure?(failure: TaskFailure<unknown>): unknown;
    wrap?(context: WrapContext<unknown>, next: () => Promise<unknown>): unknown;
  };
}

/** An app whose dependencies are open. Disposing it disposes them; twice is harmless. */
export interface LoadedApp extends AsyncDisposable {
  readonly deps: unknown;
  readonly wrap: ((context: WrapContext<unknown>, next: () => Promise<unknown>) => unknown) | undefined;
  /** Never rejects. */
  readonly onFailure: (failure: Omit<TaskFailure<unknown>, 'deps'>) => Promise<void>;
}

/**
 * Defines what all tasks of a worker share. Its tasks bring it along; nothing is opened before a process starts.
 * @throws ProblemsError (TASK_INVALID)
 */
export function defineApp<Deps extends object = NoDeps>(options: AppOptions<Deps>): App<Deps> {
  requireOptions('an app', options);
  const check = new OptionCheck();
  check.knownKeys('', options, ['deps', 'onFailure', 'wrap']);
  for (const [hook, value] of Object.entries(options)) {
    if (value !== undefined && typeof value !== 'function')
      check.add(hook, `must be a function, not ${shown(value)}`);
  }
  check.done('TASK_INVALID', 'the app is not valid:');
  const app: App<Deps> = Object.freeze({
    [APP_BRAND]: true as const,
    options,
    defineTask: taskBuilder<Deps>(() => app),
  });
  return app;
}

export function isApp(value: unknown): value is AnyApp {
  return typeof value === 'object' && value !== null && APP_BRAND in value && value[APP_BRAND] === true;
}

/**
 * Opens the dependencies of an app; without an app there is nothing to open.
 * @throws TidemillError DEPS_NOT_OPENED with what the factory threw as its cause
 */
export async function openApp(
  app: AnyApp | undefined,
  { log }: { readonly log: TaskLog },
): Promise<LoadedApp> {
  const deps = await openDeps(app, log);
  let disposal: Promise<void> | undefined;
  return {
    deps,
    wrap: app?.options.wrap?.bind(app.options),
    onFailure: (failure) => reportFailure(app, { ...failure, deps }),
    [Symbol.asyncDispose]: () => (disposal ??= disposeDeps(deps, log)),
  };
}

async function openDeps(app: AnyApp | undefined, log: TaskLog): Promise<unknown> {
  try {
    return (await app?.options.deps?.({ log })) ?? {};
  } catch (error) {
    throw new TidemillError('DEPS_NOT_OPENED', `deps() of the app failed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function reportFailure(app: AnyApp | undefined, failure: TaskFailure<unknown>): Promise<void> {
  try {
    await app?.options.onFailure?.(failure);
  } catch (error) {
    failure.log.error('onFailure of the app failed', { err: error });
  }
}

async function disposeDeps(deps: unknown, log: TaskLog): Promise<void> {
  const own = disposerOf(deps);
  const members = typeof deps === 'object' && deps !== null ? Object.entries(deps).reverse() : [];
  const disposers =
    own === undefined
      ? members.map(([name, member]) => ({ name, dispose: disposerOf(member) }))
      : [{ name: 'deps', dispose: own }];
  for (const { name, dispose } of disposers) {
    try {
      await dispose?.();
    } catch (error) {
      // The process is on its way out, and the others still have to be disposed.
      log.error('a dependency failed to dispose', { dependency: name, err: error });
    }
  }
}

function disposerOf(value: unknown): (() => unknown) | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined;
  for (const symbol of [Symbol.asyncDispose, Symbol.dispose]) {
    const dispose: unknown = Reflect.get(value, symbol);
    if (typeof dispose === 'function') return () => Reflect.apply(dispose, value, []) as unknown;
  }
  return undefined;
}
