/** `tidemill/testing`: one attempt of a task (`runTask`), or the whole system on a virtual clock (`createWorld`). */
export {
  type EnqueuedRun,
  type LoggedLine,
  runTask,
  type RunTaskOptions,
  type TaskRunReport,
} from './testing/run-task.ts';
export { createWorld, type World, type WorldOptions, type WorldRun } from './testing/world.ts';
