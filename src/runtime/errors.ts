/** Every error that Tidemill raises on purpose: one table of codes, one class, and a subclass only where a caller decides differently. */

/**
 * Code → what it means and what to do. `docs/reference/errors.md` is generated from this table.
 * Codes never change meaning; a new situation gets a new code.
 */
export const ERROR_CODES = {
  CONFIG_INVALID:
    'A flag, an environment variable or a settings file is missing or wrong. Every problem is listed; mend them and start again.',
  TASK_INVALID:
    'A task definition breaks a rule (name, retry, timeout, schedule …). The message names the task and the field.',
  TASK_DUPLICATE: 'Two tasks have the same name. Rename one of them.',
  TASK_UNKNOWN: 'No task of that name is registered here. The message lists near names.',
  TASKS_NOT_LOADED:
    'The tasks module does not exist or throws when it is imported. The cause holds what it threw.',
  DEPS_NOT_OPENED: 'The deps factory of defineApp() threw or rejected. The cause holds what it threw.',
  ENQUEUE_INVALID:
    'An option of an enqueue (runAt, delay, expiresIn, priority …) breaks a rule. Each problem names option, value and rule.',
  PARAMS_INVALID: 'Params do not fit the schema of the task. Each problem names its path and rule.',
  PARAMS_TOO_LARGE: 'Params are larger than 256 KiB as JSON. Store the data elsewhere and pass a reference.',
  RESULT_INVALID:
    'A task returned a value that is not JSON (a function, a cycle, a BigInt …). The message names the path.',
  RESULT_TOO_LARGE:
    'A task returned more than 64 KiB as JSON. Store the data elsewhere and return a reference.',
  RUN_ID_INVALID: 'A run id is empty, too long, or holds a character that is kept for Tidemill.',
  RUN_NOT_FOUND:
    'No run of that id is known: it never existed, or its record was dropped by age or by the byte budget.',
  RUN_FAILED: 'The awaited run ended without success. The error carries its state, reason and message.',
  RUN_STATE: 'The run is not in a state that allows this (for example redriving a run that has not failed).',
  WAIT_TIMEOUT: 'The awaited run did not end in time. It is still in the queue, and may still run.',
  REQUEST_PENDING:
    'No scheduler or controller has read the request for a run by hand yet. It waits in the queue for 10 minutes, and is then given up.',
  REQUEST_INVALID: 'The id of a request for a run by hand breaks a rule.',
  SCHEDULE_UNKNOWN:
    'No schedule of that name is known in this install, or several namespaces have one. The message lists near names.',
  QUERY_INVALID: 'A query parameter of an HTTP request breaks a rule. The message names it.',
  USAGE: 'The command line asks for what does not go together. The message says what to change.',
  TIME_INVALID: 'A time that was typed cannot be read, or does not exist in its time zone.',
  SCHEDULE_INVALID:
    'A cron expression, duration, time zone or offset breaks a rule. The message names field, value and rule.',
  MANIFEST_INVALID:
    'A YAML file or one of its objects is wrong. Each problem names file, line, field, value and rule.',
  QUEUE_NAME_INVALID: 'A queue name is not a DNS label of at most 63 characters.',
  QUEUE_UNKNOWN: 'No queue of that name was used yet in this Redis, with this prefix. Nothing was changed.',
  QUEUE_FULL:
    'The queue, or this schedule in it, holds as many pending runs as its limit allows. Nothing was enqueued.',
  BROKER_UNAVAILABLE:
    'Redis cannot be reached, or did not answer in time. What was sent may or may not have happened.',
  BROKER_REFUSED:
    'Redis answered with an error (full memory, full disk, missing right …). Nothing was changed.',
  BROKER_UNSUITABLE:
    'This Redis cannot be used: too old, wrong eviction policy, or retention budgets larger than its memory.',
  BROKER_FORMAT:
    'The data of this queue was written by a newer Tidemill. Upgrade this process; nothing was changed.',
  BROKER_CLOSED: 'The connection was closed by this process.',
  KUBE_UNAVAILABLE:
    'The Kubernetes API server cannot be reached, is overloaded, or did not answer in time. Writes may or may not have happened.',
  KUBE_FORBIDDEN:
    'The Kubernetes API server does not accept the credentials, or their rights do not cover this. The message names verb and resource.',
  KUBE_REFUSED:
    'The Kubernetes API server refused a request (not found, conflict, invalid object …). Nothing was changed.',
  LEASE_LOST:
    'This consumer no longer holds the run: its lease ended and another consumer may run it. Nothing was written.',
  NOT_LEADER:
    'Another scheduler leads, and its files differ from those here. Give all replicas the same files; nothing was changed.',
  CHILD_START: 'The child process for CPU-bound tasks does not start. The cause holds its last output.',
  CHILD_EXIT: 'A child process ended before it reported a result. The message names how it ended.',
  TASK_TIMEOUT: 'A run took longer than its timeout.',
  TASK_ABORTED: 'A task called abort(): the run ends as cancelled and is not retried.',
  RUN_CANCELLED: 'The run was cancelled while it ran: its signal aborts with this code.',
  SHUTDOWN:
    'The consumer stops and the run outlasted its grace: it goes back to the queue with no attempt used.',
  INTERNAL: 'A defect in Tidemill. Please report it with the message and stack.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error with a stable `code`; `cause` holds what led to it. */
export class TidemillError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** One wrong value among possibly many: what an error list is made of. */
export interface Problem {
  /** Where: a flag, variable, field path or `file:line`. */
  readonly at: string;
  /** What was expected, what came, and what to do, in one sentence. */
  readonly message: string;
}

/** Several problems reported at once, so that a user mends them in one go. */
export class ProblemsError extends TidemillError {
  readonly problems: readonly Problem[];

  constructor(
    code: ErrorCode,
    summary: string,
    problems: readonly Problem[],
    options?: { readonly cause?: unknown },
  ) {
    super(
      code,
      [summary, ...problems.map((problem) => `  ${problem.at}: ${problem.message}`)].join('\n'),
      options,
    );
    this.problems = problems;
  }
}

export const NON_RETRYABLE_BRAND = Symbol.for('tidemill.non-retryable');

/** A failure that no retry can mend: a task throws it to end its run at once, whatever attempts remain. */
export class NonRetryableError extends Error {
  /** Tells the class across copies of the package, and through subclasses with a name of their own. */
  readonly [NON_RETRYABLE_BRAND] = true;

  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'NonRetryableError';
  }
}

/** Message of anything that was thrown, for a log line or a record. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** For the end of a `switch` over a union: the compiler proves that it cannot be reached. */
export function unreachable(value: never): never {
  throw new TidemillError('INTERNAL', `unexpected value ${JSON.stringify(value)}`);
}
