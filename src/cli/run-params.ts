/** Makes the params of a run out of `--params` and `-p`, and checks them against what the consumers have published. */
import { z } from 'zod';
import { ProblemsError, TidemillError } from '../runtime/errors.ts';
import type { TaskDescription } from '../task/manifest.ts';
import { parseParamsText } from '../task/params.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * @param json - the text of `--params`
 * @param pairs - `key=value` texts; they are laid over `json`
 * @param schema - JSON Schema of the params, where it is known: it tells whether `-p id=7` is a number or a text
 * @throws TidemillError PARAMS_INVALID
 */
export function paramsFrom(
  json: string | undefined,
  pairs: readonly string[],
  schema: JsonObject | undefined,
): JsonObject {
  const base: unknown = json === undefined ? {} : parseParamsText(json);
  if (typeof base !== 'object' || base === null || Array.isArray(base)) {
    throw new TidemillError(
      'PARAMS_INVALID',
      `--params must be a JSON object such as '{"url":"https://example.org"}', not ${json ?? ''}`,
    );
  }
  const given = pairs.map((pair): [string, unknown] => {
    const [, key, value] = /^([^=]+)=([^]*)$/.exec(pair) ?? [];
    if (key === undefined || value === undefined) {
      throw new TidemillError(
        'PARAMS_INVALID',
        `-p ${JSON.stringify(pair)} must be key=value, such as -p url=https://example.org`,
      );
    }
    return [key, valueOf(value, propertySchema(schema, key))];
  });
  // Through text, so that what would be refused in --params (depth, reserved keys) is refused here as well.
  return z
    .record(z.string(), z.unknown())
    .parse(parseParamsText(JSON.stringify({ ...base, ...Object.fromEntries(given) })));
}

function propertySchema(schema: JsonObject | undefined, key: string): JsonObject | undefined {
  const properties = schema?.['properties'];
  if (!isObject(properties) || !Object.hasOwn(properties, key)) return undefined;
  const property = properties[key];
  return isObject(property) ? property : undefined;
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A text stays a text where the schema says so; else what reads as JSON is JSON. */
function valueOf(text: string, schema: JsonObject | undefined): unknown {
  if (schema?.['type'] === 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * Checks params against the published versions of a task: one that takes them is enough.
 * @throws ProblemsError PARAMS_INVALID
 */
export function checkParams(task: string, params: JsonObject, versions: readonly TaskDescription[]): void {
  const found = versions.map((version) => problemsOf(params, version));
  const [first] = found;
  if (first === undefined || found.some((problems) => problems.length === 0)) return;
  throw new ProblemsError('PARAMS_INVALID', `params of task "${task}" are not valid:`, first);
}

function problemsOf(
  params: JsonObject,
  { paramsSchema }: TaskDescription,
): { readonly at: string; readonly message: string }[] {
  if (paramsSchema === undefined) {
    return Object.keys(params).map((key) => ({ at: `params.${key}`, message: 'this task takes no params' }));
  }
  const result = compiled(paramsSchema)?.safeParse(params);
  if (result === undefined || result.success) return [];
  return result.error.issues.map(({ path, message }) => ({
    at: ['params', ...path.map(String)].join('.'),
    message,
  }));
}

/** A schema that cannot be read back is the consumer's to check. */
function compiled(schema: JsonObject): z.ZodType | undefined {
  try {
    return z.fromJSONSchema(schema);
  } catch {
    return undefined;
  }
}
