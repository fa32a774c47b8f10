/** How the commands end, in one table: for scripts, for `--help`, and for the reference page. */
import type { ErrorCode } from '../runtime/errors.ts';

export const EXIT = {
  /** Done, and the answer is yes. */
  ok: 0,
  /** Done, and the answer is no: the run failed, it is not known, a check found something. */
  failure: 1,
  /** The command line is wrong: unknown command or flag, missing argument, params that do not fit. */
  usage: 2,
  /** Redis or the API server of Kubernetes cannot be reached or refuses. Trying again later may help. */
  unavailable: 69,
  /** A setting, a tasks module, a manifest or the server's own configuration is wrong. Trying again does not help. */
  config: 78,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_MEANINGS: readonly { readonly code: ExitCode; readonly meaning: string }[] = [
  { code: EXIT.ok, meaning: 'done, and the answer is yes' },
  {
    code: EXIT.failure,
    meaning: 'done, and the answer is no (a run failed or is not known, a check found something)',
  },
  { code: EXIT.usage, meaning: 'the command line is wrong, or params do not fit the task' },
  {
    code: EXIT.unavailable,
    meaning: 'Redis or the API server cannot be reached or refuses: try again later',
  },
  {
    code: EXIT.config,
    meaning: 'a setting, tasks module, manifest or the Redis configuration is wrong: mend it first',
  },
];

const BY_ERROR: Readonly<Partial<Record<ErrorCode, ExitCode>>> = {
  BROKER_CLOSED: EXIT.unavailable,
  BROKER_FORMAT: EXIT.config,
  BROKER_REFUSED: EXIT.unavailable,
  BROKER_UNAVAILABLE: EXIT.unavailable,
  BROKER_UNSUITABLE: EXIT.config,
  CHILD_START: EXIT.config,
  CONFIG_INVALID: EXIT.config,
  KUBE_UNAVAILABLE: EXIT.unavailable,
  MANIFEST_INVALID: EXIT.config,
  PARAMS_INVALID: EXIT.usage,
  PARAMS_TOO_LARGE: EXIT.usage,
  REQUEST_INVALID: EXIT.usage,
  QUEUE_NAME_INVALID: EXIT.usage,
  RUN_ID_INVALID: EXIT.usage,
  SCHEDULE_INVALID: EXIT.config,
  DEPS_NOT_OPENED: EXIT.config,
  ENQUEUE_INVALID: EXIT.usage,
  TIME_INVALID: EXIT.usage,
  USAGE: EXIT.usage,
  TASK_DUPLICATE: EXIT.config,
  TASK_INVALID: EXIT.config,
  TASK_UNKNOWN: EXIT.usage,
  TASKS_NOT_LOADED: EXIT.config,
};

export function exitCodeOf(code: ErrorCode): ExitCode {
  return BY_ERROR[code] ?? EXIT.failure;
}
