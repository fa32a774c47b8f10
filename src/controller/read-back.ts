/**
 * Compares what this engine believes of its schedules with what the broker says: all of them in small pieces every 30 s,
 * and before anything more fires after a call with an unknown outcome or a reconnect.
 */
import type { SchedulePort } from '../broker/broker.ts';
import { type EngineContext, OBJECTS_PER_CALL } from './engine-context.ts';
import { type Entry, isAdopted, refOf } from './entry.ts';
import { type Standing, standingOf } from './reconcile.ts';
import type { ObjectKey } from '../resource/scheduled-object.ts';

/** What reading back found of one schedule; its memory is already corrected. */
export interface Finding {
  readonly entry: Entry;
  readonly standing: Standing;
}

export class ReadBack {
  readonly #context: EngineContext;
  readonly #port: SchedulePort;
  readonly #entryOf: (key: ObjectKey) => Entry | undefined;
  /** Nothing more of these fires before they were read. */
  readonly #doubted = new Set<ObjectKey>();
  /** What is left of the round under way. */
  #round: readonly ObjectKey[] = [];
  #nextRoundAtMs: number;

  constructor(context: EngineContext, port: SchedulePort, entryOf: (key: ObjectKey) => Entry | undefined) {
    this.#context = context;
    this.#port = port;
    this.#entryOf = entryOf;
    this.#nextRoundAtMs = context.clock.monotonic() + context.timing.readBackEveryMs;
  }

  doubt(key: ObjectKey): void {
    this.#doubted.add(key);
  }

  /** Whether there is more to read at once. */
  get isBusy(): boolean {
    return this.#doubted.size > 0 || this.#round.length > 0;
  }

  /** Reads all that is doubted. */
  async verify(): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    while (this.#doubted.size > 0) {
      const keys = [...this.#doubted].slice(0, OBJECTS_PER_CALL);
      findings.push(...(await this.#read(keys)));
      for (const key of keys) this.#doubted.delete(key);
    }
    return findings;
  }

  /** Reads the next piece of the round, or begins one when it is time. */
  async proceed(keys: () => Iterable<ObjectKey>): Promise<readonly Finding[]> {
    const nowMs = this.#context.clock.monotonic();
    if (this.#round.length === 0) {
      if (nowMs < this.#nextRoundAtMs) return [];
      this.#nextRoundAtMs = nowMs + this.#context.timing.readBackEveryMs;
      this.#round = [...keys()];
    }
    const piece = this.#round.slice(0, OBJECTS_PER_CALL);
    this.#round = this.#round.slice(OBJECTS_PER_CALL);
    return await this.#read(piece);
  }

  async #read(keys: readonly ObjectKey[]): Promise<readonly Finding[]> {
    const entries = keys.flatMap((key) => this.#entryOf(key) ?? []).filter(isAdopted);
    if (entries.length === 0) return [];
    const states = await this.#port.states(entries.map(({ object }) => object.uid));
    return entries.map((entry, index) => {
      const state = states[index];
      const standing = standingOf(entry, state);
      entry.state = state ?? entry.state;
      if (standing.kind === 'stands' || standing.kind === 'regressed') {
        entry.settledMs = standing.settledMs;
        entry.watermarkMs = state?.watermarkMs;
      }
      if (standing.kind === 'regressed')
        this.#context.observer.regressed({ ...refOf(entry), what: 'watermark' });
      return { entry, standing };
    });
  }
}
