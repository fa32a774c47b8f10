/** A rule of the object written once, in both tongues: as CEL for the API server and as a predicate for files. */
import type { z } from 'zod';

export interface Rule<Value> {
  /** What the API server evaluates. RE2 and CEL only; every string that it touches is bounded by `maxLength`. */
  readonly cel: string;
  /** The sentence that follows the value. A function where two ways to break the rule need two sentences. */
  readonly message: string | ((value: Value) => string);
  /** CEL for `message` when it is a function. */
  readonly messageExpression?: string;
  /** The field that is wrong, when the rule stands at its parent. */
  readonly field?: string;
  /** `FieldValueForbidden`: the field must not be there at all; absent: its value is wrong. */
  readonly reason?: 'FieldValueForbidden';
  /** Absent: the rule compares with the stored object, which only the API server knows. */
  readonly holds?: (value: Value) => boolean;
}

/** CEL that matches a text with one of our patterns; a slash needs no escape there, and CEL refuses one. */
export function celMatches(subject: string, pattern: RegExp): string {
  return `${subject}.matches('${pattern.source.replaceAll('\\/', '/')}')`;
}

/** For `.meta()`: the rules as they stand in the CRD. */
export function celRules<Value>(rules: readonly Rule<Value>[]): {
  readonly 'x-kubernetes-validations': readonly object[];
} {
  return {
    'x-kubernetes-validations': rules.map(({ cel, message, messageExpression, field, reason }) => ({
      rule: cel,
      ...(typeof message === 'string' ? { message } : { messageExpression }),
      ...(field !== undefined && { fieldPath: `.${field}` }),
      ...(reason !== undefined && { reason }),
    })),
  };
}

/** For `.superRefine()`: the rules of one value, checked here. */
export function checkRules<Value>(
  rules: readonly Rule<Value>[],
): (value: Value, context: z.RefinementCtx<Value>) => void {
  return (value, context) => {
    for (const { holds, message } of rules) {
      if (holds === undefined || holds(value)) continue;
      context.addIssue({ code: 'custom', message: typeof message === 'string' ? message : message(value) });
    }
  };
}

/**
 * The same for rules across the fields of an object, which are checked although a field has the wrong type: a user
 * mends everything in one go. So they must bear any value.
 */
export function withFieldRules<Fields extends z.ZodObject>(
  schema: Fields,
  rules: readonly Rule<z.output<Fields>>[],
): Fields {
  return rules.reduce((ruled, { holds, message, field }) => {
    if (holds === undefined) return ruled;
    let sentence = typeof message === 'string' ? message : '';
    const check = (value: z.output<Fields>): boolean => {
      if (typeof message !== 'string') sentence = message(value);
      return holds(value);
    };
    const isObject = ({ value }: { readonly value: unknown }): boolean =>
      typeof value === 'object' && value !== null;
    return ruled.refine(check, {
      error: () => sentence,
      path: field === undefined ? [] : [field],
      when: isObject,
    });
  }, schema);
}
