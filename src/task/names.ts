/** The rules for names and ids, in one place, with the sentence a user sees when one is broken. */
import { TidemillError } from '../runtime/errors.ts';
import { quoted } from '../runtime/printable.ts';

/** Task names: also the rule of `spec.task` in the CRD. */
export const TASK_NAME_PATTERN = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/;
export const TASK_NAME_RULE =
  "lower-case letters, digits, '.', '_' or '-', beginning and ending with a letter or digit, at most 128 characters";
export const TASK_NAME_MAX_LENGTH = 128;
/** Names that begin so belong to tasks of our own: nobody else may define one, anybody may enqueue or schedule it. */
export const RESERVED_TASK_PREFIX = 'tidemill.';

/** Queue names are DNS labels: also the rule of `spec.queue`. */
export const QUEUE_NAME_PATTERN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
export const QUEUE_NAME_RULE =
  'a DNS label: lower-case letters, digits and -, beginning and ending with a letter or digit, at most 63 characters';
export const QUEUE_NAME_MAX_LENGTH = 63;
export const DEFAULT_QUEUE = 'default';

const RUN_ID_MAX_LENGTH = 256;
/** Printable ASCII without space; `@` is kept for scheduled runs and `:` for generated ids, which carry their queue. */
const GIVEN_RUN_ID_PATTERN = /^[!-9;-?A-~]+$/;

/** The last names that were found good: they are asked about at every run, and mostly the same one. */
let lastTaskName: string | undefined;
let lastQueueName: string | undefined;

export function isTaskName(name: string): boolean {
  if (name === lastTaskName) return true;
  const isGood = name.length <= TASK_NAME_MAX_LENGTH && TASK_NAME_PATTERN.test(name);
  if (isGood) lastTaskName = name;
  return isGood;
}

/** Whether it is, or may become, a task of our own. */
export function isReservedTaskName(name: string): boolean {
  return name.startsWith(RESERVED_TASK_PREFIX);
}

export function isQueueName(name: string): boolean {
  if (name === lastQueueName) return true;
  const isGood = name.length <= QUEUE_NAME_MAX_LENGTH && QUEUE_NAME_PATTERN.test(name);
  if (isGood) lastQueueName = name;
  return isGood;
}

/** @throws TidemillError QUEUE_NAME_INVALID */
export function checkQueueName(name: string): string {
  if (isQueueName(name)) return name;
  throw new TidemillError('QUEUE_NAME_INVALID', `queue ${quoted(name)} must be ${QUEUE_NAME_RULE}`);
}

/** Whether a producer may choose it. */
export function isGivenRunId(id: string): boolean {
  return id.length <= RUN_ID_MAX_LENGTH && GIVEN_RUN_ID_PATTERN.test(id);
}

/**
 * Checks an id that a producer chose.
 * @throws TidemillError RUN_ID_INVALID
 */
export function checkGivenRunId(id: string): string {
  if (isGivenRunId(id)) return id;
  throw new TidemillError(
    'RUN_ID_INVALID',
    `run id ${quoted(id)} must be 1 to ${RUN_ID_MAX_LENGTH} printable ASCII characters without space, '@' or ':' ` +
      `('@' is kept for scheduled runs, ':' for generated ids)`,
  );
}
