/** What one check of `tidemill doctor` found. */
import { messageOf, TidemillError } from '../../runtime/errors.ts';

export interface Finding {
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'failed' | 'skipped';
  readonly message: string;
}

/** An error with its cause, where the message does not hold that already. */
export function explained(error: unknown): string {
  const cause =
    error instanceof TidemillError && error.cause !== undefined ? ` (${messageOf(error.cause)})` : '';
  return `${messageOf(error)}${messageOf(error).includes(cause.slice(2, -1)) ? '' : cause}`;
}
