/**
 * `tidemill`: what task authors import. Authoring only: it opens no connection and starts nothing, so that a child
 * process or a producer that imports a tasks module loads no more than this.
 */
export { NonRetryableError, TidemillError } from './runtime/errors.ts';
export type { ErrorCode } from './runtime/errors.ts';
export { cron } from './schedule/cron.ts';
export { every } from './schedule/every.ts';
export type { Schedule } from './schedule/schedule.ts';
export { defineApp } from './task/app.ts';
export type { App, AppOptions, TaskFailure, WrapContext } from './task/app.ts';
export { defineContract, defineTask } from './task/define-task.ts';
export type { Priority, RunError } from './task/run.ts';
export type {
  Enqueue,
  Enqueued,
  EnqueueOptions,
  InputOf,
  OutputOf,
  ResultOf,
  RetryOptions,
  RunContext,
  RunInfo,
  Task,
  TaskContract,
  TaskLog,
} from './task/types.ts';
