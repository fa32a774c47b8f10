/** Makes the request for a run out of what a producer, the CLI or a task gives: the one place that checks enqueue options. */
import { TidemillError } from '../runtime/errors.ts';
import { isTask } from './define-task.ts';
import { generatedRunId } from './ids.ts';
import { checkGivenRunId, checkQueueName, isTaskName, TASK_NAME_RULE } from './names.ts';
import { OptionCheck, type Range, shown } from './option-check.ts';
import { encodeParams, encodeParamsUnchecked } from './params.ts';
import type { RunRequest } from './request.ts';
import type { Priority, RunOptions, RunSource } from './run.ts';
import type { EnqueueOptions, TaskContract } from './types.ts';

const OPTION_KEYS = ['id', 'runAt', 'delay', 'expiresIn', 'priority', 'queue'];
/** What a duration can say at most: 99,999 hours, about 11 years. */
const DELAY_RANGE: Range = { least: 0, most: 99_999 * 3_600_000 };
const EXPIRY_RANGE: Range = { least: 1, most: DELAY_RANGE.most };

/** What the caller decides, and not the options. */
export interface RequestOrigin {
  /** Queue when the options name none. */
  readonly queue: string;
  readonly source: RunSource;
  /** Lineage of a run that a run enqueues. */
  readonly lineage?: { readonly parentId: string; readonly rootId: string };
  /** Makes the id when the options give none. Default: a random one that carries the queue. */
  readonly makeId?: (queue: string, task: string, params: string) => string;
}

export interface QueuedRequest {
  readonly queue: string;
  readonly request: RunRequest;
}

/**
 * Checks everything about a run to be made.
 *
 * @param target - a contract or task, whose schema then checks the params, or only the name of a task
 * @throws TidemillError TASK_INVALID, PARAMS_INVALID, PARAMS_TOO_LARGE, RUN_ID_INVALID, QUEUE_NAME_INVALID, and
 *   ENQUEUE_INVALID with every other bad option
 */
export function makeRequest(
  target: TaskContract | string,
  params: unknown,
  options: EnqueueOptions | undefined,
  origin: RequestOrigin,
): QueuedRequest {
  const task = checkTaskName(nameOf(target));
  const timing = checkedOptions(task, options);
  const queue = checkQueueName(options?.queue ?? origin.queue);
  const text =
    typeof target === 'string' ? encodeParamsUnchecked(params, task) : encodeParams(target, params);
  const id =
    options?.id === undefined
      ? (origin.makeId ?? generatedRunId)(queue, task, text)
      : checkGivenRunId(options.id);
  const priority = timing.priority ?? (isTask(target) ? target.priority : 'medium');
  return { queue, request: { ...timing, id, task, params: text, priority, options: runOptions(origin) } };
}

/** Runs without lineage share one object for each source: who writes them as text knows it by that. */
const plainOptions = new Map<RunSource, RunOptions>();

function runOptions({ source, lineage }: RequestOrigin): RunOptions {
  if (lineage !== undefined) return { source, ...lineage };
  let options = plainOptions.get(source);
  if (options === undefined) plainOptions.set(source, (options = Object.freeze({ source })));
  return options;
}

interface CheckedOptions {
  readonly priority?: Priority;
  readonly runAtMs?: number;
  readonly delayMs?: number;
  readonly expiresInMs?: number;
}

function checkedOptions(task: string, options: EnqueueOptions | undefined): CheckedOptions {
  if (options === undefined || Object.keys(options).length === 0) return {};
  const check = new OptionCheck();
  check.knownKeys('', options, OPTION_KEYS);
  checkIsText(check, 'id', options.id);
  checkIsText(check, 'queue', options.queue);
  const runAtMs = checkedInstant(check, options.runAt);
  const delayMs = check.duration('delay', options.delay, DELAY_RANGE, undefined);
  const expiresInMs = check.duration('expiresIn', options.expiresIn, EXPIRY_RANGE, undefined);
  const priority = check.priority('priority', options.priority);
  if (options.runAt !== undefined && options.delay !== undefined) {
    check.add('delay', 'cannot be given together with runAt: both say when the run becomes ready');
  }
  check.done('ENQUEUE_INVALID', `options for a run of task "${task}" are not valid:`);
  return {
    ...(runAtMs !== undefined && { runAtMs }),
    ...(delayMs !== undefined && delayMs > 0 && { delayMs }),
    ...(expiresInMs !== undefined && { expiresInMs }),
    ...(priority !== undefined && { priority }),
  };
}

function checkedInstant(check: OptionCheck, runAt: unknown): number | undefined {
  if (runAt === undefined) return undefined;
  if (runAt instanceof Date && !Number.isNaN(runAt.getTime())) return Math.max(0, runAt.getTime());
  check.add('runAt', runAt instanceof Date ? 'is an invalid Date' : `must be a Date, not ${shown(runAt)}`);
  return undefined;
}

/** What should be the name of a task: JavaScript may pass anything for one. */
export function nameOf(target: unknown): unknown {
  return typeof target === 'object' && target !== null && 'name' in target ? target.name : target;
}

function checkTaskName(name: unknown): string {
  if (typeof name === 'string' && isTaskName(name)) return name;
  throw new TidemillError('TASK_INVALID', `task name ${shown(name)} must be ${TASK_NAME_RULE}`);
}

/** Whether the text is a good id or queue name is for their own rules to say. */
function checkIsText(check: OptionCheck, at: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') check.add(at, `must be a text, not ${shown(value)}`);
}
