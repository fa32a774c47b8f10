/**
 * Calls to Redis that always end: each is answered, or rejects within its time, whatever becomes of the socket or server.
 *
 * ioredis would leave a call that was in flight when its socket died pending for ever (without resending), or send it a
 * second time (with it). So every call is noted here, rejected when the socket closes or its time is over, and never
 * sent again. A call made while there is no connection waits for one within the same time; their number is bounded.
 */
import { systemClock, type Clock, type Timer } from '../../runtime/clock.ts';
import { TidemillError } from '../../runtime/errors.ts';
import { LinkedList } from '../../runtime/linked-list.ts';
import { createClient, type RedisAddress, type RedisClient } from './client.ts';
import { isReplyError, isUnsent, toBrokerError, withoutCommand } from './reply-errors.ts';

/** With the time for a second try of a numbered batch this stays below 5 s. */
export const DEFAULT_CALL_TIMEOUT_MS = 4_000;
/** Beyond this many calls without an answer more would only use memory. */
const MOST_PENDING = 10_000;
const SWEEP_MS = 100;
/** For calls that wait on purpose, so that a consumer which waits all day does not look ten times a second. */
const WAITING_SWEEP_MS = 1_000;
/**
 * A process that only stands by makes no calls, and would take a frozen server for well until its turn comes: after this long
 * without an answer it asks for one. With the look-around and the time limit of a call that is noticed within 12 s.
 */
const IDLE_MS = 5_000;
const IDLE_LOOK_MS = 2_500;
/** From a socket to its first call. ioredis would wait for each reply of the handshake in turn, 5 s for one that was lost. */
const HANDSHAKE_MS = 3_000;

interface PendingCall {
  readonly doing: string;
  readonly deadlineMs: number;
  readonly start: () => void;
  readonly giveUp: (error: TidemillError) => void;
  isSent: boolean;
}

export class Connection implements AsyncDisposable {
  readonly #client: RedisClient;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #sweepMs: number;
  readonly #pending = new LinkedList<PendingCall>();
  #sweep: Timer | undefined;
  #idleLook: Timer | undefined;
  #answeredAtMs = 0;
  #lastError: Error | undefined;
  /** ioredis calls a socket ready that it is about to give up, so this is noted here. */
  #isReady = false;
  /** When the socket that is not ready yet was opened. */
  #connectedAtMs: number | undefined;
  #isAnswering = false;
  #isClosed = false;
  #connects = 0;

  /** @param options.role - `waits`: its calls wait on the server, for as long as each says */
  constructor(
    address: RedisAddress,
    options: {
      readonly clock?: Clock;
      readonly timeoutMs?: number;
      readonly role?: 'calls' | 'waits';
    } = {},
  ) {
    const { clock = systemClock, timeoutMs = DEFAULT_CALL_TIMEOUT_MS, role = 'calls' } = options;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#sweepMs = role === 'calls' ? SWEEP_MS : WAITING_SWEEP_MS;
    this.#client = createClient(address, role);
    this.#client.on('error', (error: Error) => {
      // That a socket is ending says nothing of why.
      if (!isUnsent(error)) this.#lastError = withoutCommand(error);
    });
    this.#client.on('connect', () => {
      this.#connectedAtMs = this.#clock.monotonic();
    });
    this.#client.on('ready', () => this.#onReady());
    this.#client.on('close', () => this.#onClose());
  }

  /** Whether the last call was answered, and the socket is there for the next. */
  get isAnswering(): boolean {
    return this.#isAnswering && this.#isReady;
  }

  /** How often a connection came up: what was acknowledged before the last time may be lost (a failover, a restart). */
  get connects(): number {
    return this.#connects;
  }

  /**
   * Sends one call, once.
   * @param doing - names the call in messages, such as `enqueue`
   * @throws TidemillError BROKER_UNAVAILABLE (it may have happened), BROKER_REFUSED (it did not), BROKER_CLOSED
   */
  call<T>(doing: string, send: (client: RedisClient) => Promise<T>, timeoutMs = this.#timeoutMs): Promise<T> {
    if (this.#isClosed) return Promise.reject(closedError(doing));
    if (this.#pending.length >= MOST_PENDING) {
      const message = `${doing}: ${MOST_PENDING} calls to Redis wait for an answer; this one was not sent`;
      return Promise.reject(new TidemillError('BROKER_UNAVAILABLE', message));
    }
    return new Promise<T>((resolve, reject) => {
      const settle =
        <V>(finish: (value: V) => void, isAnswer: boolean) =>
        (value: V): void => {
          if (!this.#pending.remove(place)) return;
          if (isAnswer) this.#onAnswer();
          finish(value);
        };
      const call: PendingCall = {
        doing,
        deadlineMs: this.#clock.monotonic() + timeoutMs,
        isSent: false,
        giveUp: settle(reject, false),
        start: () => {
          call.isSent = true;
          send(this.#client).then(settle(resolve, true), (error: unknown) => {
            // The socket is ending, and ioredis knew it first: the call waits for the next one.
            if (isUnsent(error)) call.isSent = false;
            else settle(reject, isReplyError(error))(toBrokerError(error, doing));
          });
        },
      };
      const place = this.#pending.pushBack(call);
      this.#armSweep();
      if (this.#isReady) call.start();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sweep?.[Symbol.dispose]();
    this.#idleLook?.[Symbol.dispose]();
    this.#client.disconnect();
    this.#rejectWhere(
      () => true,
      ({ doing }) => closedError(doing),
    );
  }

  #onReady(): void {
    this.#lastError = undefined;
    this.#connectedAtMs = undefined;
    this.#isReady = true;
    this.#onAnswer();
    this.#connects += 1;
    if (this.#idleLook === undefined) this.#watchIdleness();
    for (const call of [...this.#pending]) if (!call.isSent) call.start();
  }

  #onAnswer(): void {
    this.#isAnswering = true;
    this.#answeredAtMs = this.#clock.monotonic();
  }

  /** From the first connection on. Nothing is kept alive by it. */
  #watchIdleness(): void {
    if (this.#isClosed) return;
    this.#idleLook = this.#clock
      .after(IDLE_LOOK_MS, () => {
        const idleMs = this.#clock.monotonic() - this.#answeredAtMs;
        // TIME and not PING: a user whose rights were cut to what we need has it.
        if (this.#pending.length === 0 && idleMs >= IDLE_MS)
          this.call('look after an idle connection', (client) => client.time()).catch(() => undefined);
        this.#watchIdleness();
      })
      .unref();
  }

  /** What was in flight has no answer to come; what was not yet sent waits for the next connection. */
  #onClose(): void {
    this.#isReady = false;
    this.#connectedAtMs = undefined;
    this.#isAnswering = false;
    this.#rejectWhere(
      (call) => call.isSent,
      ({ doing }) =>
        new TidemillError(
          'BROKER_UNAVAILABLE',
          `${doing}: the connection to Redis ended before the answer; it may or may not have happened`,
          {
            cause: this.#lastError,
          },
        ),
    );
  }

  /**
   * @param wasLate - the sweep before came late and judged nothing: this process stood still, timers fire before sockets are
   *   read, and the answers may be there already. So the next one follows as soon as they were read, and judges.
   */
  #armSweep(wasLate = false): void {
    if (this.#sweep !== undefined || this.#isClosed) return;
    const delayMs = wasLate ? 0 : this.#sweepMs;
    const dueMs = this.#clock.monotonic() + delayMs;
    this.#sweep = this.#clock.after(delayMs, () => {
      this.#sweep = undefined;
      const isLate = !wasLate && this.#clock.monotonic() - dueMs > SWEEP_MS;
      if (!isLate) {
        this.#rejectOverdue();
        this.#giveUpHandshake();
      }
      if (this.#pending.length > 0) this.#armSweep(isLate);
    });
  }

  #rejectOverdue(): void {
    const nowMs = this.#clock.monotonic();
    const isOverdue = (call: PendingCall): boolean => call.deadlineMs <= nowMs;
    const isStuck = [...this.#pending].some((call) => call.isSent && isOverdue(call));
    this.#rejectWhere(isOverdue, ({ doing, isSent }) => {
      const why = this.#lastError === undefined ? '' : ` (${this.#lastError.message})`;
      const message = isSent
        ? `no answer from Redis in time${why}; it may or may not have happened`
        : `no connection to Redis in time${why}; it was not sent`;
      return new TidemillError('BROKER_UNAVAILABLE', `${doing}: ${message}`, { cause: this.#lastError });
    });
    if (!isStuck || !this.#isReady) return;
    // A server that does not answer may be frozen, or the socket half open. A new socket tells, and the answers still to
    // come on this one have nobody to go to.
    this.#isReady = false;
    this.#isAnswering = false;
    this.#client.disconnect(true);
  }

  /** A handshake that began while replies were lost never ends; the next socket may be better off. */
  #giveUpHandshake(): void {
    if (this.#connectedAtMs === undefined) return;
    if (this.#clock.monotonic() - this.#connectedAtMs < HANDSHAKE_MS) return;
    this.#connectedAtMs = undefined;
    this.#client.disconnect(true);
  }

  #rejectWhere(isOver: (call: PendingCall) => boolean, errorFor: (call: PendingCall) => TidemillError): void {
    for (const call of [...this.#pending]) if (isOver(call)) call.giveUp(errorFor(call));
  }
}

function closedError(doing: string): TidemillError {
  return new TidemillError('BROKER_CLOSED', `${doing}: this connection to Redis was closed`);
}
