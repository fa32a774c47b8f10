/**
 * The loop for the objects of one queue: reconcile what changed, fire what is due, read back what the broker says.
 *
 * Each queue has a loop of its own, so that one that fails (a full Redis node, a key of the wrong type) keeps no other
 * from firing. Inside it everything is sequential: no schedule is planned twice at a time.
 */
import type { SchedulePort } from '../broker/broker.ts';
import { Adopter, type StaleEntry } from './adopter.ts';
import { Alarm } from './alarm.ts';
import { CrowdStart } from './crowd-start.ts';
import { DueSlots } from './due-slots.ts';
import {
  type EngineContext,
  FIRST_CALL_RETRY_MS,
  LONGEST_CALL_RETRY_MS,
  OBJECTS_PER_CALL,
} from './engine-context.ts';
import { type Entry, isAdopted, refOf } from './entry.ts';
import { type Fired, Firer } from './firer.ts';
import { LaneObjects } from './lane-objects.ts';
import { MemoryRefusals } from './memory-refusals.ts';
import { type Finding, ReadBack } from './read-back.ts';
import { Refusals } from './refusals.ts';
import { reportOf } from './sink.ts';
import type { ObjectKey } from '../resource/scheduled-object.ts';
import { TaskCatalog } from './task-catalog.ts';
import { Triggers, type Unfired } from './triggers.ts';
import { WorkQueue } from './work-queue.ts';

/** How soon a slot is tried again that the broker says is still ahead. */
const EARLY_RETRY_MS = 100;

export class QueueLane {
  readonly queue: string;
  readonly #context: EngineContext;
  readonly #port: SchedulePort;
  readonly #objects: LaneObjects;
  readonly #catalog: TaskCatalog;
  readonly #adopter: Adopter;
  readonly #firer: Firer;
  readonly #triggers: Triggers;
  readonly #readBack: ReadBack;
  readonly #refusals: Refusals;
  readonly #alarm: Alarm;
  /** Keys whose object may have changed. */
  readonly #changed: WorkQueue<ObjectKey>;
  /** By the broker's clock. */
  readonly #due: DueSlots<ObjectKey>;
  readonly #crowdStart: CrowdStart;
  #catalogAtMs = -Infinity;
  #epoch: string | undefined;
  readonly #memoryRefusals: MemoryRefusals;
  /** Calls that failed in a row. */
  #failures = 0;
  #turnedAtMs: number;

  constructor(queue: string, context: EngineContext) {
    const { broker, clock, log, observer } = context;
    const { name, runs, schedules, inspect, work } = broker.queue(queue);
    this.queue = queue;
    this.#context = context;
    this.#due = new DueSlots(context.timing.early);
    this.#crowdStart = new CrowdStart(context, queue, work);
    this.#memoryRefusals = new MemoryRefusals(context, queue);
    this.#port = schedules;
    this.#catalog = new TaskCatalog(inspect, log);
    this.#objects = new LaneObjects(queue, context, this.#catalog);
    this.#adopter = new Adopter(context, schedules);
    this.#firer = new Firer(context, schedules);
    this.#triggers = new Triggers(context, { name, runs, schedules }, this.#catalog, (key) =>
      this.#objects.get(key),
    );
    this.#readBack = new ReadBack(context, schedules, (key) => this.#objects.get(key));
    this.#refusals = new Refusals(context, (key) => {
      this.#changed.retry(key);
      this.#alarm.ring();
    });
    this.#alarm = new Alarm(clock);
    this.#changed = new WorkQueue(() => clock.monotonic(), {
      added: () => observer.keyAdded(),
      taken: (waitedMs) => observer.keyTaken(waitedMs),
      done: (workedMs) => observer.keyDone(workedMs),
      retried: () => observer.keyRetried(),
    });
    this.#epoch = broker.connectionEpoch;
    this.#turnedAtMs = clock.monotonic();
  }

  /** Monotonic time at which the loop last came round, for liveness. */
  get turnedAtMs(): number {
    return this.#turnedAtMs;
  }

  /** Keys that wait to be reconciled. */
  get backlog(): number {
    return this.#changed.depth;
  }

  /** When each object that is being reconciled was handed out, on the monotonic clock. */
  get processingSinceMs(): readonly number[] {
    return this.#changed.processingSinceMs;
  }

  /** Something about this key may have changed: it is compared with the level, whatever it was. */
  mark(key: ObjectKey): void {
    this.#changed.add(key);
    this.#alarm.ring();
  }

  async run(signal: AbortSignal): Promise<void> {
    // Others may have acted since this lane ran last.
    this.#distrust();
    await Promise.all([this.#loop(signal), this.#refusals.run(signal), this.#crowdStart.run(signal)]);
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    while (!signal.aborted) {
      try {
        await this.#turn();
        this.#failures = 0;
        await this.#alarm.wait(this.#idleMs(), signal);
      } catch (error) {
        await clock.sleep(this.#failed(error, signal), signal);
      }
    }
  }

  async #turn(): Promise<void> {
    const { clock, brokerClock, observer } = this.#context;
    const startedMs = clock.monotonic();
    this.#turnedAtMs = startedMs;
    this.#noticeReconnect();
    await this.#readCatalog();
    this.#judge(await this.#readBack.verify(), await brokerClock.now());
    const reconciled = await this.#reconcile(await brokerClock.now());
    const nowMs = await brokerClock.now();
    // A call above may have waited for a new connection: this turn believes what was true on the old one.
    const planned = this.#noticeReconnect() ? 0 : await this.#fire(nowMs);
    this.#keepOpen(await this.#triggers.fireRequested(() => this.#objects.entries()));
    for (const entry of await this.#triggers.follow()) this.#report(entry);
    this.#judge(await this.#readBack.proceed(() => this.#objects.keys()), brokerClock.estimate());
    observer.turned({ queue: this.queue, reconciled, planned, durationMs: clock.monotonic() - startedMs });
  }

  /** How long nothing is due, ms. */
  #idleMs(): number {
    const { clock, brokerClock, timing } = this.#context;
    const waits = [timing.longestWaitMs];
    const dueMs = this.#due.nextMs;
    if (dueMs !== undefined) waits.push(dueMs - brokerClock.estimate());
    const changedMs = this.#changed.nextAtMs;
    if (changedMs !== undefined) waits.push(changedMs - clock.monotonic());
    if (this.#readBack.isBusy) waits.push(0);
    return Math.max(0, Math.ceil(Math.min(...waits)));
  }

  /** The outcome of the call that failed is unknown: what the broker says counts, so everything is read back first. */
  #failed(error: unknown, signal: AbortSignal): number {
    if (signal.aborted) return 0;
    const { observer, log } = this.#context;
    const retryMs = Math.min(FIRST_CALL_RETRY_MS * 2 ** this.#failures, LONGEST_CALL_RETRY_MS);
    this.#failures += 1;
    this.#distrust();
    observer.callFailed({ queue: this.queue, error, retryMs });
    log.warn('the schedules of a queue could not be served', { queue: this.queue, retryMs, err: error });
    return retryMs;
  }

  #distrust(): void {
    for (const key of this.#objects.keys()) this.#readBack.doubt(key);
  }

  /** After a reconnect the broker may know less than it did: nothing fires before it was read back. */
  #noticeReconnect(): boolean {
    const { connectionEpoch } = this.#context.broker;
    if (connectionEpoch === this.#epoch) return false;
    this.#epoch = connectionEpoch;
    this.#distrust();
    return true;
  }

  async #readCatalog(): Promise<void> {
    const nowMs = this.#context.clock.monotonic();
    if (nowMs - this.#catalogAtMs < this.#context.timing.catalogEveryMs) return;
    const changed = await this.#catalog.refresh();
    this.#catalogAtMs = nowMs;
    for (const key of changed ? this.#objects.keys() : this.#objects.awaitingTasks()) this.#changed.add(key);
  }

  async #reconcile(nowMs: number): Promise<number> {
    const keys = this.#changed.take(OBJECTS_PER_CALL);
    try {
      const gone = keys.flatMap((key) => this.#objects.refresh(key, nowMs));
      if (gone.length > 0) await this.#port.withdraw(gone);
      const entries = keys.flatMap((key) => this.#objects.get(key) ?? []);
      const pending = entries.filter((entry) => !isAdopted(entry));
      for (const refusal of await this.#adopter.adopt(pending)) this.#refuse(refusal);
      const unfired = await this.#triggers.fireAnnotated(entries.filter(isAdopted));
      for (const key of keys) this.#replan(key, nowMs);
      this.#keepOpen(unfired);
    } catch (error) {
      for (const key of keys) this.#changed.add(key);
      throw error;
    } finally {
      for (const key of keys) this.#changed.done(key);
    }
    return keys.length;
  }

  /** After a look at a key: planning decides when it is due, and what is owed already is owed now. */
  #replan(key: ObjectKey, nowMs: number): void {
    const entry = this.#objects.get(key);
    if (entry === undefined) {
      this.#due.delete(key);
      // Not forgotten: an object that came under this key while the old one was withdrawn has marked it again.
      this.#changed.recovered(key);
      this.#refusals.forget(key);
      return;
    }
    if (isAdopted(entry)) {
      this.#changed.recovered(key);
      this.#refusals.forget(key);
      this.#due.set(key, nowMs);
    } else {
      this.#due.delete(key);
    }
    this.#report(entry);
  }

  #judge(findings: readonly Finding[], nowMs: number): void {
    for (const { entry, standing } of findings) {
      const { key, generation } = entry.object;
      if (standing.kind === 'stale') this.#refuse({ entry, ...standing });
      if (standing.kind === 'lost')
        this.#refuse({
          entry,
          generation: standing.what === 'schedule' ? 0 : generation - 1,
          withdrawn: false,
        });
      if (standing.kind === 'regressed') this.#due.set(key, nowMs);
      this.#report(entry);
    }
  }

  /** The broker does not stand by our adoption: nothing of the schedule fires before that is settled. */
  #refuse(refusal: StaleEntry): void {
    const { entry, generation: known, withdrawn } = refusal;
    const { key, generation } = entry.object;
    const { observer } = this.#context;
    entry.inForce = false;
    this.#due.delete(key);
    if (!withdrawn && known < generation) {
      // Nothing newer is known: the broker lost the schedule, or this generation of it. Adopting again mends it.
      observer.regressed({ ...refOf(entry), what: known === 0 ? 'schedule' : 'generation' });
      this.#changed.add(key);
      return;
    }
    observer.stale({ ...refOf(entry), generation, known, withdrawn });
    this.#refusals.add(refusal);
  }

  /** Requests by hand that were not decided are looked at again. */
  #keepOpen(unfired: readonly Unfired[]): void {
    for (const one of unfired) {
      if (one.kind === 'stale') this.#refuse(one);
      else this.#changed.addAfter(one.entry.object.key, LONGEST_CALL_RETRY_MS);
    }
  }

  #fire(nowMs: number): Promise<number> {
    const horizonMs = this.#due.horizonMs(nowMs);
    const next = (): ObjectKey | undefined => this.#due.popDue(nowMs, horizonMs);
    const due = (): Entry | undefined => {
      for (let key = next(); key !== undefined; key = next()) {
        const entry = this.#objects.get(key);
        if (entry !== undefined && isAdopted(entry)) return entry;
      }
      return undefined;
    };
    const take = (results: readonly Fired[]): void => {
      this.#memoryRefusals.note(results);
      for (const fired of results) this.#take(fired, nowMs);
    };
    // Whether they were decided is unknown. They stay due; the watermark refuses what was.
    const putBack = (entry: Entry): void => this.#due.set(entry.object.key, nowMs);
    return this.#firer.fireDue({ due, take, putBack }, { nowMs, horizonMs });
  }

  #take(fired: Fired, nowMs: number): void {
    const { entry } = fired;
    const { key } = entry.object;
    switch (fired.kind) {
      case 'next':
        entry.nextMs = fired.atMs;
        entry.planned = true;
        if (entry.settledMs > nowMs) this.#crowdStart.expect(entry.settledMs);
        // Slots of an object that cannot fire are not decided early: until they come, it may be mended.
        if (fired.atMs === undefined) break;
        if (entry.verdict.kind === 'misses') this.#due.set(key, fired.atMs);
        else this.#due.setSlot(key, fired.atMs);
        break;
      case 'opposed':
        entry.nextMs = fired.slotMs;
        entry.planned = true;
        // When we believe that it has come, and the broker does not, our estimate of its time is wrong.
        if (fired.slotMs <= nowMs) this.#context.brokerClock.doubt();
        this.#due.set(key, Math.max(fired.slotMs, nowMs + 1));
        break;
      case 'verify':
        this.#due.set(key, nowMs);
        this.#readBack.doubt(key);
        break;
      case 'early':
        this.#context.brokerClock.doubt();
        this.#due.set(key, fired.slotMs > nowMs ? fired.slotMs : nowMs + EARLY_RETRY_MS);
        break;
      case 'no-memory':
        this.#due.set(key, nowMs + this.#memoryRefusals.retryMs);
        break;
      case 'stale':
        this.#refuse(fired);
        break;
    }
    this.#report(entry);
  }

  #report(entry: Entry): void {
    this.#context.sink.report(
      reportOf(
        entry,
        this.#catalog.liveSchemas(entry.definition.run.task),
        this.#context.brokerClock.estimate(),
      ),
    );
  }
}
