/** Turns values into JSON text and back under limits: whatever a caller, a task or Redis hands over, the answer is a value. */
import { types } from 'node:util';
import { messageOf } from '../runtime/errors.ts';
import { escapeControls } from '../runtime/printable.ts';
import { quote } from '../schedule/schedule-error.ts';

/** Levels of nesting that params and results may have. */
const JSON_MAX_DEPTH = 100;
/** Keys that become a prototype where somebody merges the object carelessly: no honest params need them. */
export const RESERVED_KEYS: readonly string[] = ['__proto__', 'constructor', 'prototype'];
/** From here on JSON writes a number with an exponent, so nobody takes it for a whole number with all its digits. */
const EXPONENT_FROM = 1e21;

/** Whether it looks like a whole number with all its digits, and may have lost some. */
export const isInexact = (value: number): boolean =>
  Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < EXPONENT_FROM;

export interface JsonRules {
  readonly maxBytes: number;
  /** Refuse `__proto__`, `constructor` and `prototype` as keys. */
  readonly refuseReservedKeys: boolean;
  /** Refuse whole numbers that have lost digits (beyond 2^53 - 1). */
  readonly refuseInexact: boolean;
}

/** Where a value is not JSON, and why. `path` is empty for the value itself. */
export interface JsonProblem {
  readonly path: string;
  readonly message: string;
}

export type JsonText =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly kind: 'invalid'; readonly problem: JsonProblem }
  | { readonly ok: false; readonly kind: 'too-large' };

export type JsonValue =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: JsonProblem };

const TOO_LARGE = { ok: false, kind: 'too-large' } as const;

/** JSON text of a value; the first thing in it that JSON cannot hold is named, never dropped or bent. */
export function toJsonText(value: unknown, rules: JsonRules): JsonText {
  if (!isPlainData(value, rules)) {
    const inspection = new Inspection(rules);
    const problem = inspection.value(value, '');
    if (inspection.tooLarge) return TOO_LARGE;
    if (problem !== undefined) return { ok: false, kind: 'invalid', problem };
  }
  try {
    const text = JSON.stringify(value);
    return isLongerThan(text, rules.maxBytes) ? TOO_LARGE : { ok: true, text };
  } catch (error) {
    // Only a getter or toJSON that answers differently the second time comes here.
    return {
      ok: false,
      kind: 'invalid',
      problem: { path: '', message: `cannot be written as JSON: ${safeMessage(error)}` },
    };
  }
}

/** UTF-8 needs at most three bytes for a unit of a string, so most texts need not be counted. */
const isLongerThan = (text: string, maxBytes: number): boolean =>
  text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;

const PLAIN_KEYS = 32;
const PLAIN_CHARACTERS = 4_096;

/**
 * Whether it is a small object of texts, numbers and booleans, as most params are, or one of those, as many results are:
 * nothing in it can be lost in JSON or be too large. False means no more than that the inspection has to decide.
 */
function isPlainData(value: unknown, rules: JsonRules): boolean {
  if (typeof value !== 'object' || value === null) return value !== undefined && isPlainValue(value, rules);
  try {
    // What has a prototype of its own may have a toJSON as well.
    if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return false;
    const keys = Object.keys(value);
    return (
      keys.length <= PLAIN_KEYS &&
      keys.every((key) => isPlainKey(key) && isPlainValue(Reflect.get(value, key), rules))
    );
  } catch {
    return false; // a getter or a proxy that throws: the inspection says where
  }
}

const isPlainKey = (key: string): boolean => key.length < PLAIN_CHARACTERS && !RESERVED_KEYS.includes(key);

function isPlainValue(value: unknown, rules: JsonRules): boolean {
  if (typeof value === 'string') return value.length < PLAIN_CHARACTERS;
  if (typeof value === 'number') return Number.isFinite(value) && !(rules.refuseInexact && isInexact(value));
  return typeof value === 'boolean' || value === null || value === undefined;
}

/** The value of JSON text that anyone may have written: too large, broken, too deep and poisoned texts are refused. */
export function parseJsonSafely(text: string, rules: JsonRules): JsonValue {
  if (isLongerThan(text, rules.maxBytes)) {
    return { ok: false, problem: { path: '', message: `is larger than ${rules.maxBytes / 1024} KiB` } };
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isPlainlySound(value, rules, 0)) return { ok: true, value };
    const problem = new Inspection(rules).value(value, '');
    return problem === undefined ? { ok: true, value } : { ok: false, problem };
  } catch (error) {
    return { ok: false, problem: { path: '', message: `is not JSON: ${safeMessage(error)}` } };
  }
}

/**
 * Whether a value that JSON.parse made keeps to the rules: every run's params come through here, and hardly any has a
 * problem whose path must be told. False means no more than that the inspection has to decide.
 */
function isPlainlySound(value: unknown, rules: JsonRules, depth: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !(rules.refuseInexact && isInexact(value));
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= JSON_MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((item) => isPlainlySound(item, rules, depth + 1));
  return Object.entries(value).every(
    ([key, own]) =>
      !(rules.refuseReservedKeys && RESERVED_KEYS.includes(key)) && isPlainlySound(own, rules, depth + 1),
  );
}

/** One walk over a value. Stops as soon as the text would surely be too large, so that a huge value costs no huge text. */
class Inspection {
  readonly #rules: JsonRules;
  readonly #ancestors: object[] = [];
  /** Never more than the text will have. */
  #leastBytes = 0;

  constructor(rules: JsonRules) {
    this.#rules = rules;
  }

  get tooLarge(): boolean {
    return this.#leastBytes > this.#rules.maxBytes;
  }

  value(value: unknown, path: string): JsonProblem | undefined {
    this.#leastBytes += 1;
    switch (typeof value) {
      case 'string':
        this.#leastBytes += value.length;
        return undefined;
      case 'number':
        return this.#number(value, path);
      case 'bigint':
        return { path, message: 'is a BigInt, which JSON does not have: send it as a string' };
      case 'function':
      case 'symbol':
        return { path, message: `is a ${typeof value}, which JSON does not have` };
      case 'object':
        return value === null ? undefined : this.#reference(value, path);
      default:
        return undefined; // booleans, and undefined: `null` in an array
    }
  }

  #number(value: number, path: string): JsonProblem | undefined {
    if (!Number.isFinite(value)) return { path, message: `is ${value}, which JSON does not have` };
    if (!this.#rules.refuseInexact || !isInexact(value)) return undefined;
    return {
      path,
      message: `is ${value}, a whole number beyond 2^53 - 1 that loses digits: send it as a string`,
    };
  }

  #reference(value: object, path: string): JsonProblem | undefined {
    if (this.#ancestors.includes(value))
      return { path, message: 'refers back to an object that holds it (a cycle)' };
    if (this.#ancestors.length >= JSON_MAX_DEPTH)
      return { path: cut(path), message: `is nested deeper than ${JSON_MAX_DEPTH} levels` };
    this.#ancestors.push(value);
    try {
      return this.#object(value, path);
    } catch (error) {
      return { path, message: `cannot be read: ${safeMessage(error)}` };
    } finally {
      this.#ancestors.pop();
    }
  }

  #object(value: object, path: string): JsonProblem | undefined {
    if (Array.isArray(value)) return this.#items(value, path);
    if (types.isDate(value))
      return Number.isNaN(value.getTime()) ? { path, message: 'is an invalid Date' } : undefined;
    // Before its toJSON, which makes a number of every byte.
    if (types.isAnyArrayBuffer(value) || types.isArrayBufferView(value))
      return { path, message: 'is a binary buffer, which JSON does not have: send it as base64 text' };
    const toJson: unknown = Reflect.get(value, 'toJSON');
    if (typeof toJson === 'function') return this.value(Reflect.apply(toJson, value, []), path);
    const kind = lossyKind(value);
    if (kind !== undefined) return { path, message: `is ${kind}, which JSON would lose` };
    return this.#entries(value, path);
  }

  #items(items: readonly unknown[], path: string): JsonProblem | undefined {
    for (let index = 0; index < items.length && !this.tooLarge; index++) {
      const problem = this.value(items[index], `${path}[${index}]`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #entries(value: object, path: string): JsonProblem | undefined {
    for (const key of Object.keys(value)) {
      if (this.tooLarge) return undefined;
      const at = pathTo(path, key);
      if (this.#rules.refuseReservedKeys && RESERVED_KEYS.includes(key)) {
        return {
          path: at,
          message: 'has a key that is not allowed, because it can change the prototype of an object',
        };
      }
      const own: unknown = Reflect.get(value, key);
      if (own === undefined) continue; // JSON leaves it out
      this.#leastBytes += key.length;
      const problem = this.value(own, at);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
}

/** Built-in kinds that JSON.stringify writes as `{}` or as something that nobody meant. */
function lossyKind(value: object): string | undefined {
  if (types.isPromise(value)) return 'a Promise (is an await missing?)';
  if (types.isMap(value)) return 'a Map';
  if (types.isSet(value)) return 'a Set';
  if (types.isWeakMap(value) || types.isWeakSet(value)) return 'a weak collection';
  if (types.isRegExp(value)) return 'a RegExp';
  if (value instanceof Error) return 'an Error';
  return undefined;
}

/** `a.b[0]["odd key"]`, as one would write it in code. */
export function pathTo(parent: string, key: PropertyKey): string {
  if (typeof key === 'number') return `${parent}[${key}]`;
  const name = String(key);
  if (/^[A-Za-z_$][\w$]*$/.test(name) && name.length <= 60) return parent === '' ? name : `${parent}.${name}`;
  return `${parent}[${quote(name)}]`;
}

const cut = (path: string): string => (path.length <= 120 ? path : `${path.slice(0, 120)}…`);

/** A thrown value may be anything, even something that cannot be turned into text. */
function safeMessage(thrown: unknown): string {
  try {
    return escapeControls(messageOf(thrown).slice(0, 200)); // the parser quotes what it was given
  } catch {
    return 'an unreadable error was thrown';
  }
}
