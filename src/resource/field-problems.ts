/** From what zod found to sentences for people: field, value and rule. */
import { z } from 'zod';
import { quote } from '../schedule/schedule-error.ts';
import { RESERVED_KEYS } from '../task/json.ts';
import { nearNames } from '../task/near-names.ts';
import { PARAMS_MAX_DEPTH } from './params.ts';

export type FieldPath = readonly (string | number)[];

/** Unknown fields looked at, beyond as many as there are known ones: each is compared with all names. */
const MOST_UNKNOWN = 20;

export interface FieldProblem {
  readonly path: FieldPath;
  /** Such as `spec.every: "1d": must be a duration …`. */
  readonly message: string;
}

/** The value is what was parsed when the issue came up. */
export function explainIssue(issue: z.core.$ZodIssue, parsed: unknown): FieldProblem {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  const value = valueAt(parsed, path);
  return fieldProblem(path, value, ruleOf(issue, value));
}

/** A problem whose sentence begins with the field, and with the value where that fits in a line. */
export function fieldProblem(path: FieldPath, value: unknown, rule: string): FieldProblem {
  const shown = showValue(value);
  return { path, message: [pathText(path), ...(shown === undefined ? [] : [shown]), rule].join(': ') };
}

/** Fields that a schema does not have, at any depth of its objects; the first ones of each object. */
export function unknownFields(schema: z.core.$ZodType, value: unknown, path: FieldPath = []): FieldProblem[] {
  const shape = shapeOf(schema);
  if (shape === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value)
    .slice(0, Object.keys(shape).length + MOST_UNKNOWN)
    .flatMap(([key, inner]) => {
      if (RESERVED_KEYS.includes(key)) return []; // told by forbiddenKeys
      const field = Object.hasOwn(shape, key) ? shape[key] : undefined;
      if (field !== undefined) return unknownFields(field, inner, [...path, key]);
      const near = nearNames(key, Object.keys(shape));
      const advice =
        near.length > 0 ? `did you mean ${near.join(' or ')}?` : `there are ${Object.keys(shape).join(', ')}`;
      return [{ path: [...path, key], message: `${pathText([...path, key])}: is not a field: ${advice}` }];
    });
}

/**
 * Keys named `__proto__`, `constructor` or `prototype`, at any depth that params may have: harmless as JSON, but an
 * assignment by key downstream could change a prototype. No consumer takes params with one, so no file may have it.
 */
export function forbiddenKeys(value: unknown, path: FieldPath = []): FieldProblem[] {
  if (typeof value !== 'object' || value === null || path.length > PARAMS_MAX_DEPTH + 2) return [];
  if (Array.isArray(value))
    return value.flatMap((item: unknown, index) => forbiddenKeys(item, [...path, index]));
  return Object.entries(value).flatMap(([key, inner]) =>
    RESERVED_KEYS.includes(key)
      ? [{ path: [...path, key], message: `${pathText(path)}: must not have the key ${key}` }]
      : forbiddenKeys(inner, [...path, key]),
  );
}

function shapeOf(schema: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> | undefined {
  if (schema instanceof z.ZodObject) return schema.shape;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return shapeOf(schema.unwrap());
  return undefined;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map of fields',
  record: 'a map of fields',
  array: 'a list',
};

function ruleOf(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === 'invalid_type') {
    if (value === undefined) return 'is required';
    const hint = issue.expected === 'string' && typeof value !== 'object' ? ': put it in quotes' : '';
    // A message of ours says more than the type; zod's own speaks of "Invalid input".
    return issue.message.startsWith('Invalid')
      ? `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}${hint}`
      : issue.message;
  }
  if (issue.code === 'invalid_value') {
    if (value === undefined) return 'is required';
    return issue.message.startsWith('Invalid')
      ? `must be one of ${issue.values.map(String).join(', ')}`
      : issue.message;
  }
  return issue.message;
}

function showValue(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
    case 'boolean':
      return String(value);
    default:
      return value === null ? 'null' : undefined;
  }
}

/** A key comes from the user: it may be long, or hold anything. */
const quoteKey = (key: string): string => (/^[\w./-]{1,80}$/.test(key) ? key : quote(key));

function valueAt(root: unknown, path: FieldPath): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function pathText(path: FieldPath): string {
  if (path.length === 0) return 'object';
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${quoteKey(part)}`,
    )
    .join('');
}
