/** What a simulation found: breaches of promises, and counts of what is outside of them. */

/** Numbers of the promises in the design, in words. */
export const PROMISES = {
  P1: 'every slot ends in exactly one recorded decision',
  P2: 'no slot is enqueued twice',
  P3: 'an acknowledged enqueue reaches exactly one terminal state',
  P4: 'a consumer that dies gives its runs back within 15 s, and its later settles are refused',
  P6: 'after SIGTERM no claim is sent, and the rest goes back with no attempt used',
  P8: 'memory is bounded, and pending work is never dropped to make room',
  P10: 'nothing fires by a spec older than one already acted on',
  policy: 'limits and overlap policies hold, and a run that may start is started',
} as const;
export type PromiseName = keyof typeof PROMISES;

export interface Breach {
  readonly promise: PromiseName;
  readonly text: string;
  readonly atMs: number;
}

export interface Counts {
  events: number;
  calls: number;
  slots: number;
  fired: number;
  runs: number;
  attempts: number;
  acknowledged: number;
  ended: number;
  recovered: number;
  deadLettered: number;
  /** Outside of the promises: what a Redis that was rolled back or emptied took with it. */
  acknowledgedLost: number;
  firedAgainAfterLoss: number;
}

export class Book {
  readonly breaches: Breach[] = [];
  readonly counts: Counts = {
    ...{ events: 0, calls: 0, slots: 0, fired: 0, runs: 0, attempts: 0, acknowledged: 0, ended: 0 },
    ...{ recovered: 0, deadLettered: 0, acknowledgedLost: 0, firedAgainAfterLoss: 0 },
  };
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  breach(promise: PromiseName, text: string): void {
    this.breaches.push({ promise, text, atMs: this.#now() });
  }
}

export function describeBreach({ promise, text, atMs }: Breach): string {
  return `${new Date(atMs).toISOString().slice(11, -1)} ${promise} (${PROMISES[promise]}): ${text}`;
}
