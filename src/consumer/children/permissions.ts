/**
 * Children under the permission model of Node: they read what they load, write nothing and start nothing, beyond what the
 * operator allows. It stops accidents and careless dependencies; code that means harm is no match for it, as Node says itself.
 */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TidemillError } from '../../runtime/errors.ts';
import { ownRoot } from '../../runtime/own-files.ts';

/** What Node refuses as a whole, by the names that its own flags have. */
export const CHILD_RIGHTS = ['child-process', 'worker', 'addons', 'wasi'] as const;
export type ChildRight = (typeof CHILD_RIGHTS)[number];

/** What restricted children may do besides reading what they load. */
export interface ChildPermissions {
  /** Files and folders, absolute or relative to the working directory of the children. */
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly allow: readonly ChildRight[];
}

/** Said to a restricted child that may not start threads: the watch of its parent is one, and has to be the last. */
export const NO_THREADS = 'no-threads';

/** Of Node's, about a flag that is given because there is no other way, and whose right is given up again. */
const WORKER_WARNING = 'PERM0006';

/**
 * Stays open: on Node 24 it cannot be closed, and closed it is on later ones unless they are told, which they warn of. That the
 * experiments of a tasks module are warned of is left to this process, which loads it too.
 */
const NETWORK: readonly string[] = process.allowedNodeEnvironmentFlags.has('--allow-net')
  ? ['--allow-net', '--disable-warning=ExperimentalWarning']
  : [];

/** @param loads - the task modules, and the folder that relative ones begin at */
export function permissionFlags(
  permissions: ChildPermissions,
  loads: { readonly tasks: readonly string[]; readonly cwd: string },
): readonly string[] {
  const absolute = (path: string): string => resolve(loads.cwd, path);
  const reads = [...loadedPaths(loads.tasks.map(absolute)), ...permissions.read.map(absolute)];
  const rights = new Set<ChildRight>([...permissions.allow, 'worker']);
  return [
    '--permission',
    `--disable-warning=${WORKER_WARNING}`,
    ...flags('fs-read', reads),
    ...flags('fs-write', permissions.write.map(absolute)),
    ...[...rights].map((right) => `--allow-${right}`),
    ...NETWORK,
  ];
}

const flags = (kind: string, paths: readonly string[]): readonly string[] =>
  [...new Set(paths)].map((path) => `--allow-${kind}=${path}`);

/** Where modules come from: the folders of the tasks and our own, and the packages that can be found from there. */
function loadedPaths(modules: readonly string[]): readonly string[] {
  const files = modules.flatMap((path) => [path, realPath(path)]);
  const folders = [...files.map(dirname), fileURLToPath(ownRoot())].map((folder) => resolve(folder));
  const packages = folders
    .flatMap(ancestors)
    .flatMap((folder) => [join(folder, 'node_modules'), join(folder, 'package.json')]);
  // With the root folder everything could be read: of a module that lies there, only itself.
  return [
    ...files,
    ...folders.filter((folder) => dirname(folder) !== folder),
    ...packages.filter(existsSync),
  ];
}

function ancestors(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...ancestors(parent)];
}

/** A path that leads nowhere is reported when the module is loaded. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * Gives up the right to start threads. A thread of one's own choosing is not restricted at all, so that a child which keeps
 * this right is not restricted either.
 * @throws TidemillError CHILD_START where Node cannot do it
 */
export function giveUpThreads(): void {
  const drop: unknown = Reflect.get(process.permission, 'drop');
  if (typeof drop === 'function') Reflect.apply(drop, process.permission, ['worker']);
  if (!process.permission.has('worker')) return;
  throw new TidemillError(
    'CHILD_START',
    `Node ${process.versions.node} cannot take back the right to start threads, without which children are not restricted: ` +
      'use Node 24.20, 26.4 or newer, or do without --child-restricted',
  );
}

/** The flags that a thread of ours is restricted by, as it takes over none by itself. */
export function ownPermissionFlags(): readonly string[] {
  return process.execArgv.filter((flag) => /^--(permission$|allow-(fs|net))/.test(flag));
}
