/** Params on their way: from a producer's value to JSON in the queue, and from there to what `run` gets. */
import { z } from 'zod';
import { type Problem, ProblemsError, TidemillError } from '../runtime/errors.ts';
import { type JsonProblem, type JsonRules, parseJsonSafely, pathTo, toJsonText } from './json.ts';
import { didYouMean } from './near-names.ts';
import type { RunError } from './run.ts';
import { inputKeys } from './schema-keys.ts';
import { rooted, schemaProblems } from './schema-problems.ts';
import { toRunError } from './thrown.ts';
import type { TaskContract } from './types.ts';

export const PARAMS_MAX_BYTES = 256 * 1024;
const SENT: JsonRules = { maxBytes: PARAMS_MAX_BYTES, refuseReservedKeys: true, refuseInexact: true };
const RECEIVED: JsonRules = { maxBytes: PARAMS_MAX_BYTES, refuseReservedKeys: true, refuseInexact: false };

/** What a task that takes no params accepts. */
const NO_PARAMS = z.strictObject({});
const MOST_UNKNOWN_KEYS = 20;
const NONE: readonly Problem[] = [];

const schemaOf = (contract: Pick<TaskContract, 'params'>): z.ZodType => contract.params ?? NO_PARAMS;

/**
 * JSON text of params, as a producer sends it: checked by the schema as the consumer will see them, after JSON.
 * Async refinements cannot be checked here: the consumer checks them.
 *
 * @param params - left out or `undefined` means `{}`
 * @throws ProblemsError PARAMS_INVALID with the path of each problem; TidemillError PARAMS_TOO_LARGE
 */
export function encodeParams(contract: TaskContract, params: unknown): string {
  const text = encodeParamsUnchecked(params, contract.name);
  const problems = problemsOf(schemaOf(contract), JSON.parse(text));
  if (problems.length > 0) throw invalidParams(contract.name, problems);
  return text;
}

/**
 * JSON text of params for a task whose schema is not at hand. The same limits, without the schema.
 * @throws ProblemsError PARAMS_INVALID; TidemillError PARAMS_TOO_LARGE
 */
export function encodeParamsUnchecked(params: unknown, task?: string): string {
  const encoded = toJsonText(params === undefined ? {} : params, SENT);
  if (encoded.ok) return encoded.text;
  if (encoded.kind === 'too-large') {
    const limit = `${PARAMS_MAX_BYTES / 1024} KiB as JSON: store the data elsewhere and pass a reference`;
    throw new TidemillError('PARAMS_TOO_LARGE', `${subjectOf(task)} are more than ${limit}`);
  }
  throw invalidParams(task, [problemAt(encoded.problem)]);
}

/**
 * The value of params as JSON text, from a flag or an annotation.
 * @throws ProblemsError PARAMS_INVALID
 */
export function parseParamsText(text: string): unknown {
  const parsed = parseJsonSafely(text, SENT);
  if (parsed.ok) return parsed.value;
  throw invalidParams(undefined, [problemAt(parsed.problem)]);
}

/** Whether a text is one that `encodeParams` may have made, whatever the schema. */
export const isParamsText = (text: string): boolean => parseJsonSafely(text, SENT).ok;

export type DecodedParams =
  { readonly ok: true; readonly params: unknown } | { readonly ok: false; readonly error: RunError };

/** What `run` gets for the params of a record. Never rejects, whatever the text or the schema does. */
export async function decodeParams(
  task: Pick<TaskContract, 'name' | 'params'>,
  json: string,
): Promise<DecodedParams> {
  const parsed = parseJsonSafely(json, RECEIVED);
  if (!parsed.ok) return invalid(task.name, [problemAt(parsed.problem)]);
  try {
    const schema = schemaOf(task);
    const strange = unknownKeys(schema, parsed.value);
    const result = await schema.safeParseAsync(parsed.value);
    if (result.success && strange.length === 0) return { ok: true, params: result.data };
    return invalid(task.name, allProblems(strange, result.error));
  } catch (error) {
    // A transform or refinement of the author's threw: the params cannot be used, and nothing else is wrong.
    return { ok: false, error: toRunError(error, 'InvalidParams') };
  }
}

function invalid(task: string, problems: readonly Problem[]): DecodedParams {
  const { stack: _ours, ...error } = toRunError(invalidParams(task, problems), 'InvalidParams');
  return { ok: false, error };
}

const invalidParams = (task: string | undefined, problems: readonly Problem[]): ProblemsError =>
  new ProblemsError('PARAMS_INVALID', `${subjectOf(task)} are not valid:`, problems);

const subjectOf = (task: string | undefined): string =>
  task === undefined ? 'params' : `params of task "${task}"`;

const problemAt = ({ path, message }: JsonProblem): Problem => ({ at: rooted('params', path), message });

/** What is wrong with JSON params by a schema; empty when nothing is, as far as it can be told without waiting. */
function problemsOf(schema: z.ZodType, value: unknown): readonly Problem[] {
  const strange = unknownKeys(schema, value);
  try {
    return allProblems(strange, schema.safeParse(value).error);
  } catch (error) {
    if (error instanceof z.core.$ZodAsyncError) return strange;
    return [
      ...strange,
      { at: 'params', message: `the schema threw: ${toRunError(error, 'InvalidParams').message}` },
    ];
  }
}

function unknownKeys(schema: z.ZodType, value: unknown): readonly Problem[] {
  const known = inputKeys(schema);
  if (known === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return NONE;
  const keys = Object.keys(value);
  if (keys.every((key) => known.has(key))) return NONE;
  return keys
    .filter((key) => !known.has(key))
    .slice(0, MOST_UNKNOWN_KEYS)
    .map((key) => ({
      at: rooted('params', pathTo('', key)),
      message: `is not a param of this task${didYouMean(key, known)}`,
    }));
}

/** A strict object schema names its unknown keys as well: once is enough. */
function allProblems(strange: readonly Problem[], error: z.ZodError | undefined): readonly Problem[] {
  if (error === undefined) return strange;
  const own = error.issues.filter(
    (issue) => issue.code !== 'unrecognized_keys' || issue.path.length > 0 || strange.length === 0,
  );
  return [...strange, ...schemaProblems({ issues: own }, 'params')];
}
