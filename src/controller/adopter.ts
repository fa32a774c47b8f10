/**
 * Brings the broker up to date with a batch of objects of one queue: closes what the generation before still owes, then
 * adopts. Each call may be repeated: a generation adopted before answers `current`.
 */
import type { AdoptReply, FireReply, FireRequest, SchedulePort } from '../broker/broker.ts';
import type { ScheduleState } from '../task/schedule-state.ts';
import type { EngineContext } from './engine-context.ts';
import { type Entry, refOf } from './entry.ts';
import { adoptionOfEra } from './era.ts';
import { adoptRequest, type Closed, type Closing, closingOf, settledAfterAdoption } from './reconcile.ts';

/**
 * Times that an older generation is closed before the new one takes force in any case: over a line that is slower than the
 * interval of the old schedule a slot of it is always due again, and an edit must not wait for ever.
 */
const CLOSING_ATTEMPTS = 6;

/** A generation that is about to be followed, and the call that decides what it still owes. */
interface Owing {
  readonly entry: Entry;
  readonly request: FireRequest;
  readonly closed: Closed;
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
    const stale: StaleEntry[] = [];
    let open = entries;
    for (let attempt = 1; open.length > 0; attempt += 1)
      open = await this.#attempt(open, attempt >= CLOSING_ATTEMPTS, stale);
    return stale;
  }

  /** @returns those whose older generation may owe slots again by now */
  async #attempt(entries: readonly Entry[], isLast: boolean, stale: StaleEntry[]): Promise<readonly Entry[]> {
    const closed = await this.#close(entries);
    // If this process dies here, the next one finds the old generation closed up to now and adopts the new one.
    const ready = isLast ? entries : entries.filter((entry) => closed.has(entry));
    const late = isLast ? [] : entries.filter((entry) => !closed.has(entry));
    if (ready.length === 0) return late;
    const replies = await this.#port.adopt(
      ready.map((entry) =>
        adoptRequest(entry, this.#context.install, isLast ? undefined : closed.get(entry)),
      ),
    );
    for (const [index, entry] of ready.entries()) {
      const reply = replies[index];
      if (reply?.outcome === 'late') late.push(entry);
      else if (reply?.outcome === 'stale') stale.push({ entry, ...reply });
      else if (reply !== undefined) this.#take(entry, reply);
    }
    return late;
  }

  #take(
    entry: Entry,
    reply: Exclude<AdoptReply, { readonly outcome: 'stale' } | { readonly outcome: 'late' }>,
  ): void {
    const { object, definition, forced, adoption } = entry;
    const { state } = reply;
    entry.settledMs = settledAfterAdoption(state);
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
   * Decides what the generations in force still owe: by the broker's word on them, not by our memory, as others may have
   * acted since.
   * @returns what `adopt` may rely on, for each entry that is closed; no value where there is nothing to close
   */
  async #close(entries: readonly Entry[]): Promise<ReadonlyMap<Entry, Closed | undefined>> {
    const states = await this.#port.states(entries.map(({ object }) => object.uid));
    const closings = await Promise.all(entries.map((entry, index) => this.#closingOf(entry, states[index])));
    const closed = new Map<Entry, Closed | undefined>();
    const owing: Owing[] = [];
    for (const [index, entry] of entries.entries()) {
      const closing = closings[index];
      if (closing === 'unknown') continue;
      if (closing?.request === undefined) closed.set(entry, closing?.closed);
      else owing.push({ entry, request: closing.request, closed: closing.closed });
    }
    if (owing.length === 0) return closed;
    const replies = await this.#port.fire(owing.map(({ request }) => request));
    for (const [index, owed] of owing.entries()) {
      if (this.#isDecided(owed, replies[index])) closed.set(owed.entry, owed.closed);
    }
    return closed;
  }

  /** `undefined`: nothing that is to be followed is in force. `unknown`: what is in force cannot be told just now. */
  async #closingOf(entry: Entry, state: ScheduleState | undefined): Promise<Closing | 'unknown' | undefined> {
    if (state === undefined) return { closed: { generation: 0 }, request: undefined };
    const { uid, generation } = state;
    // By force an older generation may follow a newer one, which owes its slots all the same.
    const isFollowed = entry.forced
      ? generation !== entry.object.generation
      : generation < entry.object.generation;
    if (state.withdrawn || !isFollowed) return undefined;
    const nothing: Closing = { closed: { generation }, request: undefined };
    if (state.suspended) return nothing;
    let followed = entry.adoption;
    if (followed?.uid !== uid || followed.generation !== generation) {
      // What others adopted, or what was edited while no engine ran, only its era tells.
      const era = (await this.#port.eras(uid)).at(-1);
      if (era !== undefined && era.generation !== generation) return 'unknown';
      followed = adoptionOfEra(entry, era);
    }
    if (followed === undefined) return nothing;
    const sinceMs = Math.max(state.notBeforeMs - 1, state.watermarkMs ?? -Infinity);
    return closingOf(followed, sinceMs, this.#context.brokerClock.estimate());
  }

  #isDecided({ entry, request }: Owing, reply: FireReply | undefined): boolean {
    const [asked] = request.entries;
    const made = reply?.outcome === 'ok' ? reply.decisions[0]?.decision : undefined;
    if (made === 'missed' && asked?.kind === 'missed')
      this.#context.observer.missed({ ...refOf(entry), ...asked });
    return made === 'missed' || made === 'duplicate';
  }
}
