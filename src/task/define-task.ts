/** What an author calls: `defineTask` and `defineContract`. They check every option and fill in the defaults; nothing starts. */
import type { z } from 'zod';
import type { Schedule, ScheduleSpec } from '../schedule/schedule.ts';
import { isReservedTaskName, isTaskName, RESERVED_TASK_PREFIX, TASK_NAME_RULE } from './names.ts';
import { OptionCheck, type Range, requireOptions, shown } from './option-check.ts';
import {
  type AnyTask,
  type BehaviourOptions,
  CONTRACT_BRAND,
  type ContractOptions,
  type DefineTask,
  type NoDeps,
  type NoParams,
  type RetryPolicy,
  type Task,
  TASK_APP,
  TASK_BRAND,
  type TaskContract,
  type TaskSettings,
} from './types.ts';

export * from './types.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
/** The same limit as the CRD's: a run that needs longer is a service, or several runs. */
const TIMEOUT_RANGE: Range = { least: 1, most: 7 * 86_400_000 };
const DEFAULT_RETRY: RetryPolicy = Object.freeze({
  attempts: 1,
  backoffMs: 1_000,
  maxBackoffMs: 600_000,
});
const ATTEMPTS_RANGE: Range = { least: 1, most: 100 };
const BACKOFF_RANGE: Range = { least: 0, most: 86_400_000 };
const MAX_CONCURRENCY_RANGE: Range = { least: 1, most: 2 ** 31 - 1 };
const DESCRIPTION_MAX_LENGTH = 1_024;
const TAG_MAX_LENGTH = 64;

const CONTRACT_KEYS = ['name', 'params', 'result'];
const BEHAVIOUR_KEYS = [
  'description',
  'tags',
  'cpuBound',
  'timeout',
  'retry',
  'maxConcurrency',
  'priority',
  'schedule',
  'run',
];
const RETRY_KEYS = ['attempts', 'backoff', 'maxBackoff', 'when'];

/**
 * Defines the outside of a task by itself: for producers that must not import the implementation, and for tasks that
 * enqueue themselves or each other.
 * @throws ProblemsError (TASK_INVALID)
 */
export function defineContract<Input = NoParams, Output = NoParams, Result = unknown>(
  options: ContractOptions<Input, Output, Result>,
): TaskContract<Input, Output, Result> {
  const check = new OptionCheck();
  requireOptions('a contract', options);
  check.knownKeys('', options, CONTRACT_KEYS);
  const contract = checkedContract(check, options);
  check.done('TASK_INVALID', `contract ${shownName(options)} is not valid:`);
  return Object.freeze(contract);
}

/**
 * Defines a task. A consumer finds it among the exports of its tasks modules.
 * @throws ProblemsError (TASK_INVALID) that lists every bad option
 */
export const defineTask: DefineTask<NoDeps> = buildTask;

/** What the overloads of `DefineTask` have in common. */
interface AnyOptions<Input, Output, Result, Deps> extends BehaviourOptions<Output, Result, Deps> {
  readonly name?: string;
  readonly params?: z.ZodType<Output, Input>;
  readonly result?: z.ZodType<Result>;
  readonly contract?: TaskContract<Input, Output, Result>;
}

/** `defineTask` of an app: its tasks remember where their dependencies come from. */
export function taskBuilder<Deps>(app: () => object): DefineTask<Deps> {
  return <Input, Output, Result, AppDeps>(options: AnyOptions<Input, Output, Result, AppDeps>) =>
    buildTask(options, app());
}

/** `defineTask` for any type of dependencies. */
function buildTask<Input, Output, Result, Deps>(
  options: AnyOptions<Input, Output, Result, Deps>,
  app?: object,
): Task<Input, Output, Result, Deps> {
  const check = new OptionCheck();
  requireOptions('a task', options);
  const contract = contractOf(check, options);
  const settings = checkedSettings(check, options);
  checkSchedulable(check, contract, settings.schedules);
  if (typeof options.run !== 'function') check.add('run', `must be a function, not ${shown(options.run)}`);
  check.done('TASK_INVALID', `task ${shownName(options.contract ?? options)} is not valid:`);
  return Object.freeze({
    ...contract,
    ...settings,
    [TASK_BRAND]: true as const,
    ...(app !== undefined && { [TASK_APP]: app }),
    run: options.run,
  });
}

/** Whether a value is a task, made by any copy of this package. */
export function isTask(value: unknown): value is AnyTask {
  return isObject(value) && TASK_BRAND in value && value[TASK_BRAND] === true;
}

function isContract(value: unknown): value is TaskContract {
  return isObject(value) && CONTRACT_BRAND in value && value[CONTRACT_BRAND] === true;
}

function contractOf<Input, Output, Result, Deps>(
  check: OptionCheck,
  options: AnyOptions<Input, Output, Result, Deps>,
): TaskContract<Input, Output, Result> {
  if (options.contract === undefined) {
    check.knownKeys('', options, [...CONTRACT_KEYS, ...BEHAVIOUR_KEYS]);
    return checkedContract(check, options);
  }
  check.knownKeys('', options, ['contract', ...BEHAVIOUR_KEYS]);
  if (isContract(options.contract)) {
    const { name, params, result } = options.contract;
    return { [CONTRACT_BRAND]: true, name, params, result };
  }
  check.add('contract', `must be what defineContract() gave, not ${shown(options.contract)}`);
  return { [CONTRACT_BRAND]: true, name: '', params: undefined, result: undefined };
}

function checkedContract<Input, Output, Result>(
  check: OptionCheck,
  { name, params, result }: Partial<ContractOptions<Input, Output, Result>>,
): TaskContract<Input, Output, Result> {
  checkSchema(check, 'params', params);
  checkSchema(check, 'result', result);
  return { [CONTRACT_BRAND]: true, name: checkedName(check, name), params, result };
}

function checkedName(check: OptionCheck, name: unknown): string {
  if (typeof name !== 'string' || !isTaskName(name)) {
    check.add('name', `${shown(name)} must be ${TASK_NAME_RULE}`);
    return '';
  }
  if (isReservedTaskName(name)) {
    check.add(
      'name',
      `${shown(name)} must not begin with ${RESERVED_TASK_PREFIX}: such names are kept for the built-in tasks`,
    );
  }
  return name;
}

function checkSchema(check: OptionCheck, at: string, schema: unknown): void {
  if (schema === undefined || (isObject(schema) && '_zod' in schema)) return;
  const hint = isObject(schema) && '_def' in schema ? ' (this one looks like zod 3)' : '';
  check.add(at, `must be a schema of zod 4, not ${shown(schema)}${hint}`);
}

function checkedSettings<Output, Result, Deps>(
  check: OptionCheck,
  options: BehaviourOptions<Output, Result, Deps>,
): TaskSettings {
  return {
    description: check.text('description', options.description, DESCRIPTION_MAX_LENGTH),
    tags: Object.freeze(checkedTags(check, options.tags)),
    executor: check.boolean('cpuBound', options.cpuBound) === true ? 'cpu' : 'io',
    timeoutMs: check.duration('timeout', options.timeout, TIMEOUT_RANGE, DEFAULT_TIMEOUT_MS),
    priority: check.priority('priority', options.priority) ?? 'medium',
    maxConcurrency: check.integer('maxConcurrency', options.maxConcurrency, MAX_CONCURRENCY_RANGE, undefined),
    retry: checkedRetry(check, options.retry),
    schedules: Object.freeze(checkedSchedules(check, options.schedule)),
  };
}

function checkedTags(check: OptionCheck, tags: unknown): readonly string[] {
  if (tags === undefined) return [];
  if (!Array.isArray(tags)) {
    check.add('tags', `must be an array of texts, not ${shown(tags)}`);
    return [];
  }
  const checked = tags.map(
    (tag: unknown, index) => check.text(`tags[${index}]`, tag ?? null, TAG_MAX_LENGTH) ?? '',
  );
  return [...new Set(checked)];
}

function checkedRetry(check: OptionCheck, retry: unknown): RetryPolicy {
  if (retry === undefined) return DEFAULT_RETRY;
  if (!isObject(retry)) {
    check.add('retry', `must be an object such as { attempts: 5 }, not ${shown(retry)}`);
    return DEFAULT_RETRY;
  }
  check.knownKeys('retry.', retry, RETRY_KEYS);
  const { attempts, backoff, maxBackoff, when } = retry;
  const backoffMs = check.duration('retry.backoff', backoff, BACKOFF_RANGE, DEFAULT_RETRY.backoffMs);
  // A back-off above the default cap raises the cap: the author who wrote it meant it.
  const fallbackMs = Math.max(DEFAULT_RETRY.maxBackoffMs, backoffMs);
  const maxBackoffMs = check.duration('retry.maxBackoff', maxBackoff, BACKOFF_RANGE, fallbackMs);
  if (maxBackoffMs < backoffMs)
    check.add('retry.maxBackoff', `must be at least retry.backoff (${backoffMs} ms), not ${maxBackoffMs} ms`);
  if (when !== undefined && !isDecider(when))
    check.add('retry.when', `must be a function, not ${shown(when)}`);
  return Object.freeze({
    attempts: check.integer('retry.attempts', attempts, ATTEMPTS_RANGE, DEFAULT_RETRY.attempts),
    backoffMs,
    maxBackoffMs,
    ...(isDecider(when) && { when }),
  });
}

function checkedSchedules(check: OptionCheck, schedule: unknown): readonly ScheduleSpec[] {
  if (schedule === undefined) return [];
  const list: readonly unknown[] = Array.isArray(schedule) ? schedule : [schedule];
  return list.flatMap((entry, index) => {
    if (isSchedule(entry)) return [entry.spec];
    const at = list === schedule ? `schedule[${index}]` : 'schedule';
    check.add(at, `must be what every() or cron() gave, not ${shown(entry)}`);
    return [];
  });
}

/** A schedule in code enqueues `{}`; where the schema refuses that, every slot would end as a failed run. */
function checkSchedulable(
  check: OptionCheck,
  contract: TaskContract,
  schedules: readonly ScheduleSpec[],
): void {
  if (schedules.length === 0 || contract.params === undefined) return;
  if (acceptsEmpty(contract.params)) return;
  check.add(
    'schedule',
    'a schedule in code runs with params {}, which this params schema refuses: give each param a default, or use a ScheduledTask object',
  );
}

function acceptsEmpty(schema: z.ZodType): boolean {
  try {
    return schema.safeParse({}).success;
  } catch {
    return true; // an async schema, or one that is not whole yet: only a run can tell
  }
}

function isSchedule(value: unknown): value is Schedule {
  if (!isObject(value) || !isObject(value['spec'])) return false;
  return value['spec']['kind'] === 'every' || value['spec']['kind'] === 'cron';
}

function isDecider(value: unknown): value is NonNullable<RetryPolicy['when']> {
  return typeof value === 'function';
}

function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null;
}

const shownName = (options: unknown): string => shown(isObject(options) ? options['name'] : options);
