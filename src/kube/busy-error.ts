/** A failed write that says how long its caller is to wait. */
import { TidemillError } from '../runtime/errors.ts';
import { apiStatusOf, causeOf, kubeError } from './api-error.ts';

/** `retryAfterMs` is what the server asked for; 0 when it asked for nothing. */
export class KubeBusyError extends TidemillError {
  readonly retryAfterMs: number;

  /** @param doing - such as "write an event in team-a" */
  constructor(error: unknown, doing: string, nowMs: number) {
    const { code, message } = kubeError(error, doing);
    super(code, message, { cause: causeOf(error) });
    this.retryAfterMs = apiStatusOf(error, nowMs).retryAfterMs ?? 0;
  }
}

/** An apply to an object that an older CRD let in with a field of another type is answered 500, for ever. */
const ABOUT_THE_OBJECT = /^failed to create typed \w+ object/;

/** Whether the server understood the call and does not want it: the same call again would fare no better. */
export function isRefusal(error: unknown): boolean {
  const { code, message } = apiStatusOf(error);
  if (code === 500) return ABOUT_THE_OBJECT.test(message);
  // 401 and 403 are about us, 408 and 429 about the moment: they pass, or stop everything.
  return code !== undefined && code >= 400 && code < 500 && ![401, 403, 408, 429].includes(code);
}
