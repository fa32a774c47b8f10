/** What producers do with a queue on Redis. */
import { randomBytes } from 'node:crypto';
import { TidemillError } from '../../runtime/errors.ts';
import { isTaskName } from '../../task/names.ts';
import type { RunRequest } from '../../task/request.ts';
import type { RunRecord } from '../../task/run.ts';
import type { CancelOutcome, EnqueueOutcome, ProducerPort, RedriveOutcome } from '../broker.ts';
import type { OutcomeReader } from './outcome-reader.ts';
import type { QueueContext } from './queue-context.ts';
import { decodeRecord, encodeBody, encodeReason } from './record.ts';
import { asAnswers } from './script-runner.ts';

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
const ENQUEUE_TRY_MS = 2_200;

export class RedisProducerPort implements ProducerPort {
  readonly #queue: QueueContext;
  readonly #outcomes: OutcomeReader;
  /** Names this process's numbered batches. */
  readonly #producer = randomBytes(12).toString('hex');
  #batches = 0;

  constructor(queue: QueueContext, outcomes: OutcomeReader) {
    this.#queue = queue;
    this.#outcomes = outcomes;
  }

  async enqueue(requests: readonly RunRequest[]): Promise<readonly EnqueueOutcome[]> {
    if (requests.length === 0) return [];
    requests.forEach(checkRequest);
    await this.#queue.list();
    const { distinct, positions } = withoutRepeats(requests);
    const { args, order } = encodeBatch(distinct);
    this.#batches += 1;
    const answers = asAnswers(
      await this.#send([this.#producer, String(this.#batches), ...args]),
      ENQUEUED,
      distinct.length,
    );
    const outcomes = new Map<number, EnqueueOutcome>();
    order.forEach((index, place) => outcomes.set(index, answers[place] ?? 'full'));
    return positions.map(({ index, isRepeat }) => {
      const outcome = outcomes.get(index) ?? 'full';
      return isRepeat && outcome === 'enqueued' ? 'duplicate' : outcome;
    });
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

  async #send(args: readonly string[]): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#queue.run('enqueue', args, ENQUEUE_TRY_MS);
      } catch (error) {
        const isUnknown = error instanceof TidemillError && error.code === 'BROKER_UNAVAILABLE';
        if (!isUnknown || attempt === ENQUEUE_TRIES) throw error;
      }
    }
  }
}

/** Ids become fields of hashes and words of lists, so they hold no white space and do not begin like our own fields. */
const RUN_ID_PATTERN = /^[^\s\p{Cc}]{1,512}$/u;

function checkRequest({ id, task }: RunRequest): void {
  if (!RUN_ID_PATTERN.test(id)) {
    throw new TidemillError(
      'RUN_ID_INVALID',
      `run id ${JSON.stringify(id.slice(0, 80))} must be 1 to 512 characters without white space`,
    );
  }
  if (!isTaskName(task)) {
    throw new TidemillError('TASK_INVALID', `${JSON.stringify(task.slice(0, 80))} is no name of a task`);
  }
}

interface Distinct {
  readonly distinct: readonly RunRequest[];
  /** For each request: which of `distinct` answers it. */
  readonly positions: readonly { readonly index: number; readonly isRepeat: boolean }[];
}

/** Of requests with the same id the first counts; groups are sent out of order, so Redis could not tell which was first. */
function withoutRepeats(requests: readonly RunRequest[]): Distinct {
  const indexes = new Map<string, number>();
  const distinct: RunRequest[] = [];
  const positions = requests.map((request) => {
    const known = indexes.get(request.id);
    if (known !== undefined) return { index: known, isRepeat: true };
    indexes.set(request.id, distinct.length);
    distinct.push(request);
    return { index: distinct.length - 1, isRepeat: false };
  });
  return { distinct, positions };
}

/** Requests with the same timing share one header: fewer strings are what makes a script fast. */
function encodeBatch(requests: readonly RunRequest[]): {
  readonly args: readonly string[];
  readonly order: readonly number[];
} {
  const groups = new Map<string, { readonly header: readonly string[]; readonly indexes: number[] }>();
  requests.forEach((request, index) => {
    const header = timing(request);
    const key = header.join(' ');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { header, indexes: [index] });
    else group.indexes.push(index);
  });
  const args: string[] = [];
  const order: number[] = [];
  for (const { header, indexes } of groups.values()) {
    args.push(...header, String(indexes.length));
    for (const index of indexes) {
      const request = requests[index];
      if (request === undefined) continue;
      order.push(index);
      args.push(request.id, encodeBody(request));
    }
  }
  return { args, order };
}

function timing({ runAtMs, delayMs, expiresInMs }: RunRequest): readonly string[] {
  const expires = expiresInMs === undefined ? '' : String(Math.round(expiresInMs));
  return runAtMs === undefined
    ? ['after', String(Math.round(delayMs ?? 0)), expires]
    : ['at', String(Math.round(runAtMs)), expires];
}
