/** What producers do with a queue on Redis. */
import { randomBytes } from 'node:crypto';
import { TidemillError } from '../../runtime/errors.ts';
import { isTaskName } from '../../task/names.ts';
import type { RunRequest } from '../../task/request.ts';
import type { RunRecord } from '../../task/run.ts';
import type { CancelOutcome, EnqueueOutcome, ProducerPort, RedriveOutcome } from '../broker.ts';
import { EnqueueBatcher, type Batch, type EncodedRun } from './enqueue-batcher.ts';
import type { OutcomeReader } from './outcome-reader.ts';
import type { QueueContext } from './queue-context.ts';
import { encodeReason } from './reason-text.ts';
import { decodeRecord, encodePreamble, onOneLine } from './record.ts';
import { asAnswers } from './script-runner.ts';
import { quoted } from '../../runtime/printable.ts';

const ENQUEUED: Readonly<Record<string, EnqueueOutcome>> = { e: 'enqueued', d: 'duplicate', f: 'full' };
const CANCELLED: Readonly<Record<string, CancelOutcome>> = {
  c: 'cancelled',
  r: 'requested',
  e: 'ended',
  n: 'not-found',
};
const REDRIVEN: Readonly<Record<string, RedriveOutcome>> = { r: 'redriven', f: 'not-failed', n: 'not-found' };

/** A batch whose answer was lost is sent once more under its number, and answered as the first time. */
const ENQUEUE_TRIES = 2;

export class RedisProducerPort implements ProducerPort, Disposable {
  readonly #queue: QueueContext;
  readonly #outcomes: OutcomeReader;
  readonly #batcher: EnqueueBatcher;
  /** Names this process's batches. */
  readonly #producer = randomBytes(12).toString('hex');

  constructor(queue: QueueContext, outcomes: OutcomeReader) {
    this.#queue = queue;
    this.#outcomes = outcomes;
    this.#batcher = new EnqueueBatcher((batch) => this.#send(batch), queue.clock);
  }

  /** Calls that come together share a script; each has its own outcomes. Runs are made in the order of the calls. */
  async enqueue(requests: readonly RunRequest[]): Promise<readonly EnqueueOutcome[]> {
    if (requests.length === 0) return [];
    requests.forEach(checkRequest);
    return this.#batcher.add(requests.map(encodeRun));
  }

  async cancel(ids: readonly string[], reason: string): Promise<readonly CancelOutcome[]> {
    if (ids.length === 0) return [];
    return asAnswers(await this.#queue.run('cancel', [encodeReason(reason), ...ids]), CANCELLED, ids.length);
  }

  async redrive(ids: readonly string[]): Promise<readonly RedriveOutcome[]> {
    if (ids.length === 0) return [];
    return asAnswers(await this.#queue.run('redrive', ids), REDRIVEN, ids.length);
  }

  async get(id: string): Promise<RunRecord | undefined> {
    const text = await this.#queue.read('get', (client) => client.hget(this.#queue.keys.runs, id));
    return text === null ? undefined : decodeRecord(this.#queue.name, id, text)?.record;
  }

  waitForEnd(
    id: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<RunRecord | 'not-found' | undefined> {
    return this.#outcomes.waitForEnd(id, options, () => this.get(id));
  }

  [Symbol.dispose](): void {
    this.#batcher[Symbol.dispose]();
  }

  async #send({ slot, number, runs, deadlineMs }: Batch): Promise<readonly EnqueueOutcome[]> {
    const args = [this.#producer, String(slot), String(number), ...encodeRuns(runs)];
    for (let triesLeft = ENQUEUE_TRIES; ; triesLeft -= 1) {
      const tryMs = (): number => Math.max(1, (deadlineMs - this.#queue.clock.monotonic()) / triesLeft);
      try {
        await this.#queue.list(tryMs());
        return asAnswers(await this.#queue.run('enqueue', args, tryMs()), ENQUEUED, runs.length);
      } catch (error) {
        const isUnknown = error instanceof TidemillError && error.code === 'BROKER_UNAVAILABLE';
        if (!isUnknown || triesLeft === 1) throw error;
      }
    }
  }
}

/** Ids become fields of hashes and words of lists, so they hold no white space and do not begin like our own fields. */
const RUN_ID_PATTERN = /^[^\s\p{Cc}]{1,512}$/u;

const PLAIN_ID_PATTERN = /^[!-~]{1,512}$/;

function checkRequest({ id, task, runAtMs = 0, delayMs = 0, expiresInMs = 0 }: RunRequest): void {
  // The wide pattern is the rule; the narrow one takes a tenth of its time, and nearly every id is so.
  if (!PLAIN_ID_PATTERN.test(id) && !RUN_ID_PATTERN.test(id)) {
    throw new TidemillError(
      'RUN_ID_INVALID',
      `run id ${quoted(id)} must be 1 to 512 characters without white space`,
    );
  }
  if (!isTaskName(task)) {
    throw new TidemillError('TASK_INVALID', `${quoted(task)} is no name of a task`);
  }
  // Else the script would refuse it, and with it whatever came together with it.
  if (!Number.isFinite(runAtMs) || !Number.isFinite(delayMs) || !Number.isFinite(expiresInMs)) {
    const times = JSON.stringify({ runAtMs, delayMs, expiresInMs }, (_name, value: unknown) =>
      typeof value === 'number' ? String(value) : value,
    );
    throw new TidemillError(
      'ENQUEUE_INVALID',
      `the times of a run must be finite numbers of ms, not ${times}`,
    );
  }
}

function encodeRun(request: RunRequest): EncodedRun {
  return {
    id: request.id,
    preamble: encodePreamble(request),
    params: onOneLine(request.params),
    timing: encodeTiming(request),
  };
}

/** One for all that are ready at once and never expire, which is nearly all. */
const AT_ONCE: EncodedRun['timing'] = ['after', '0', ''];

function encodeTiming({ runAtMs, delayMs, expiresInMs }: RunRequest): EncodedRun['timing'] {
  if (runAtMs === undefined && delayMs === undefined && expiresInMs === undefined) return AT_ONCE;
  const expires = expiresInMs === undefined ? '' : String(Math.round(expiresInMs));
  return runAtMs === undefined
    ? ['after', String(Math.round(delayMs ?? 0)), expires]
    : ['at', String(Math.round(runAtMs)), expires];
}

/** Neighbours that are made alike share one group of six words: fewer strings are what makes a script fast. */
function encodeRuns(runs: readonly EncodedRun[]): readonly string[] {
  const args: string[] = [];
  let [first] = runs;
  let ids: string[] = [];
  let params: string[] = [];
  for (const run of runs) {
    if (first !== undefined && !isMadeAlike(first, run)) {
      args.push(...groupWords(first, ids, params));
      [first, ids, params] = [run, [], []];
    }
    ids.push(run.id);
    params.push(run.params);
  }
  if (first !== undefined) args.push(...groupWords(first, ids, params));
  return args;
}

function groupWords(
  { timing, preamble }: EncodedRun,
  ids: readonly string[],
  params: readonly string[],
): readonly string[] {
  return [...timing, preamble, ids.join(' '), `${params.join('\n')}\n`];
}

function isMadeAlike(one: EncodedRun, other: EncodedRun): boolean {
  return one.preamble === other.preamble && isSameTiming(one.timing, other.timing);
}

function isSameTiming(one: EncodedRun['timing'], other: EncodedRun['timing']): boolean {
  return one === other || one.every((word, place) => word === other[place]);
}
