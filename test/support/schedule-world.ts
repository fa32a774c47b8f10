/**
 * Schedule engines on one memory broker and a clock that stands still until told: objects are kept as an API server keeps
 * them, engines can be killed, paused and cut off from the broker, and everything that was decided can be counted.
 */
import type { Broker, FireReply, FireRequest, Queue, SchedulePort } from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory/memory-broker.ts';
import { ScheduleEngine, type ScheduleEngineOptions } from '../../src/controller/engine.ts';
import { SILENT_ENGINE_OBSERVER, type EngineObserver } from '../../src/controller/observer.ts';
import type { ObjectReport } from '../../src/controller/sink.ts';
import { keyOf, type ObjectKey, type ScheduledObject } from '../../src/resource/scheduled-object.ts';
import type { ObjectSource } from '../../src/controller/source.ts';
import type { ScheduledTaskSpec } from '../../src/resource/scheduled-task.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { TidemillError } from '../../src/runtime/errors.ts';
import { VirtualClock } from '../../src/runtime/virtual-clock.ts';
import { silentLog } from '../../src/telemetry/log.ts';

export const INSTALL = 'test';
export const NAMESPACE = 'default';

/** What a test says of a spec; the rest has the defaults of the CRD, but for the overlap policy. */
export type SpecInput = Partial<ScheduledTaskSpec>;

export function specOf(input: SpecInput): ScheduledTaskSpec {
  return { task: 'tick', suspend: false, concurrencyPolicy: 'Allow', missedRunPolicy: 'Latest', ...input };
}

/** The objects as an API server has them: uid at creation, generation with every change of the spec. */
export class ObjectStore {
  readonly #objects = new Map<ObjectKey, ScheduledObject>();
  readonly #listeners = new Set<(key: ObjectKey) => void>();
  #uids = 0;
  #versions = 0;

  create(name: string, input: SpecInput): ScheduledObject {
    const key = keyOf({ namespace: NAMESPACE, name });
    this.#uids += 1;
    const uid = `uid-${this.#uids}`;
    return this.put({ key, uid, generation: 1, namespace: NAMESPACE, name, spec: specOf(input) });
  }

  /** As `kubectl patch`: what the input leaves out stays. */
  edit(name: string, input: SpecInput): ScheduledObject {
    const { spec } = this.#known(name);
    return this.replace(name, 'unreadable' in spec ? input : { ...spec, ...input });
  }

  /** As `kubectl replace`: what the input leaves out goes. */
  replace(name: string, input: SpecInput): ScheduledObject {
    const before = this.#known(name);
    return this.put({ ...before, generation: before.generation + 1, spec: specOf(input) });
  }

  /** As `kubectl annotate` on a server that keeps a status: the generation stays. `undefined` takes an annotation away. */
  annotate(name: string, annotations: Readonly<Record<string, string | undefined>>): ScheduledObject {
    const before = this.#known(name);
    const merged = Object.entries({ ...before.annotations, ...annotations }).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value] as const],
    );
    return this.put({ ...before, annotations: Object.fromEntries(merged), resourceVersion: this.#version() });
  }

  /** As a status write of a controller. */
  setStatus(name: string, status: NonNullable<ScheduledObject['status']>): ScheduledObject {
    return this.put({ ...this.#known(name), status, resourceVersion: this.#version() });
  }

  #version(): string {
    this.#versions += 1;
    return String(this.#versions);
  }

  #known(name: string): ScheduledObject {
    const known = this.#objects.get(keyOf({ namespace: NAMESPACE, name }));
    if (known === undefined) throw new Error(`no object ${name}`);
    return known;
  }

  delete(name: string): void {
    const key = keyOf({ namespace: NAMESPACE, name });
    this.#objects.delete(key);
    this.#tell(key);
  }

  /** As a restored backup does: any object, whatever was there. */
  put(object: ScheduledObject): ScheduledObject {
    this.#objects.set(object.key, object);
    this.#tell(object.key);
    return object;
  }

  get(key: ObjectKey): ScheduledObject | undefined {
    return this.#objects.get(key);
  }

  all(): readonly ScheduledObject[] {
    return [...this.#objects.values()];
  }

  onChange(listener: (key: ObjectKey) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(key: ObjectKey): void {
    for (const listener of this.#listeners) listener(key);
  }
}

/** One engine's cache of the store; cut off, it goes stale and cannot read anything live. */
export class CachedSource implements ObjectSource {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #cache = new Map<ObjectKey, ScheduledObject>();
  readonly #listeners = new Set<(key: ObjectKey) => void>();
  readonly #stop: () => void;
  #cutOff = false;
  #listedAtMs: number;

  constructor(store: ObjectStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#stop = store.onChange((key) => {
      if (!this.#cutOff) this.#take(key);
    });
    for (const object of store.all()) this.#cache.set(object.key, object);
    this.#listedAtMs = clock.monotonic();
  }

  set cutOff(cutOff: boolean) {
    this.#cutOff = cutOff;
    if (!cutOff) this.relist();
  }

  /** Asks for everything, as an informer does now and then. */
  relist(): void {
    if (this.#cutOff) return;
    for (const key of new Set([...this.#cache.keys(), ...this.#store.all().map((object) => object.key)]))
      this.#take(key);
    this.#listedAtMs = this.#clock.monotonic();
  }

  /** A list that the server answered empty by mistake: every object seems gone. */
  relistEmpty(): void {
    for (const key of [...this.#cache.keys()]) {
      this.#cache.delete(key);
      for (const listener of this.#listeners) listener(key);
    }
    this.#listedAtMs = this.#clock.monotonic();
  }

  close(): void {
    this.#stop();
  }

  get lastFullListAt(): number {
    return this.#listedAtMs;
  }

  list(): readonly ScheduledObject[] {
    return [...this.#cache.values()];
  }

  get(key: ObjectKey): ScheduledObject | undefined {
    return this.#cache.get(key);
  }

  subscribe(listener: (key: ObjectKey) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async readLive(key: ObjectKey): Promise<ScheduledObject | undefined> {
    if (this.#cutOff) throw new TidemillError('INTERNAL', 'cut off from the API server');
    this.#take(key);
    return this.#cache.get(key);
  }

  #take(key: ObjectKey): void {
    const live = this.#store.get(key);
    if (live === this.#cache.get(key)) return;
    if (live === undefined) this.#cache.delete(key);
    else this.#cache.set(key, live);
    for (const listener of this.#listeners) listener(key);
  }
}

/** `before`: the call does not arrive. `after`: it does, and the reply is lost. */
export type SchedulerFault = 'before' | 'after' | undefined;

/** Holds every call of a process that stands still, until it moves again. */
export class Freezer {
  #frozen = false;
  readonly #waiting: (() => void)[] = [];

  readonly gate = async (): Promise<SchedulerFault> => {
    if (this.#frozen) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return undefined;
  };

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

/** When an engine sent a call of `adopt`, by the requests of it: it may have arrived much later. */
export const adoptSentAtMs = new WeakMap<object, number>();

/** A broker whose schedule calls can fail, be delayed, or never end (a frozen process). */
export class UnreliableBroker implements Broker {
  /** What it leads to now: another one after a failover. */
  inner: Broker;
  readonly #gate: () => Promise<SchedulerFault>;
  readonly #clock: Clock;
  readonly #queues = new Map<string, Queue>();
  readonly calls: string[] = [];
  /** Reconnects that the test pretends, beside those of the broker itself. */
  reconnects = 0;
  /** Answers a call of `fire` in place of the broker; `undefined` lets it through. */
  onFire: (requests: readonly FireRequest[]) => Promise<readonly FireReply[]> | undefined = () => undefined;

  constructor(inner: Broker, clock: Clock, gate: () => Promise<SchedulerFault> = async () => undefined) {
    this.inner = inner;
    this.#clock = clock;
    this.#gate = gate;
  }

  get description(): string {
    return this.inner.description;
  }

  get connected(): boolean {
    return this.inner.connected;
  }

  get connectionEpoch(): string {
    return `${String(this.inner.connectionEpoch)}+${this.reconnects}`;
  }

  queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const { runs, work, inspect } = this.inner.queue(name);
    const made = { name, runs, work, inspect, schedules: this.#port(name) };
    this.#queues.set(name, made);
    return made;
  }

  #port(queue: string): SchedulePort {
    const port = (): SchedulePort => this.inner.queue(queue).schedules;
    const call = <T>(name: string, effect: () => Promise<T>): Promise<T> => this.#call(name, effect);
    return {
      adopt: (requests) => {
        adoptSentAtMs.set(requests, this.#clock.now());
        return call('adopt', () => port().adopt(requests));
      },
      fire: (requests) => call('fire', () => this.onFire(requests) ?? port().fire(requests)),
      withdraw: (uids) => call('withdraw', () => port().withdraw(uids)),
      request: (uid, asked) => call('request', () => port().request(uid, asked)),
      requested: (install, limit) => call('requested', () => port().requested(install, limit)),
      states: (uids) => call('states', () => port().states(uids)),
      adopted: (install) => call('adopted', () => port().adopted(install)),
      decisions: (uid, span) => port().decisions(uid, span),
      eras: (uid) => call('eras', () => port().eras(uid)),
    };
  }

  async #call<T>(name: string, effect: () => Promise<T>): Promise<T> {
    this.calls.push(name);
    const fault = await this.#gate();
    if (fault === 'before') throw new TidemillError('BROKER_UNAVAILABLE', `planned: ${name} did not arrive`);
    const reply = await effect();
    if (fault === 'after')
      throw new TidemillError('BROKER_UNAVAILABLE', `planned: the reply to ${name} was lost`);
    return reply;
  }

  queueNames: Broker['queueNames'] = () => this.#call('queueNames', () => this.inner.queueNames());
  now: Broker['now'] = () => this.#call('now', () => this.inner.now());
  memory: Broker['memory'] = () => this.inner.memory();
  startHeartbeat: Broker['startHeartbeat'] = (options) => this.inner.startHeartbeat(options);
  holdLock: Broker['holdLock'] = (name, holder, leaseMs) =>
    this.#call('holdLock', () => this.inner.holdLock(name, holder, leaseMs));
  releaseLock: Broker['releaseLock'] = (name, holder) => this.inner.releaseLock(name, holder);
  async [Symbol.asyncDispose](): Promise<void> {
    // The inner broker belongs to the test, and other engines use it.
  }
}

export interface EngineHandle {
  readonly engine: ScheduleEngine;
  readonly source: CachedSource;
  readonly broker: UnreliableBroker;
  readonly reports: Map<ObjectKey, ObjectReport>;
  /** What the observer was told, as `name detail` lines. */
  readonly events: string[];
  stop(): Promise<void>;
}

export interface StartOptions extends Partial<
  Pick<ScheduleEngineOptions, 'allow' | 'timing' | 'measureEveryMs'>
> {
  readonly gate?: () => Promise<SchedulerFault>;
  readonly broker?: Broker;
  readonly clock?: Clock;
}

/** Starts an engine on the store and the broker. Stop it before the test ends, or drop it to play a crash. */
export function startEngine(
  clock: Clock,
  store: ObjectStore,
  inner: Broker,
  options: StartOptions = {},
): EngineHandle {
  const source = new CachedSource(store, clock);
  const broker = new UnreliableBroker(inner, clock, options.gate);
  const reports = new Map<ObjectKey, ObjectReport>();
  const events: string[] = [];
  const engine = new ScheduleEngine({
    ...{ source, broker, clock, log: silentLog, install: INSTALL },
    sink: {
      report: (report) => reports.set(report.object.key, report),
      gone: ({ key }) => reports.delete(key),
    },
    observer: recordingObserver(events),
    ...(options.allow !== undefined && { allow: options.allow }),
    ...(options.timing !== undefined && { timing: options.timing }),
    ...(options.measureEveryMs !== undefined && { measureEveryMs: options.measureEveryMs }),
  });
  const stop = new AbortController();
  const done = engine.run(stop.signal);
  const handle = {
    ...{ engine, source, broker, reports, events },
    stop: async () => {
      stop.abort();
      source.close();
      await done;
    },
  };
  return handle;
}

function recordingObserver(events: string[]): EngineObserver {
  return {
    ...SILENT_ENGINE_OBSERVER,
    adopted: ({ name, generation, forced }) =>
      events.push(`adopted ${name} ${generation}${forced ? ' forced' : ''}`),
    stale: ({ name, generation }) => events.push(`stale ${name} ${generation}`),
    regressed: ({ name, what }) => events.push(`regressed ${name} ${what}`),
    swept: ({ withdrawn, held }) => events.push(`swept ${withdrawn} held ${held}`),
    callFailed: () => events.push('callFailed'),
    refusedForMemory: ({ schedules }) => events.push(`refusedForMemory ${schedules}`),
    duplicate: ({ name }) => events.push(`duplicate ${name}`),
    triggered: ({ name, request, state }) => events.push(`triggered ${name} ${request} ${state}`),
  };
}

export interface World {
  readonly clock: VirtualClock;
  readonly store: ObjectStore;
  readonly broker: Broker;
  start(options?: StartOptions): EngineHandle;
  /** Slots of a schedule that were decided, one line each: `<ISO time> fired`, `… missed Late` (ranges as `from..to xN`). */
  decisions(name: string, from?: Broker): Promise<readonly string[]>;
  /** Slots for which a run was enqueued, ascending. */
  fired(name: string): Promise<readonly string[]>;
  stopAll(): Promise<void>;
}

export const START = Date.parse('2026-03-02T08:00:00Z');

export function createWorld(startMs = START): World {
  const clock = new VirtualClock(startMs);
  const broker = createMemoryBroker({ clock });
  const store = new ObjectStore();
  const engines: EngineHandle[] = [];
  const time = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z').slice(11);
  const uidOf = (name: string): string => store.get(keyOf({ namespace: NAMESPACE, name }))?.uid ?? name;
  const records = (name: string, from: Broker) =>
    from.queue('default').schedules.decisions(uidOf(name), { limit: 1_000 });
  return {
    ...{ clock, store, broker },
    start: (options) => {
      const handle = startEngine(clock, store, broker, options);
      engines.push(handle);
      return handle;
    },
    decisions: async (name, from = broker) =>
      (await records(name, from)).map(({ fromMs, toMs, count, decision, reason }) => {
        const span = fromMs === toMs ? time(fromMs) : `${time(fromMs)}..${time(toMs)} x${count}`;
        return [span, decision, reason].filter((part) => part !== undefined).join(' ');
      }),
    fired: async (name) => {
      const page = await broker.queue('default').inspect.runs({ scheduleUid: uidOf(name), limit: 100_000 });
      return page.runs.map(({ id }) => id.slice(id.indexOf('@') + 12).replace('.000Z', 'Z')).sort();
    },
    stopAll: async () => {
      await Promise.all(engines.map((engine) => engine.stop()));
    },
  };
}
