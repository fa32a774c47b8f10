/** What schedules ask of the tasks at hand: a name that no task has, params that its schema refuses. */
import { encodeParams } from '../task/params.ts';
import { didYouMean } from '../task/near-names.ts';
import type { TaskRegistry } from '../task/registry.ts';
import type { ParsedObject } from '../resource/manifest.ts';
import { messageOf, type Problem, ProblemsError } from '../runtime/errors.ts';
import { quote } from '../schedule/schedule-error.ts';

/** Pure, but for what the authors' schemas do. Async refinements are left to the run. */
export function taskProblems(
  objects: readonly ParsedObject[],
  registry: Pick<TaskRegistry, 'find' | 'names'>,
): readonly Problem[] {
  return objects.flatMap(({ spec, at }) => {
    const task = registry.find(spec.task);
    if (task === undefined) {
      const hint = didYouMean(spec.task, registry.names());
      return [{ at, message: `spec.task: there is no task ${quote(spec.task)}${hint}` }];
    }
    try {
      encodeParams(task, spec.params);
      return [];
    } catch (error) {
      if (!(error instanceof ProblemsError)) return [{ at, message: `spec.params: ${messageOf(error)}` }];
      return error.problems.map((problem) => ({ at, message: `spec.${problem.at}: ${problem.message}` }));
    }
  });
}
