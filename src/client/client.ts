/** What a producer holds: typed enqueue, wait, cancel, on whatever broker it was made for. */
import type { Broker, CancelOutcome, EnqueueOutcome, Queue } from '../broker/broker.ts';
import { TidemillError } from '../runtime/errors.ts';
import { parseDuration } from '../schedule/duration.ts';
import type {
  CONTRACT_BRAND,
  Empty,
  Enqueued,
  EnqueueArguments,
  EnqueueOptions,
  InputOf,
  ResultOf,
  TaskContract,
} from '../task/types.ts';
import { queueOfRunId } from '../task/ids.ts';
import { makeRequest, type QueuedRequest } from '../task/make-request.ts';
import { checkQueueName, DEFAULT_QUEUE } from '../task/names.ts';
import type { RunError, RunRecord, RunSource, TerminalState } from '../task/run.ts';

/** Anything typed by a contract: for `enqueue<typeof fetchData>('fetch-data', …)` with a type-only import. */
interface AnyContract {
  readonly [CONTRACT_BRAND]: true;
}

export interface WaitOptions extends EnqueueOptions {
  /** How long to wait for the end, as a duration or in ms. Default 60 s. */
  readonly timeout?: string | number;
  /** Ends the waiting, not the run. */
  readonly signal?: AbortSignal;
}

type WaitArguments<Input> = Empty extends Input
  ? [params?: Input, options?: WaitOptions]
  : [params: Input, options?: WaitOptions];

export interface BulkItem<Input> extends EnqueueOptions {
  readonly params: Input;
}

/** The awaited run ended, but not with success. */
export class RunFailedError extends TidemillError {
  readonly runId: string;
  readonly state: Exclude<TerminalState, 'succeeded'>;
  readonly error: RunError | undefined;

  constructor(record: RunRecord, state: Exclude<TerminalState, 'succeeded'>) {
    const why = record.error?.message ?? record.cancelReason;
    super(
      'RUN_FAILED',
      `run ${record.id} of ${record.task} ended as ${state}${why === undefined ? '' : `: ${why}`}`,
    );
    this.runId = record.id;
    this.state = state;
    this.error = record.error;
  }
}

/** Some of a batch did not fit; `outcomes` says for each, in order. What is not `full` is in the queue. */
export class QueueFullError extends TidemillError {
  readonly outcomes: readonly EnqueueOutcome[];

  constructor(queue: string, outcomes: readonly EnqueueOutcome[]) {
    const refused = outcomes.filter((outcome) => outcome === 'full').length;
    super(
      'QUEUE_FULL',
      `queue ${queue} is full: ${refused} of ${outcomes.length} runs were refused; enqueue them again when it has drained`,
    );
    this.outcomes = outcomes;
  }
}

const DEFAULT_WAIT_MS = 60_000;
/** Enough to fill a round trip, small enough that one script never holds Redis for long. */
const BULK_CHUNK = 1_000;

/** An item of `enqueueMany` and what became of it: not in the queue until the queue says so. */
interface BulkRequest extends QueuedRequest {
  outcome: EnqueueOutcome;
}

const NO_OPTIONS: EnqueueOptions = {};

/** Most items are nothing but params, and to copy the rest of an object costs more than to see that there is none. */
function optionsOf(item: BulkItem<unknown>): EnqueueOptions {
  if (Object.keys(item).every((key) => key === 'params')) return NO_OPTIONS;
  const { params: _params, ...options } = item;
  return options;
}

const milliseconds = (duration: string | number): number =>
  typeof duration === 'number' ? duration : parseDuration(duration);

export class Client implements AsyncDisposable {
  readonly #broker: Broker;
  readonly #source: RunSource;

  /** @internal Programs call `connect`; our own commands hand in the broker they already have. */
  constructor(broker: Broker, source: RunSource = 'api') {
    this.#broker = broker;
    this.#source = source;
  }

  /**
   * Puts one run into the queue. Resolves when Redis has it.
   * @throws TidemillError PARAMS_INVALID, PARAMS_TOO_LARGE, RUN_ID_INVALID, QUEUE_FULL: nothing was enqueued
   * @throws TidemillError BROKER_UNAVAILABLE: unknown; with an `id` of your own, enqueue again and get `duplicate`
   */
  enqueue<Input, Output, Result>(
    task: TaskContract<Input, Output, Result>,
    ...rest: EnqueueArguments<Input>
  ): Promise<Enqueued>;
  enqueue<T extends AnyContract = TaskContract>(
    task: string,
    ...rest: EnqueueArguments<InputOf<T>>
  ): Promise<Enqueued>;
  async enqueue(
    task: TaskContract | string,
    params?: unknown,
    options: EnqueueOptions = {},
  ): Promise<Enqueued> {
    const { queue, request } = this.#request(task, params, options);
    const [outcome] = await this.#broker.queue(queue).runs.enqueue([request]);
    if (outcome === 'enqueued' || outcome === 'duplicate') return { id: request.id, outcome };
    throw new QueueFullError(queue, ['full']);
  }

  /**
   * Puts many runs of one task into its queue, in as few round trips as possible.
   * @throws QueueFullError with an outcome for each item
   */
  enqueueMany<Input, Output, Result>(
    task: TaskContract<Input, Output, Result>,
    items: readonly BulkItem<Input>[],
  ): Promise<readonly Enqueued[]>;
  enqueueMany<T extends AnyContract = TaskContract>(
    task: string,
    items: readonly BulkItem<InputOf<T>>[],
  ): Promise<readonly Enqueued[]>;
  async enqueueMany(
    task: TaskContract | string,
    items: readonly BulkItem<unknown>[],
  ): Promise<readonly Enqueued[]> {
    // Every item is checked before the first is sent: one wrong item enqueues nothing.
    const made = items.map((item) => this.#bulkRequest(task, item));
    for (const [queue, own] of Map.groupBy(made, (item) => item.queue)) {
      for (let start = 0; start < own.length; start += BULK_CHUNK) {
        const chunk = own.slice(start, start + BULK_CHUNK);
        const answers = await this.#broker.queue(queue).runs.enqueue(chunk.map(({ request }) => request));
        for (const [position, item] of chunk.entries()) item.outcome = answers[position] ?? 'full';
      }
    }
    const refused = made.find(({ outcome }) => outcome === 'full');
    if (refused !== undefined) {
      throw new QueueFullError(
        refused.queue,
        made.map(({ outcome }) => outcome),
      );
    }
    return made.map(({ request, outcome }) => ({
      id: request.id,
      outcome: outcome === 'duplicate' ? 'duplicate' : 'enqueued',
    }));
  }

  /**
   * Enqueues a run and waits for what it returns. Any consumer may run it; a reconnect in between does no harm.
   * @throws RunFailedError when it ends without success, TidemillError WAIT_TIMEOUT when it does not end in time
   */
  enqueueAndWait<Input, Output, Result>(
    task: TaskContract<Input, Output, Result>,
    ...rest: WaitArguments<Input>
  ): Promise<Result>;
  enqueueAndWait<T extends AnyContract = TaskContract>(
    task: string,
    ...rest: WaitArguments<InputOf<T>>
  ): Promise<ResultOf<T>>;
  async enqueueAndWait(
    task: TaskContract | string,
    params?: unknown,
    options: WaitOptions = {},
  ): Promise<unknown> {
    const { timeout, signal, ...enqueueOptions } = options;
    const { queue, request } = this.#request(task, params, enqueueOptions);
    const port = this.#broker.queue(queue).runs;
    const [outcome] = await port.enqueue([request]);
    if (outcome === 'full') throw new QueueFullError(queue, ['full']);
    const record = await this.wait(request.id, {
      queue,
      ...(timeout === undefined ? {} : { timeout }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (record.state !== 'succeeded') throw new RunFailedError(record, endWithoutSuccess(record));
    const result: unknown = record.result === undefined ? undefined : JSON.parse(record.result);
    const schema = typeof task === 'string' ? undefined : task.result;
    return schema === undefined ? result : schema.parseAsync(result);
  }

  /**
   * Waits for a run to end and gives its record, whatever the end.
   * @throws TidemillError WAIT_TIMEOUT, RUN_NOT_FOUND; the signal's reason when it aborts
   */
  async wait(
    id: string,
    options: {
      readonly queue?: string;
      readonly timeout?: string | number;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<RunRecord> {
    const timeoutMs = milliseconds(options.timeout ?? DEFAULT_WAIT_MS);
    const { signal } = options;
    const record = await this.#queueOf(id, options.queue).runs.waitForEnd(id, {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    if (record === 'not-found') throw new TidemillError('RUN_NOT_FOUND', `no run ${id} is known`);
    if (record !== undefined) return record;
    signal?.throwIfAborted();
    throw new TidemillError(
      'WAIT_TIMEOUT',
      `run ${id} did not end within ${timeoutMs} ms; it is still in the queue and may still run`,
    );
  }

  /** The run as the queue knows it; `undefined` when it never existed or its record was dropped. */
  get(id: string, options: { readonly queue?: string } = {}): Promise<RunRecord | undefined> {
    return this.#queueOf(id, options.queue).runs.get(id);
  }

  /** Cancels a run: at once while it waits, through its `signal` while it runs. */
  async cancel(
    id: string,
    options: { readonly queue?: string; readonly reason?: string } = {},
  ): Promise<CancelOutcome> {
    const [outcome] = await this.#queueOf(id, options.queue).runs.cancel(
      [id],
      options.reason ?? 'cancelled by a producer',
    );
    return outcome ?? 'not-found';
  }

  /** Closes the connections. What was acknowledged stays in the queue. */
  async close(): Promise<void> {
    await this.#broker[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #request(
    task: TaskContract | string,
    params: unknown,
    options: EnqueueOptions,
  ): ReturnType<typeof makeRequest> {
    return makeRequest(task, params, options, { queue: DEFAULT_QUEUE, source: this.#source });
  }

  #bulkRequest(task: TaskContract | string, item: BulkItem<unknown>): BulkRequest {
    const { queue, request } = this.#request(task, item.params, optionsOf(item));
    return { queue, request, outcome: 'full' };
  }

  /** Generated ids carry their queue; a hand-given id lives in the queue that the caller names. */
  #queueOf(id: string, queue: string | undefined): Queue {
    return this.#broker.queue(checkQueueName(queue ?? queueOfRunId(id) ?? DEFAULT_QUEUE));
  }
}

function endWithoutSuccess(record: RunRecord): Exclude<TerminalState, 'succeeded'> {
  if (record.state === 'failed' || record.state === 'cancelled' || record.state === 'expired')
    return record.state;
  throw new TidemillError('INTERNAL', `run ${record.id} was reported as ended but is ${record.state}`);
}
