/** Where two schemas of the CRD differ, in the words of who writes objects: paths of fields. Pure. */
import { isDeepStrictEqual } from 'node:util';

type Json = Readonly<Record<string, unknown>>;

/** Levels of a schema that are no field of an object. */
const STRUCTURE: ReadonlySet<string> = new Set(['properties', 'items', 'additionalProperties']);

/** Fields at which the stored schema is another than ours, each once; empty: the schemas are equal. */
export function schemaDifferences(ours: unknown, stored: unknown): readonly string[] {
  return [...new Set(differences(ours, stored, []))];
}

function differences(ours: unknown, stored: unknown, path: readonly string[]): readonly string[] {
  if (isDeepStrictEqual(ours, stored)) return [];
  if (!isObject(ours) || !isObject(stored)) return [path.length === 0 ? 'the whole' : path.join('.')];
  const keys = new Set([...Object.keys(ours), ...Object.keys(stored)]);
  return [...keys].flatMap((key) => {
    const [own, other] = [ours[key], stored[key]];
    if (key === 'properties' && isObject(own) && isObject(other)) return ofFields(own, other, path);
    if (STRUCTURE.has(key)) return differences(own, other, path);
    // A rule, a default, a description: told by the field that has it.
    return isDeepStrictEqual(own, other) ? [] : differences(true, false, path);
  });
}

function ofFields(ours: Json, stored: Json, path: readonly string[]): readonly string[] {
  const names = new Set([...Object.keys(ours), ...Object.keys(stored)]);
  return [...names].flatMap((name) => differences(ours[name], stored[name], [...path, name]));
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
