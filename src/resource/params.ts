/** What params may be before any task looks at them: JSON of a bounded size and depth. */
import { isInexact } from '../task/json.ts';
import { PARAMS_MAX_BYTES } from '../task/params.ts';

export const PARAMS_MAX_KEYS = 64;
export const PARAMS_MAX_DEPTH = 32;

/** The rule that params break, as the end of a sentence; `undefined` when they are fine. */
export function paramsProblem(params: Readonly<Record<string, unknown>>): string | undefined {
  const keys = Object.keys(params).length;
  if (keys > PARAMS_MAX_KEYS) return `must have at most ${PARAMS_MAX_KEYS} keys, not ${keys}`;
  const problem = jsonProblem(params, 0, '');
  if (problem !== undefined) return problem;
  const bytes = Buffer.byteLength(JSON.stringify(params));
  if (bytes <= PARAMS_MAX_BYTES) return undefined;
  return `must be at most ${PARAMS_MAX_BYTES / 1024} KiB as JSON, not ${Math.ceil(bytes / 1024)} KiB: store the data elsewhere and pass a reference`;
}

function jsonProblem(value: unknown, depth: number, path: string): string | undefined {
  if (depth > PARAMS_MAX_DEPTH) return `must not be nested deeper than ${PARAMS_MAX_DEPTH} levels`;
  if (typeof value === 'number') return numberProblem(value, path);
  if (value === null || ['string', 'boolean'].includes(typeof value)) return undefined;
  if (typeof value !== 'object') return `${path} must be JSON, not a ${typeof value}`;
  for (const [key, inner] of Object.entries(value)) {
    const problem = jsonProblem(inner, depth + 1, path === '' ? key : `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** An API server hands out whole numbers of 64 bits, which have lost digits by the time they are read here. */
function numberProblem(value: number, path: string): string | undefined {
  if (!Number.isFinite(value)) return `${path} must be a finite number`;
  return isInexact(value)
    ? `${path} must be at most 2^53 - 1 as a whole number: put a larger one in quotes`
    : undefined;
}
