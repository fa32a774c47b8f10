/** Why a running attempt is told to stop: the reason of its abort signal. */
import { type ErrorCode, TidemillError } from '../runtime/errors.ts';

export type StopKind = 'timeout' | 'cancelled' | 'shutdown' | 'lease-lost';

const CODES: Readonly<Record<StopKind, ErrorCode>> = {
  timeout: 'TASK_TIMEOUT',
  cancelled: 'RUN_CANCELLED',
  shutdown: 'SHUTDOWN',
  'lease-lost': 'LEASE_LOST',
};

/** A class of its own because the consumer settles each kind differently. */
export class StopError extends TidemillError {
  readonly kind: StopKind;

  constructor(kind: StopKind, message: string) {
    super(CODES[kind], message);
    this.kind = kind;
  }
}
