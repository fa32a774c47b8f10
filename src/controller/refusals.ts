/**
 * Reads objects again whose generation the broker refused, apart from the loop that fires: a source that does not answer
 * keeps only these from firing.
 */
import type { StaleEntry } from './adopter.ts';
import { Alarm } from './alarm.ts';
import type { EngineContext } from './engine-context.ts';
import type { ObjectKey, ScheduledObject } from '../resource/scheduled-object.ts';
import { LONGEST_RETRY_MS, WorkQueue } from './work-queue.ts';

const KEYS_PER_ROUND = 64;

export class Refusals {
  readonly #context: EngineContext;
  readonly #queue: WorkQueue<ObjectKey>;
  readonly #refusals = new Map<ObjectKey, StaleEntry>();
  readonly #resolved: (key: ObjectKey) => void;
  readonly #alarm: Alarm;

  /** @param resolved - called when the object was read: its key is to be reconciled again */
  constructor(context: EngineContext, resolved: (key: ObjectKey) => void) {
    this.#context = context;
    this.#queue = new WorkQueue(() => context.clock.monotonic());
    this.#resolved = resolved;
    this.#alarm = new Alarm(context.clock);
  }

  add(refusal: StaleEntry): void {
    const { key } = refusal.entry.object;
    // One that waits for its next try keeps its place, or a source that is down would be asked without a pause.
    if (!this.#refusals.has(key)) this.#queue.add(key);
    this.#refusals.set(key, refusal);
    this.#alarm.ring();
  }

  forget(key: ObjectKey): void {
    this.#refusals.delete(key);
    this.#queue.forget(key);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    while (!signal.aborted) {
      for (const key of this.#queue.take(KEYS_PER_ROUND)) {
        await this.#read(key, signal);
        this.#queue.done(key);
      }
      const nextAtMs = this.#queue.nextAtMs;
      await this.#alarm.wait(
        nextAtMs === undefined ? LONGEST_RETRY_MS : Math.max(0, nextAtMs - clock.monotonic()),
        signal,
      );
    }
  }

  async #read(key: ObjectKey, signal: AbortSignal): Promise<void> {
    const refusal = this.#refusals.get(key);
    if (refusal === undefined || signal.aborted) return;
    const { entry } = refusal;
    try {
      const live = await this.#context.source.readLive(key);
      entry.forced = live !== undefined && mustForce(entry.object, live, refusal);
      this.#refusals.delete(key);
      this.#resolved(key);
    } catch (error) {
      this.#context.log.warn('an object that was refused could not be read again', {
        object: key,
        err: error,
      });
      this.#queue.retry(key);
    }
  }
}

/**
 * Whether the live object takes precedence over what the broker knows: it is the one that we have, and older than what the
 * broker told, so the source was set back (a restored etcd); or it lives although it was withdrawn. What the edit brought that
 * the broker told of is not older: forced, it would undo the next edit, which another engine may have adopted meanwhile.
 */
export function mustForce(
  ours: ScheduledObject,
  live: ScheduledObject,
  { generation, withdrawn }: Pick<StaleEntry, 'generation' | 'withdrawn'>,
): boolean {
  if (live.uid !== ours.uid || live.deletedAt !== undefined) return false;
  if (withdrawn) return live.generation === ours.generation || live.generation > generation;
  return live.generation === ours.generation && live.generation < generation;
}
