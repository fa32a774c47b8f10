/**
 * Follows every run of a queue from outside its rules: which moves it made, who holds it, how often it began, how many
 * processes died with it. Each move is held against the promises at once.
 */
import { EARLY_CLAIM_MS, type QueueSettings } from '../../src/broker/broker.ts';
import {
  isTerminal,
  type RunError,
  type RunState,
  type TerminalState,
  TRANSITIONS,
} from '../../src/task/run.ts';
import { slotOfRunId } from '../../src/task/ids.ts';
import type { Book } from './book.ts';
import { LEASE_MS, POISON, SETTINGS } from './settings.ts';

interface HandOut {
  readonly incarnation: string;
  readonly token: string;
  readonly suspect: boolean;
  readonly atMs: number;
}

export interface LedgerRun {
  readonly id: string;
  readonly task: string;
  state: RunState;
  handOut: HandOut | undefined;
  /** Attempts begun and not given back. */
  attempt: number;
  /** Deaths of processes that held it as a suspect. */
  deaths: number;
  /** How often it came back from a process that was given up. */
  recoveries: number;
  dueAtMs: number | undefined;
  endedAtMs: number | undefined;
  /** Since when it could have been started, or promoted, and was not; kept by whoever checks that. */
  idleSinceMs: number | undefined;
}

interface Life {
  readonly process: string;
  lastMs: number;
  isOver: boolean;
}

export interface LedgerOptions {
  readonly book: Book;
  readonly now: () => number;
  /** How long Redis could not be reached in that span, in absences longer than that. */
  readonly awayMs: (fromMs: number, toMs: number, leastMs: number) => number;
  /** Whether the process could do its work from then on. */
  readonly isInnocent: (process: string, sinceMs: number) => boolean;
  readonly limitOf: (task: string) => number | undefined;
}

export class RunLedger {
  readonly runs = new Map<string, LedgerRun>();
  /** Those that have not ended. */
  readonly open = new Map<string, LedgerRun>();
  readonly lives = new Map<string, Life>();
  /** The call under way. */
  call = '';
  readonly #options: LedgerOptions;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  added(id: string, task: string, waiting: number, settings: QueueSettings): void {
    const { book, now } = this.#options;
    if (this.open.has(id)) book.breach('P2', `${id} was enqueued while a run of that id was in flight`);
    if (waiting >= settings.maxPending) book.breach('P8', `${id} was enqueued beside ${waiting} that wait`);
    const run: LedgerRun = {
      ...{ id, task, state: 'pending', handOut: undefined, attempt: 0, deaths: 0, recoveries: 0 },
      ...{ dueAtMs: undefined, endedAtMs: undefined, idleSinceMs: now() },
    };
    this.runs.set(id, run);
    this.open.set(id, run);
    book.counts.runs += 1;
  }

  /** It waits for its time from the first. */
  bornDelayed(id: string, dueAtMs: number): void {
    const run = this.runs.get(id);
    if (run === undefined) return;
    run.state = 'delayed';
    run.dueAtMs = dueAtMs;
  }

  waits(id: string, state: 'pending' | 'delayed', dueAtMs?: number): void {
    const run = this.#move(id, state);
    if (run === undefined) return;
    run.dueAtMs = dueAtMs;
    run.idleSinceMs = undefined;
  }

  started(id: string, handOut: Omit<HandOut, 'atMs'>, attempt: number): void {
    const { book, now, limitOf } = this.#options;
    const { incarnation, suspect } = handOut;
    const room = this.roomFor(this.runs.get(id)?.task ?? '');
    const run = this.#move(id, 'running');
    if (run === undefined) return;
    const held = [...this.open.values()].filter((other) => other !== run && other.handOut !== undefined);
    if (room <= 0)
      book.breach(
        'policy',
        `${id} began although ${String(limitOf(run.task))} runs of ${run.task} were running`,
      );
    if ((slotOfRunId(id) ?? 0) > now() + EARLY_CLAIM_MS)
      book.breach('policy', `${id} was handed out long before its slot`);
    if (suspect && held.some((other) => other.handOut?.suspect && other.handOut.incarnation === incarnation))
      book.breach('policy', `${id} was handed out as the second suspect of one consumer`);
    if (this.lives.get(incarnation)?.isOver !== false)
      book.breach('P4', `${id} was handed to ${incarnation}, which had ended`);
    run.attempt += 1;
    if (attempt !== run.attempt)
      book.breach('P6', `${id} is in attempt ${attempt}, and began ${run.attempt} that count`);
    run.handOut = { ...handOut, atMs: now() };
    book.counts.attempts += 1;
  }

  ended(id: string, state: TerminalState, error: RunError | undefined, maxDeliveries: number): void {
    const { book, now } = this.#options;
    const run = this.#move(id, state);
    if (run === undefined) return;
    run.endedAtMs = now();
    this.open.delete(id);
    book.counts.ended += 1;
    if (error?.reason !== 'TooManyDeliveries') return;
    book.counts.deadLettered += 1;
    if (run.deaths < maxDeliveries)
      book.breach('policy', `${id} was dead-lettered after ${run.deaths} deaths as the only suspect`);
  }

  /** An attempt was given back as if it had not begun. */
  gaveBack(id: string): void {
    const run = this.runs.get(id);
    if (run !== undefined) run.attempt -= 1;
  }

  /** A failed run begins anew. */
  redriven(id: string): void {
    const run = this.runs.get(id);
    if (run === undefined) return;
    run.attempt = 0;
    run.deaths = 0;
    run.recoveries = 0;
    run.endedAtMs = undefined;
    this.open.set(id, run);
  }

  /** How many more runs of the task may begin. */
  roomFor(task: string): number {
    const limit = this.#options.limitOf(task) ?? Infinity;
    return (
      limit - [...this.open.values()].filter((run) => run.task === task && run.state === 'running').length
    );
  }

  heldBy(incarnation: string): readonly LedgerRun[] {
    return [...this.open.values()].filter(({ handOut }) => handOut?.incarnation === incarnation);
  }

  holds(id: string, incarnation: string, token: string): boolean {
    const handOut = this.open.get(id)?.handOut;
    return handOut?.incarnation === incarnation && handOut.token === token;
  }

  registered(incarnation: string, process: string): void {
    this.lives.set(incarnation, { process, lastMs: this.#options.now(), isOver: false });
  }

  heard(incarnation: string): void {
    const life = this.lives.get(incarnation);
    if (life?.isOver === false) life.lastMs = this.#options.now();
  }

  left(incarnation: string): void {
    const life = this.lives.get(incarnation);
    if (life !== undefined) life.isOver = true;
  }

  /**
   * A recovery pass ended it: it must have been silent for a whole lease, and not because Redis was away. An absence of up to
   * half a lease brings no amnesty: of one that is dead it counts as silence, or its runs would be back later than promised,
   * and one that was well all the time has to be heard in what is left of its lease.
   */
  endedByRecovery(incarnation: string): void {
    const { book, now, awayMs, isInnocent } = this.#options;
    const life = this.lives.get(incarnation);
    if (life === undefined) return;
    life.isOver = true;
    book.counts.recovered += 1;
    const silentMs = now() - life.lastMs;
    const excusedMs = awayMs(life.lastMs, now(), LEASE_MS / 2);
    if (silentMs - excusedMs < LEASE_MS)
      book.breach(
        'P4',
        `${life.process} was ended although it was silent for ${silentMs - excusedMs} ms only`,
      );
    if (isInnocent(life.process, life.lastMs)) {
      const away = awayMs(life.lastMs, now(), 0);
      book.breach(
        'P4',
        `${life.process} was well and ended: it was silent for ${silentMs} ms, and Redis was away for ${away} of them`,
      );
    }
  }

  /** What ends each process that runs it must not go on for ever: not as a suspect, and not by never being one. */
  #recovered(run: LedgerRun, to: RunState): void {
    const { maxDeliveries } = SETTINGS;
    if (run.handOut?.suspect === true) run.deaths += 1;
    run.recoveries += 1;
    if (isTerminal(to)) return;
    if (run.deaths >= maxDeliveries)
      this.#options.book.breach('policy', `${run.id} became ${to} after ${run.deaths} deaths as a suspect`);
    // The first of them made it a suspect, and a body of poison never lives to end its attempt and be cleared of it.
    if (run.task === POISON && run.recoveries > maxDeliveries)
      this.#options.book.breach(
        'policy',
        `${run.id} is poison and became ${to} after ${run.recoveries} deaths`,
      );
  }

  #move(id: string, to: RunState): LedgerRun | undefined {
    const { book } = this.#options;
    const run = this.runs.get(id);
    if (run === undefined) {
      book.breach('P3', `${id} became ${to}, and was never enqueued`);
      return undefined;
    }
    if (!TRANSITIONS[run.state].includes(to)) {
      const promise = isTerminal(run.state) && isTerminal(to) ? 'P3' : 'policy';
      book.breach(promise, `${id} went from ${run.state} to ${to}`);
    }
    if (this.call === 'recover') this.#recovered(run, to);
    run.handOut = undefined;
    run.state = to;
    return run;
  }
}
