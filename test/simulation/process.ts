/** A process of the simulation: its timers and its line to Redis work, stand still, or are gone, as it is told. */
import { type Clock, sleepOn, type Timer } from '../../src/runtime/clock.ts';
import { TidemillError } from '../../src/runtime/errors.ts';
import type { RandomSource } from '../support/random.ts';
import type { Book } from './book.ts';
import type { SimulatedRedis } from './redis.ts';
import { CALL_TIMEOUT_MS, LONGEST_WAY_MS } from './settings.ts';

/** What can go wrong with single calls, each as a share of all. */
export interface Weather {
  readonly lost: number;
  readonly replyLost: number;
  readonly twice: number;
}

export interface ProcessOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly redis: SimulatedRedis;
  readonly book: Book;
  readonly random: RandomSource;
  readonly weather: () => Weather;
  /** How far its wall clock is wrong. */
  readonly skewMs: number;
}

/** Calls that may arrive once more, later: what they do twice must not count twice. */
const MAY_COME_TWICE = new Set(['cycle', 'fire', 'renew', 'recover', 'promote']);

export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #options: ProcessOptions;
  #isFrozen = false;
  #isDead = false;
  #cutUntilMs = 0;
  #reconnects = 0;
  #waiting: (() => void)[] = [];
  /** Since when it has been able to do its work; `undefined`: it is not. */
  #wellSinceMs: number | undefined;
  #illSinceMs = 0;
  /** Calls that went wrong by themselves, and when the last did. */
  lastBadCallMs = -Infinity;
  /** Told of each call before it is sent. */
  onSend: (call: string, request: unknown) => void = () => undefined;

  constructor(options: ProcessOptions) {
    this.name = options.name;
    this.#options = options;
    this.clock = this.#createClock();
    this.#wellSinceMs = options.clock.now();
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get isCut(): boolean {
    return this.#options.clock.now() < this.#cutUntilMs;
  }

  get worldNowMs(): number {
    return this.#options.clock.now();
  }

  /** For how long it has been well, or, negative, been dead, frozen or cut off from Redis. */
  get wellForMs(): number {
    const nowMs = this.#options.clock.now();
    const isWell = !this.#isDead && !this.#isFrozen && !this.isCut;
    if (isWell && this.#wellSinceMs === undefined)
      this.#wellSinceMs = Math.max(this.#cutUntilMs, this.#illSinceMs);
    if (isWell) return nowMs - (this.#wellSinceMs ?? nowMs);
    return this.#illSinceMs - nowMs;
  }

  /** What names the server and the connection for whoever asks. */
  get epoch(): string {
    return `${this.#options.redis.epoch}:${this.#reconnects}`;
  }

  die(): void {
    this.#fallIll();
    this.#isDead = true;
    this.#waiting = [];
  }

  freeze(): void {
    if (this.#isFrozen || this.#isDead) return;
    this.#fallIll();
    this.#isFrozen = true;
  }

  thaw(): void {
    if (!this.#isFrozen || this.#isDead) return;
    this.#isFrozen = false;
    this.#wellSinceMs = this.isCut ? undefined : this.#options.clock.now();
    for (const resume of this.#waiting.splice(0)) resume();
  }

  cutFor(ms: number): void {
    if (this.#isDead) return;
    this.#fallIll();
    this.#cutUntilMs = Math.max(this.#cutUntilMs, this.#options.clock.now() + ms);
    this.#reconnects += 1;
  }

  heal(): void {
    this.thaw();
    this.#cutUntilMs = Math.min(this.#cutUntilMs, this.#options.clock.now());
  }

  #fallIll(): void {
    if (this.wellForMs < 0) return;
    this.#illSinceMs = this.#options.clock.now();
    this.#wellSinceMs = undefined;
  }

  /** Resolves when the process runs: at once, when it is thawed, or never. */
  async runs(): Promise<void> {
    while (this.#isFrozen || this.#isDead) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** A call on its line: it takes time both ways, may be lost on either, and may come twice. */
  async call<T>(name: string, request: unknown, effect: () => Promise<T>): Promise<T> {
    const { clock, random, weather } = this.#options;
    await this.runs();
    this.onSend(name, request);
    const { lost, replyLost, twice } = weather();
    const roll = random.next();
    await clock.sleep(Math.floor(random.next() ** 2 * LONGEST_WAY_MS));
    // What is under way arrives although its sender has died.
    if (this.#isUnreachable() || roll < lost) return await this.#fail(name, 'did not arrive', roll < lost);
    const answer = await effect();
    if (roll > 1 - twice && MAY_COME_TWICE.has(name))
      clock.after(random.between({ min: 1, max: CALL_TIMEOUT_MS }), () => this.#again(effect));
    await clock.sleep(Math.floor(random.next() ** 2 * LONGEST_WAY_MS));
    await this.runs();
    const isReplyLost = roll < lost + replyLost;
    if (this.#isUnreachable() || isReplyLost) return await this.#fail(name, 'was not answered', isReplyLost);
    return answer;
  }

  /** A method, as it may be another answer after each wait. */
  #isUnreachable(): boolean {
    return this.isCut || this.#options.redis.isAway;
  }

  #again(effect: () => Promise<unknown>): void {
    if (!this.#options.redis.isAway) void effect();
  }

  async #fail(name: string, what: string, byItself: boolean): Promise<never> {
    const { clock, random } = this.#options;
    if (byItself) this.lastBadCallMs = clock.now();
    await clock.sleep(random.between({ min: 1, max: CALL_TIMEOUT_MS }));
    await this.runs();
    throw new TidemillError('BROKER_UNAVAILABLE', `${name} of ${this.name} ${what}`);
  }

  /** The world's clock with its wall clock wrong, and with timers that fire only while the process runs. */
  #createClock(): Clock {
    const { clock, skewMs, book } = this.#options;
    const after = (delayMs: number, callback: () => void): Timer => {
      let isWithdrawn = false;
      const timer = clock.after(delayMs, () => {
        if (this.#isDead) return;
        book.counts.events += 1;
        if (!this.#isFrozen) callback();
        else
          this.#waiting.push(() => {
            if (!isWithdrawn) callback();
          });
      });
      const mine: Timer = {
        unref: () => mine,
        [Symbol.dispose]: () => {
          isWithdrawn = true;
          timer[Symbol.dispose]();
        },
      };
      return mine;
    };
    return {
      now: () => clock.now() + skewMs,
      monotonic: () => clock.monotonic(),
      after,
      sleep: (delayMs, signal) => sleepOn({ after }, delayMs, signal),
    };
  }
}
