/** The tasks of a worker by name, found among the exports of its modules. */
import { TidemillError } from '../runtime/errors.ts';
import { quote } from '../schedule/schedule-error.ts';
import { type AnyApp, isApp } from './app.ts';
import { BUILT_IN_TASKS } from './built-in-tasks.ts';
import { isTask } from './define-task.ts';
import { nearNames } from './near-names.ts';
import { type AnyTask, TASK_APP } from './types.ts';

/** A module as `import()` gave it, and where it came from. */
export interface LoadedModule {
  readonly namespace: object;
  /** For messages: the path of the file. */
  readonly at: string;
}

export interface CollectedTasks {
  readonly registry: TaskRegistry;
  readonly app: AnyApp | undefined;
}

export class TaskRegistry {
  readonly #tasks = new Map<string, AnyTask>();

  /** @throws TidemillError TASK_DUPLICATE when two different tasks have one name */
  constructor(tasks: Iterable<AnyTask> = []) {
    for (const task of tasks) {
      const known = this.#tasks.get(task.name);
      if (known !== undefined && known !== task) {
        throw new TidemillError(
          'TASK_DUPLICATE',
          `two tasks are named ${quote(task.name)}: rename one of them`,
        );
      }
      this.#tasks.set(task.name, task);
    }
  }

  /** One of these tasks, or a built-in one. */
  find(name: string): AnyTask | undefined {
    return this.#tasks.get(name) ?? BUILT_IN_TASKS.find((task) => task.name === name);
  }

  /** @throws TidemillError TASK_UNKNOWN that names what is near */
  get(name: string): AnyTask {
    const task = this.find(name);
    if (task !== undefined) return task;
    throw new TidemillError('TASK_UNKNOWN', `no task is named ${quote(name)}; ${this.#hint(name)}`);
  }

  /** Without the built-in ones, as `all`. */
  names(): readonly string[] {
    return [...this.#tasks.keys()].sort();
  }

  /** In the order of their names. */
  all(): readonly AnyTask[] {
    return this.names().flatMap((name) => this.#tasks.get(name) ?? []);
  }

  #hint(name: string): string {
    const near = nearNames(name, this.#tasks.keys());
    if (near.length > 0) return `did you mean ${near.map((one) => quote(one)).join(' or ')}?`;
    const names = this.names();
    if (names.length === 0) return 'no task is registered at all';
    return `known tasks are ${names.slice(0, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}`;
  }
}

/**
 * Finds every exported task, and those in a default-exported array or record.
 * @throws TidemillError TASK_DUPLICATE naming both places, TASK_INVALID for a second app
 */
export function collectTasks(modules: readonly LoadedModule[]): CollectedTasks {
  const found = new Map<string, { readonly task: AnyTask; readonly at: string }>();
  let app: { readonly app: AnyApp; readonly at: string } | undefined;
  for (const { namespace, at } of modules) {
    for (const value of exportedValues(namespace)) {
      if (isTask(value)) addTask(found, value, at);
      const itsApp = isTask(value) ? value[TASK_APP] : value;
      if (isApp(itsApp)) app = onlyApp(app, itsApp, at);
    }
  }
  return { registry: new TaskRegistry([...found.values()].map(({ task }) => task)), app: app?.app };
}

/** Whether a module exports anything for us. */
export function exportsTasks(namespace: object): { readonly tasks: boolean; readonly app: boolean } {
  const values = exportedValues(namespace);
  return { tasks: values.some(isTask), app: values.some(isApp) };
}

function addTask(
  found: Map<string, { readonly task: AnyTask; readonly at: string }>,
  task: AnyTask,
  at: string,
): void {
  const known = found.get(task.name);
  if (known !== undefined && known.task !== task) {
    const places = known.at === at ? `both in ${at}` : `in ${known.at} and in ${at}`;
    throw new TidemillError(
      'TASK_DUPLICATE',
      `two tasks are named ${quote(task.name)}, ${places}: rename one of them`,
    );
  }
  found.set(task.name, known ?? { task, at });
}

function onlyApp(
  known: { readonly app: AnyApp; readonly at: string } | undefined,
  app: AnyApp,
  at: string,
): { readonly app: AnyApp; readonly at: string } {
  if (known === undefined || known.app === app) return known ?? { app, at };
  const places = known.at === at ? `both in ${at}` : `in ${known.at} and in ${at}`;
  throw new TidemillError(
    'TASK_INVALID',
    `there are two apps, ${places}: a worker has one, shared by all its tasks`,
  );
}

/** Exports, and the members of a default export that is an array or a record (a CommonJS module arrives as one). */
function exportedValues(namespace: object): readonly unknown[] {
  const exported = valuesOf(namespace);
  const byDefault: unknown = 'default' in namespace ? namespace.default : undefined;
  if (typeof byDefault !== 'object' || byDefault === null || isTask(byDefault) || isApp(byDefault))
    return exported;
  return [...exported, ...valuesOf(byDefault)];
}

function valuesOf(from: object): readonly unknown[] {
  return Object.keys(from).flatMap((key) => {
    try {
      return [Reflect.get(from, key) as unknown];
    } catch {
      return []; // a getter that throws holds no task of ours
    }
  });
}
