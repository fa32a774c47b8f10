/**
 * Withdraws schedules whose objects are gone, however they went: deleted while nobody watched, or in a way that the source
 * cannot see. An object counts as gone only when it is absent from a full list that was asked for after its schedule was
 * seen in the broker, or from a live read made after that: a list from before an object was made says nothing about it.
 */
import type { EngineContext } from './engine-context.ts';
import { keyOf, type ObjectKey } from '../resource/scheduled-object.ts';

/** More than this share of a queue is withdrawn only when a second list, or a read of each, says the same: an empty answer is more often a fault than a wish. */
const LARGEST_SHARE = 0.5;
/** The next list may be minutes away: up to so many absentees are read one by one at a look. */
const READS_PER_LOOK = 20;
/** Where no list comes by, what the broker knows is asked for again after this. */
const SNAPSHOT_EVERY_MS = 60_000;

interface Adopted {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

interface Snapshot {
  /** Monotonic time at which the broker's answer was there. */
  readonly takenAtMs: number;
  /** Without those that were withdrawn since. */
  schedules: readonly Adopted[];
  /** The full list that would have swept too much. */
  heldAtMs: number | undefined;
}

/** Whether an object of that uid is live in that queue. */
export type IsLive = (key: ObjectKey, uid: string, queue: string) => boolean;

export class Sweeper {
  readonly #context: EngineContext;
  readonly #isLive: IsLive;
  readonly #snapshots = new Map<string, Snapshot>();

  constructor(context: EngineContext, isLive: IsLive) {
    this.#context = context;
    this.#isLive = isLive;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, timing } = this.#context;
    while (!signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        // Nothing is lost by sweeping later: a schedule without an object does not fire.
        log.warn('the sweep of withdrawn objects failed and is repeated', { err: error });
      }
      await clock.sleep(timing.sweepEveryMs, signal);
    }
  }

  async #look(): Promise<void> {
    const listedAtMs = this.#context.source.lastFullListAt;
    for (const queue of await this.#context.broker.queueNames()) {
      const snapshot = this.#snapshots.get(queue);
      if (snapshot === undefined) await this.#snapshot(queue);
      else if (listedAtMs === undefined) continue;
      else if (listedAtMs >= snapshot.takenAtMs) await this.#sweep(queue, snapshot, listedAtMs);
      else await this.#ask(queue, snapshot);
    }
  }

  /**
   * Before there is a list to go by, or when it said too much: an engine that stood still, or is cut off, would go on firing
   * for what is gone. Two answers say of each that it is, the list and its own read, so no share is too large.
   */
  async #ask(queue: string, snapshot: Snapshot): Promise<void> {
    const gone: Adopted[] = [];
    for (const schedule of this.#absentOf(queue, snapshot).slice(0, READS_PER_LOOK)) {
      const live = await this.#context.source.readLive(keyOf(schedule));
      if (live?.uid !== schedule.uid) gone.push(schedule);
    }
    await this.#withdraw(queue, gone);
    snapshot.schedules = snapshot.schedules.filter((schedule) => !gone.includes(schedule));
    const isOld = this.#context.clock.monotonic() - snapshot.takenAtMs >= SNAPSHOT_EVERY_MS;
    const isDone = this.#absentOf(queue, snapshot).length === 0;
    // What was adopted since, and is gone as well, is in no snapshot yet.
    if (isDone && (isOld || snapshot.heldAtMs !== undefined)) await this.#snapshot(queue);
  }

  async #sweep(queue: string, snapshot: Snapshot, listedAtMs: number): Promise<void> {
    if (snapshot.heldAtMs === listedAtMs) {
      await this.#ask(queue, snapshot);
      return;
    }
    const gone = this.#absentOf(queue, snapshot);
    if (gone.length > snapshot.schedules.length * LARGEST_SHARE && snapshot.heldAtMs === undefined) {
      snapshot.heldAtMs = listedAtMs;
      this.#tell(queue, 0, gone.length);
      return;
    }
    await this.#withdraw(queue, gone);
    await this.#snapshot(queue);
  }

  #absentOf(queue: string, { schedules }: Snapshot): readonly Adopted[] {
    return schedules.filter((schedule) => !this.#isLive(keyOf(schedule), schedule.uid, queue));
  }

  async #withdraw(queue: string, gone: readonly Adopted[]): Promise<void> {
    if (gone.length === 0) return;
    await this.#context.broker.queue(queue).schedules.withdraw(gone.map(({ uid }) => uid));
    this.#tell(queue, gone.length, 0);
  }

  async #snapshot(queue: string): Promise<void> {
    const { broker, clock, install, source } = this.#context;
    const adopted = await broker.queue(queue).schedules.adopted(install);
    const schedules = adopted.filter(({ namespace }) => source.covers?.(namespace) ?? true);
    this.#snapshots.set(queue, { takenAtMs: clock.monotonic(), schedules, heldAtMs: undefined });
  }

  #tell(queue: string, withdrawn: number, held: number): void {
    const { observer, log } = this.#context;
    observer.swept({ queue, withdrawn, held });
    const message =
      held > 0
        ? 'most objects are gone from the list: each is asked for before it is withdrawn'
        : 'schedules without an object were withdrawn';
    log.warn(message, { queue, schedules: withdrawn + held });
  }
}
