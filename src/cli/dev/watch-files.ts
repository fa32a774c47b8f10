/** Notices that the tasks have changed: their modules and everything beside and below them, installed packages aside. */
import { type FSWatcher, watch } from 'node:fs';
import { dirname, extname, relative, resolve, sep } from 'node:path';
import type { Clock, Timer } from '../../runtime/clock.ts';

const SOURCES = new Set(['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs']);
/** Editors and compilers write several files: restart once, when they have come to rest. */
const SETTLE_MS = 250;

export interface WatchOptions {
  /** The tasks modules, as given. */
  readonly paths: readonly string[];
  readonly cwd: string;
  readonly clock: Pick<Clock, 'after'>;
  readonly onChange: (file: string) => void;
}

/** Calls back once for a burst of changes, with the path of the last of them. */
export function watchTasks({ paths, cwd, clock, onChange }: WatchOptions): Disposable {
  const folders = new Set(paths.map((path) => dirname(resolve(cwd, path))));
  let timer: Timer | undefined;
  const watchers = [...folders].flatMap((folder) =>
    startWatcher(folder, (name) => {
      if (!isSource(name)) return;
      timer?.[Symbol.dispose]();
      timer = clock.after(SETTLE_MS, () => onChange(relative(cwd, resolve(folder, name))));
    }),
  );
  return {
    [Symbol.dispose]: () => {
      timer?.[Symbol.dispose]();
      for (const watcher of watchers) watcher.close();
    },
  };
}

function startWatcher(folder: string, onName: (name: string) => void): readonly FSWatcher[] {
  try {
    const watcher = watch(folder, { recursive: true }, (_event, name) => {
      if (name !== null) onName(name);
    });
    // A folder that goes away cannot be watched any longer; the tasks in it are loaded already.
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    return [];
  }
}

function isSource(name: string): boolean {
  const parts = name.split(sep);
  if (parts.some((part) => part === 'node_modules' || part.startsWith('.'))) return false;
  return SOURCES.has(extname(name));
}
