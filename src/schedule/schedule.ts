/** What a schedule is to everyone else: a pure function from one instant to the next slot. */

/** A nominal fire time in ms since the Unix epoch: what the schedule says, never when we noticed. */
export type Slot = number;

/** Pure: no clock, no timer, no state that a caller could see. */
export interface Schedule {
  /** The spec it was made of, for messages and for export as YAML. */
  readonly spec: ScheduleSpec;
  /** First slot strictly after `afterMs`; `undefined` when there is none. */
  next(afterMs: number): Slot | undefined;
  /** Last slot at or before `atMs`; `undefined` when there is none. */
  previous(atMs: number): Slot | undefined;
}

export type ScheduleSpec = EverySpec | CronSpec;

export interface EverySpec {
  readonly kind: 'every';
  /** At least 100. Slots are the multiples of this since the Unix epoch, plus `offsetMs`. */
  readonly intervalMs: number;
  readonly offsetMs: number;
  /** Each run starts up to this much after its slot, by a hash of the schedule's uid: the same at every slot. */
  readonly jitterMs: number;
}

export interface CronSpec {
  readonly kind: 'cron';
  /** Five fields or a nickname. */
  readonly expression: string;
  /** IANA name in its canonical case. */
  readonly timeZone: string;
  readonly jitterMs: number;
}
