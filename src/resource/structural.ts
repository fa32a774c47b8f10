/** Turns the JSON Schema that zod makes into the structural schema that a CRD needs, and refuses what cannot be one. */
import { TidemillError } from '../runtime/errors.ts';

type Json = Readonly<Record<string, unknown>>;

/** Keys that pass as they are. Everything else is either handled below or refused, so nothing slips in unseen. */
const PASSING = new Set([
  ...['type', 'description', 'default', 'enum', 'format', 'required', 'nullable'],
  ...[
    'minLength',
    'maxLength',
    'minItems',
    'maxItems',
    'minProperties',
    'maxProperties',
    'minimum',
    'maximum',
  ],
  ...[
    'x-kubernetes-validations',
    'x-kubernetes-list-type',
    'x-kubernetes-list-map-keys',
    'x-kubernetes-preserve-unknown-fields',
  ],
]);

/**
 * - a map with any values becomes an object that keeps unknown fields;
 * - the bounds that zod gives every whole number go: the format says them;
 * - a list of required fields is left out when it is empty.
 *
 * @throws TidemillError INTERNAL, naming the path, for anything that the API server would refuse (`$ref`, unions,
 *   `additionalProperties` with values, patterns, fields without a type …)
 */
export function structural(schema: unknown, path = 'object'): Json {
  if (!isJson(schema)) throw refused(path, 'is no schema');
  const { properties, items, additionalProperties, ...rest } = schema;
  if (typeof rest['type'] !== 'string') throw refused(path, 'has no type');
  const unexpected = Object.keys(rest).find((key) => !PASSING.has(key));
  if (unexpected !== undefined) throw refused(path, `has ${unexpected}`);
  return {
    ...Object.fromEntries(Object.entries(rest).filter(([key, value]) => !isEmptyBound(key, value))),
    ...openMap(additionalProperties, properties, path),
    ...(properties !== undefined && { properties: fields(properties, path) }),
    ...(items !== undefined && { items: structural(items, `${path}[]`) }),
  };
}

function fields(properties: unknown, path: string): Json {
  if (!isJson(properties)) throw refused(path, 'has properties that are no map');
  return Object.fromEntries(
    Object.entries(properties).map(([name, field]) => [name, structural(field, `${path}.${name}`)]),
  );
}

function openMap(additionalProperties: unknown, properties: unknown, path: string): Json {
  if (additionalProperties === undefined) return {};
  const takesAnything = isJson(additionalProperties) && Object.keys(additionalProperties).length === 0;
  if (takesAnything && properties === undefined) return { 'x-kubernetes-preserve-unknown-fields': true };
  throw refused(path, 'has additionalProperties that a structural schema cannot hold');
}

function isEmptyBound(key: string, value: unknown): boolean {
  if (key === 'required') return Array.isArray(value) && value.length === 0;
  return (
    (key === 'maximum' && value === Number.MAX_SAFE_INTEGER) ||
    (key === 'minimum' && value === Number.MIN_SAFE_INTEGER)
  );
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const refused = (path: string, what: string): TidemillError =>
  new TidemillError('INTERNAL', `the CRD cannot be generated: ${path} ${what}, which is not structural`);
