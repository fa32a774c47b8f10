/** Imports the modules that hold tasks. The paths come from the operator's flags, never from data. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf, TidemillError } from '../runtime/errors.ts';
import { type CollectedTasks, collectTasks, exportsTasks, type LoadedModule } from './registry.ts';

/**
 * Imports tasks modules and collects what they export.
 *
 * @param paths - absolute, or relative to `cwd`
 * @throws TidemillError TASKS_NOT_LOADED (with its cause), TASK_DUPLICATE, TASK_INVALID
 */
export async function loadTasks(paths: readonly string[], cwd: string): Promise<CollectedTasks> {
  if (paths.length === 0)
    throw new TidemillError('TASKS_NOT_LOADED', 'no tasks module was named: give at least one path');
  const modules: LoadedModule[] = [];
  // One after the other, so that of several broken modules it is always the first that is reported.
  for (const path of paths) modules.push(await importModule(path, resolve(cwd, path)));
  const collected = collectTasks(modules);
  if (collected.registry.names().length > 0) return collected;
  throw new TidemillError(
    'TASKS_NOT_LOADED',
    `no task is exported by ${paths.join(', ')}: export what defineTask() returns`,
  );
}

async function importModule(path: string, file: string): Promise<LoadedModule> {
  const namespace = await importFile(path, file);
  const { tasks, app } = exportsTasks(namespace);
  if (tasks || app) return { namespace, at: path };
  throw new TidemillError('TASKS_NOT_LOADED', `${path} exports no task: export what defineTask() returns`);
}

async function importFile(path: string, file: string): Promise<object> {
  try {
    const namespace: unknown = await import(pathToFileURL(file).href);
    return Object(namespace) as object;
  } catch (error) {
    throw new TidemillError(
      'TASKS_NOT_LOADED',
      `tasks module ${path} (${file}) cannot be loaded: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
