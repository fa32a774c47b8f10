/** The tasks that every consumer has besides its own: for checks that go the whole way of a run. */
import { defineTask } from './define-task.ts';
import { RESERVED_TASK_PREFIX } from './names.ts';
import type { AnyTask } from './types.ts';

/** What the noop returns: a reader of the result sees that it was stored, and by whom. */
export const NOOP_RESULT = 'done';

/** `defineTask` refuses the prefix to everybody, so the name is put in afterwards. */
function builtIn(name: string, task: AnyTask): AnyTask {
  return Object.freeze({ ...task, name: `${RESERVED_TASK_PREFIX}${name}` });
}

/** Does nothing, and succeeds: enqueue, claim, execution, result. `tidemill doctor --run-noop` runs it. */
export const NOOP = builtIn(
  'noop',
  defineTask({
    name: 'noop',
    description: 'Does nothing: tidemill doctor --run-noop runs it to see that a queue works',
    timeout: '10s',
    run: () => NOOP_RESULT,
  }),
);

/** In the order of their names. */
export const BUILT_IN_TASKS: readonly AnyTask[] = [NOOP];
