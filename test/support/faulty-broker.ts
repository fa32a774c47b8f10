/** Wraps a broker and breaks chosen consumer calls: before their effect, after it (a lost reply), or for ever. */
import type { Broker, ClaimRequest, ConsumerPort, CycleReply, Queue } from '../../src/broker/broker.ts';
import { MemoryHeartbeat } from '../../src/broker/memory/heartbeat.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { TidemillError } from '../../src/runtime/errors.ts';

/** There has been work since. */
const LONG_AGO = '-1:';
const NEVER = new AbortController().signal;

/** What a broker in memory does for a claim that waited, as if its wait were over. */
export const claimNow = (work: ConsumerPort, request: ClaimRequest): Promise<CycleReply | undefined> =>
  work.claimWhenWoken(LONG_AGO, request, 0, NEVER);

export type FaultyCall = Exclude<keyof ConsumerPort, 'waitForWork' | 'claimWhenWoken'>;

/**
 * - `before`: fails, nothing happened, but the caller cannot know
 * - `after`: happened, and its reply is lost
 * - `refused`: fails, and says that nothing happened
 * - `hang`: never answers
 */
export type Fault = 'before' | 'after' | 'refused' | 'hang';

export type FaultPlan = (call: FaultyCall, queue: string, request: unknown) => Fault | undefined;

export class FaultyBroker implements Broker {
  readonly #inner: Broker;
  readonly #queues = new Map<string, Queue>();
  /** How often each call was made, whatever became of it. */
  readonly calls = new Map<FaultyCall, number>();
  plan: FaultPlan = () => undefined;

  readonly #clock: Clock;

  /** @param clock - renews leases by calls that can be broken as well */
  constructor(inner: Broker, clock: Clock) {
    this.#inner = inner;
    this.#clock = clock;
  }

  get description(): string {
    return this.#inner.description;
  }

  get connected(): boolean {
    return this.#inner.connected;
  }

  get connectionEpoch(): string | undefined {
    return this.#inner.connectionEpoch;
  }

  queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const inner = this.#inner.queue(name);
    const { runs, schedules, inspect } = inner;
    const queue = { name, runs, schedules, inspect, work: this.#faultyPort(name, inner.work) };
    this.#queues.set(name, queue);
    return queue;
  }

  queueNames: Broker['queueNames'] = () => this.#inner.queueNames();
  now: Broker['now'] = () => this.#inner.now();
  memory: Broker['memory'] = () => this.#inner.memory();
  startHeartbeat: Broker['startHeartbeat'] = (options) =>
    new MemoryHeartbeat(this.#clock, options, (name) => this.queue(name)).start();
  holdLock: Broker['holdLock'] = (name, holder, leaseMs) => this.#inner.holdLock(name, holder, leaseMs);
  releaseLock: Broker['releaseLock'] = (name, holder) => this.#inner.releaseLock(name, holder);

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  #faultyPort(queue: string, work: ConsumerPort): ConsumerPort {
    const call = <T>(name: FaultyCall, request: unknown, effect: () => Promise<T>): Promise<T> =>
      this.#call(name, queue, request, effect);
    return {
      register: (registration) => call('register', registration, () => work.register(registration)),
      cycle: (request) => call('cycle', request, () => work.cycle(request)),
      renew: (incarnation) => call('renew', incarnation, () => work.renew(incarnation)),
      held: (incarnation) => call('held', incarnation, () => work.held(incarnation)),
      recover: () => call('recover', undefined, () => work.recover()),
      promote: () => call('promote', undefined, () => work.promote()),
      leave: (incarnation) => call('leave', incarnation, () => work.leave(incarnation)),
      waitForWork: (cursor, maxWaitMs, signal) => work.waitForWork(cursor, maxWaitMs, signal),
      claimWhenWoken: async (cursor, request, maxWaitMs, signal) => {
        await work.waitForWork(cursor, maxWaitMs, signal);
        if (signal.aborted) return undefined;
        return call('cycle', { ...request, settle: [] }, () => claimNow(work, request));
      },
    };
  }

  async #call<T>(name: FaultyCall, queue: string, request: unknown, effect: () => Promise<T>): Promise<T> {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    const fault = this.plan(name, queue, request);
    if (fault === 'hang') return await new Promise<never>(() => undefined);
    if (fault === 'refused') throw new TidemillError('BROKER_REFUSED', `planned: ${name} is refused`);
    if (fault === 'before') throw new TidemillError('BROKER_UNAVAILABLE', `planned: ${name} did not arrive`);
    const answer = await effect();
    if (fault === 'after')
      throw new TidemillError('BROKER_UNAVAILABLE', `planned: the reply to ${name} was lost`);
    return answer;
  }
}
