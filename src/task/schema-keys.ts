/** Which keys an object schema takes: zod drops unknown ones in silence, and a mistyped param must not be lost like that. */
import type { z } from 'zod';

/** A schema does not change, and is asked for its keys at every run. */
const keysOf = new WeakMap<z.core.$ZodType, { readonly keys: ReadonlySet<string> | undefined }>();

/**
 * Keys that the input of a schema may have; `undefined` when it is not an object schema, or takes any key.
 * Looks through what wraps an object (optional, default, pipe …) and joins the sides of unions and intersections.
 */
export function inputKeys(schema: z.core.$ZodType): ReadonlySet<string> | undefined {
  const known = keysOf.get(schema);
  if (known !== undefined) return known.keys;
  const keys = findKeys(schema);
  keysOf.set(schema, { keys });
  return keys;
}

function findKeys(schema: z.core.$ZodType): ReadonlySet<string> | undefined {
  const def = definitionOf(schema);
  switch (def.type) {
    case 'object':
      return def.catchall === undefined || definitionOf(def.catchall).type === 'never'
        ? new Set(Object.keys(def.shape))
        : undefined;
    case 'optional':
    case 'nullable':
    case 'nonoptional':
    case 'default':
    case 'prefault':
    case 'catch':
    case 'readonly':
      return inputKeys(def.innerType);
    case 'pipe':
      return inputKeys(def.in);
    case 'union':
      return joined(def.options);
    case 'intersection':
      return joined([def.left, def.right]);
    default:
      return undefined;
  }
}

function joined(schemas: readonly z.core.$ZodType[]): ReadonlySet<string> | undefined {
  const keys = new Set<string>();
  for (const schema of schemas) {
    const own = inputKeys(schema);
    if (own === undefined) return undefined;
    for (const key of own) keys.add(key);
  }
  return keys;
}

function definitionOf(
  schema: z.core.$ZodType,
): z.core.$ZodTypes['_zod']['def'] | { readonly type: 'unknown' } {
  return isKnownSchema(schema) ? schema._zod.def : { type: 'unknown' };
}

/** Every schema that zod makes is one of these; the base type alone does not say so. */
function isKnownSchema(schema: z.core.$ZodType): schema is z.core.$ZodTypes {
  return typeof schema._zod.def.type === 'string';
}
