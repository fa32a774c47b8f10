/** What the queue knows of each task: who publishes it, its executor and limit, how many run, and whether it is paused. */
import type { TaskDescription, TaskManifest } from '../../task/manifest.ts';
import type { Executor } from '../../task/run.ts';

export interface TaskEntry {
  readonly name: string;
  /** Undefined until a manifest names the task. */
  executor: Executor | undefined;
  maxConcurrency: number | undefined;
  running: number;
  paused: boolean;
}

/** The manifest that decides where several disagree: the newest build, then the greater hash. */
function isNewer(a: TaskManifest, b: TaskManifest): boolean {
  return a.builtAtMs > b.builtAtMs || (a.builtAtMs === b.builtAtMs && a.hash > b.hash);
}

export function descriptionIn(manifest: TaskManifest, task: string): TaskDescription | undefined {
  return manifest.tasks.find((description) => description.name === task);
}

export class TaskTable {
  readonly #entries = new Map<string, TaskEntry>();

  entry(name: string): TaskEntry {
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = { name, executor: undefined, maxConcurrency: undefined, running: 0, paused: false };
      this.#entries.set(name, entry);
    }
    return entry;
  }

  all(): Iterable<TaskEntry> {
    return this.#entries.values();
  }

  /**
   * Lets the newest of these manifests decide each task that any of them names; tasks that none names keep what they had.
   * @returns the names whose limit or executor changed
   */
  decide(manifests: Iterable<TaskManifest>): readonly string[] {
    const oldestFirst = [...manifests].sort((a, b) => (isNewer(a, b) ? 1 : -1));
    const deciding = new Map(
      oldestFirst.flatMap(({ tasks }) => tasks.map((task) => [task.name, task] as const)),
    );
    const changed: string[] = [];
    for (const [name, { executor, maxConcurrency }] of deciding) {
      const entry = this.entry(name);
      if (entry.executor === executor && entry.maxConcurrency === maxConcurrency) continue;
      entry.executor = executor;
      entry.maxConcurrency = maxConcurrency;
      changed.push(name);
    }
    return changed;
  }

  /** How many more runs of the task may start now. */
  roomFor(name: string): number {
    const { paused, maxConcurrency, running } = this.entry(name);
    if (paused) return 0;
    return maxConcurrency === undefined ? Infinity : Math.max(0, maxConcurrency - running);
  }
}
