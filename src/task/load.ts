/** Imports the modules that hold tasks. The paths come from the operator's flags, never from data. */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { messageOf, TidemillError } from '../runtime/errors.ts';
import { ownRoot } from '../runtime/own-files.ts';
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
      `tasks module ${path} (${file}) cannot be loaded: ${messageOf(error)}${placeOf(error)}${hintFor(error, path)}`,
      { cause: error },
    );
  }
}

/** ` (at file:line)`: of a text that does not parse, Node writes the place above the name of the error. */
function placeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const [first = ''] = stack.split('\n', 1);
  const place = /^(?:file:\/\/)?\/.*:\d+$/.test(first) ? first : frameOf(stack);
  return place === undefined ? '' : ` (at ${readable(place)})`;
}

/** The nearest frame outside of Node, of our own code, and of installed packages where there is such a one. */
function frameOf(stack: string): string | undefined {
  const frames = [...stack.matchAll(/^\s+at (?:.*\()?((?:file:\/\/)?\/[^()]*:\d+:\d+)\)?$/gm)].flatMap(
    ([, place]) => place ?? [],
  );
  const ours = ownRoot();
  const own = frames.filter((place) => !place.includes('/node_modules/') && !place.startsWith(ours));
  return own[0] ?? frames[0];
}

function readable(place: string): string {
  if (!place.startsWith('file:')) return place;
  const [, url = place, position = ''] = /^(.*?)((?::\d+)+)$/.exec(place) ?? [];
  return `${fileURLToPath(url)}${position}`;
}

function hintFor(error: unknown, path: string): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  // Of JavaScript that does not parse, Node keeps the place to itself.
  if (error instanceof SyntaxError && placeOf(error) === '' && /js$/.test(path))
    return `; node --check ${path} shows the line`;
  if (code !== 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') return '';
  return '; Node only strips types, so enum, namespace and parameter properties cannot be used (erasableSyntaxOnly)';
}
