/**
 * Brings the broker up to date with a batch of objects of one queue: closes what an older generation still owes, then
 * adopts. Each call may be repeated: a generation adopted before answers `current`.
 */
import type { AdoptReply, FireRequest, SchedulePort } from '../broker/broker.ts';
import type { ScheduleState } from '../task/schedule-state.ts';
import type { EngineContext } from './engine-context.ts';
import { type Entry, refOf } from './entry.ts';
import { adoptionOfEra } from './era.ts';
import { adoptRequest, closingRequest, settledAfterAdoption } from './reconcile.ts';

/** Rounds of closing before what is left stays undecided: others may act, and slots fall due, while we do. */
const CLOSING_ROUNDS = 5;

/** An older generation that is about to be followed, and the call that decides what it still owes. */
interface Closing {
  readonly entry: Entry;
  readonly request: FireRequest;
}

/** The broker knows a newer generation, or a tombstone. */
export interface StaleEntry {
  readonly entry: Entry;
  readonly generation: number;
  readonly withdrawn: boolean;
}

export class Adopter {
  readonly #context: EngineContext;
  readonly #port: SchedulePort;

  constructor(context: EngineContext, port: SchedulePort) {
    this.#context = context;
    this.#port = port;
  }

  /** @returns the entries that were refused: their objects have to be read again */
  async adopt(entries: readonly Entry[]): Promise<readonly StaleEntry[]> {
    if (entries.length === 0) return [];
    await this.#close(entries);
    // If this process dies here, the next one finds the old generation closed up to now and adopts the new one.
    const replies = await this.#port.adopt(
      entries.map((entry) => adoptRequest(entry, this.#context.install)),
    );
    const stale: StaleEntry[] = [];
    for (const [index, entry] of entries.entries()) {
      const reply = replies[index];
      if (reply?.outcome === 'stale') stale.push({ entry, ...reply });
      else if (reply !== undefined) this.#take(entry, reply);
    }
    return stale;
  }

  #take(entry: Entry, reply: Exclude<AdoptReply, { outcome: 'stale' }>): void {
    const { object, definition, forced, adoption } = entry;
    const { state } = reply;
    entry.settledMs = settledAfterAdoption(state, entry);
    if (adoption?.uid === object.uid && (state.watermarkMs ?? -Infinity) < (entry.watermarkMs ?? -Infinity)) {
      this.#context.observer.regressed({ ...refOf(entry), what: 'watermark' });
    }
    entry.watermarkMs = state.watermarkMs;
    entry.adoption = { uid: object.uid, generation: object.generation, definition };
    entry.inForce = true;
    entry.forced = false;
    entry.state = state;
    if (reply.outcome === 'current') return;
    this.#context.observer.adopted({
      ...refOf(entry),
      generation: object.generation,
      suspended: definition.suspended,
      forced,
    });
  }

  /**
   * By the broker's word on what is in force, not by our memory of it: others may have acted since. The last round finds
   * nothing owed, so that only what falls due during the call of `adopt` itself can stay without a decision.
   */
  async #close(entries: readonly Entry[]): Promise<void> {
    let open = entries;
    for (let round = 0; round < CLOSING_ROUNDS && open.length > 0; round += 1) {
      const states = await this.#port.states(open.map(({ object }) => object.uid));
      const found = await Promise.all(open.map((entry, index) => this.#closingOf(entry, states[index])));
      const closings = found.filter((closing) => closing !== undefined);
      if (closings.length > 0) await this.#fireClosings(closings);
      open = closings.map(({ entry }) => entry);
    }
  }

  async #closingOf(entry: Entry, state: ScheduleState | undefined): Promise<Closing | undefined> {
    if (state === undefined || state.withdrawn || state.suspended) return undefined;
    if (state.generation >= entry.object.generation) return undefined;
    const { adoption } = entry;
    const isRemembered = adoption?.uid === state.uid && adoption.generation === state.generation;
    // What others adopted, or what was edited while no engine ran, only its era tells.
    const followed = isRemembered
      ? adoption
      : adoptionOfEra(entry, (await this.#port.eras(state.uid)).at(-1));
    if (followed?.generation !== state.generation) return undefined;
    const sinceMs = Math.max(state.notBeforeMs - 1, state.watermarkMs ?? -Infinity);
    const request = closingRequest(followed, sinceMs, this.#context.brokerClock.estimate());
    return request === undefined ? undefined : { entry, request };
  }

  async #fireClosings(closings: readonly Closing[]): Promise<void> {
    const replies = await this.#port.fire(closings.map(({ request }) => request));
    for (const [index, { entry, request }] of closings.entries()) {
      const reply = replies[index];
      const [asked] = request.entries;
      const made = reply?.outcome === 'ok' ? reply.decisions[0] : undefined;
      if (asked?.kind !== 'missed' || made?.decision !== 'missed') continue;
      this.#context.observer.missed({ ...refOf(entry), ...asked });
    }
  }
}
