/** Makes anything that a caller wants to log safe to log: bounded, free of secrets, cycles and throwing getters. */

export type LogFields = Readonly<Record<string, unknown>>;

/** Characters kept of one string. */
const STRING_MAX_LENGTH = 8_192;
/** Levels of nesting kept. */
const MAX_DEPTH = 6;
/** Items of an array, or keys of an object, kept. */
const MAX_ITEMS = 100;
/** Values kept in all. */
const MAX_NODES = 500;

const SECRET_NAME =
  /passw|passphrase|secret|token|authorization|cookie|credential|api[-_]?key|access[-_]?key|private[-_]?key/i;
/** Credentials in a URL: everything between `://` and the last `@` of the authority. */
const URL_CREDENTIALS = /:\/\/[^\s/?#]*@/g;
const REDACTED = '[redacted]';

/** A string as it may be shown: without URL credentials, and cut at 8,192 characters. */
export function loggableText(text: string): string {
  const kept =
    text.length > STRING_MAX_LENGTH
      ? `${text.slice(0, STRING_MAX_LENGTH)}… (${text.length - STRING_MAX_LENGTH} more characters)`
      : text;
  return kept.includes('://') ? kept.replace(URL_CREDENTIALS, '://***@') : kept;
}

/** Fields as they may be logged. Values of secret-looking names are replaced, whatever they are. */
export function loggableFields(fields: LogFields): Record<string, unknown> {
  const shown = new FieldCopy().value(fields, 0);
  return isRecord(shown) ? shown : { value: shown };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One copy of one line's fields, with what may still be copied: width times depth would otherwise be without bound. */
class FieldCopy {
  #nodesLeft = MAX_NODES;

  value(value: unknown, depth: number): unknown {
    if (--this.#nodesLeft < 0) return '[more]';
    switch (typeof value) {
      case 'string':
        return loggableText(value);
      case 'bigint':
        return value.toString();
      case 'function':
      case 'symbol':
        return `[${typeof value}]`;
      case 'number':
        return Number.isFinite(value) ? value : String(value);
      case 'object':
        // A getter, a toJSON or a proxy of the caller's may throw: a log line must never be what ends a run.
        try {
          return value === null ? null : this.#object(value, depth);
        } catch {
          return '[unreadable]';
        }
      default:
        return value;
    }
  }

  #object(value: object, depth: number): unknown {
    if (value instanceof Error) return this.#error(value, depth);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
    if (ArrayBuffer.isView(value)) return `[${value.constructor.name} of ${value.byteLength} bytes]`;
    if (depth >= MAX_DEPTH) return '[deeper]';
    if (Array.isArray(value)) return this.#items(value, depth);
    if (value instanceof Set || value instanceof Map) return this.#items([...value], depth);
    const toJSON: unknown = Reflect.get(value, 'toJSON');
    if (typeof toJSON === 'function') return this.value(Reflect.apply(toJSON, value, []), depth + 1);
    return this.#entries(value, depth);
  }

  #items(items: readonly unknown[], depth: number): unknown[] {
    const shown = items.slice(0, MAX_ITEMS).map((item) => this.value(item, depth + 1));
    if (items.length > MAX_ITEMS) shown.push(`… (${items.length - MAX_ITEMS} more items)`);
    return shown;
  }

  #entries(value: object, depth: number): Record<string, unknown> {
    const shown: [string, unknown][] = [];
    const keys = Object.keys(value);
    for (const key of keys.slice(0, MAX_ITEMS)) {
      const own: unknown = Reflect.get(value, key);
      if (own === undefined) continue;
      shown.push([loggableText(key), SECRET_NAME.test(key) ? REDACTED : this.value(own, depth + 1)]);
    }
    if (keys.length > MAX_ITEMS) shown.push(['…', `${keys.length - MAX_ITEMS} more keys`]);
    // fromEntries defines own properties, so that a key named __proto__ stays a key.
    return Object.fromEntries(shown);
  }

  #error(error: Error, depth: number): unknown {
    if (depth >= MAX_DEPTH) return loggableText(error.message);
    return {
      type: error.name,
      message: loggableText(error.message),
      ...('code' in error && { code: this.value(error.code, depth + 1) }),
      ...(error.stack !== undefined && { stack: loggableText(error.stack) }),
      ...(error.cause !== undefined && { cause: this.value(error.cause, depth + 1) }),
      ...(error instanceof AggregateError && { errors: this.#items(error.errors, depth) }),
    };
  }
}
