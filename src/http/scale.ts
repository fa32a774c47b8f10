/** `GET /scale/{queue}`: how much work a queue has, for autoscalers. */
import { type ErrorCode, messageOf, TidemillError } from '../runtime/errors.ts';
import { type Asked, errorReply, jsonReply, type Reply, type Routes } from './server.ts';
import { quoted } from '../runtime/printable.ts';

/** What is known of the work in a queue. */
export interface ScaleReading {
  readonly queue: string;
  readonly waiting: number;
  readonly running: number;
  /** Delayed runs that are due within the look-ahead. */
  readonly delayedSoon: number;
  /** How long the oldest ready run has waited; 0 when none waits. */
  readonly oldestAgeMs: number;
}

/**
 * A queue that was never used has no work: zeros, so that an autoscaler can stand at zero before the first run.
 * @throws TidemillError QUEUE_NAME_INVALID, or one that says that Redis gave no answer
 */
export type ReadScale = (queue: string, lookAheadMs: number) => Promise<ScaleReading>;

/** Long enough for a new pod to be ready when the run is due. */
export const DEFAULT_LOOK_AHEAD_SECONDS = 30;
export const MAX_LOOK_AHEAD_SECONDS = 600;

/** 400: the request will never be right. Anything else that we raise means that there is no answer now, and may be later. */
const BAD_REQUESTS: ReadonlySet<ErrorCode> = new Set(['QUEUE_NAME_INVALID', 'QUERY_INVALID']);

export function scaleRoutes(read: ReadScale): Routes {
  return {
    '/scale/{queue}': async (asked) => {
      try {
        return await answer(read, asked);
      } catch (error) {
        if (!(error instanceof TidemillError)) throw error;
        return errorReply(BAD_REQUESTS.has(error.code) ? 400 : 503, messageOf(error), error.code);
      }
    },
  };
}

async function answer(read: ReadScale, { name, query }: Asked): Promise<Reply> {
  const lookAheadSeconds = lookAheadOf(query);
  const { queue, waiting, running, delayedSoon, oldestAgeMs } = await read(name, lookAheadSeconds * 1_000);
  const backlog = waiting + running + delayedSoon;
  return jsonReply(200, {
    ...{ queue, backlog, waiting, running, delayedSoon },
    oldestAgeSeconds: oldestAgeMs / 1_000,
  });
}

/** @throws TidemillError QUERY_INVALID */
function lookAheadOf(query: URLSearchParams): number {
  const text = query.get('lookAheadSeconds');
  if (text === null) return DEFAULT_LOOK_AHEAD_SECONDS;
  const seconds = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  if (seconds <= MAX_LOOK_AHEAD_SECONDS) return seconds;
  throw new TidemillError(
    'QUERY_INVALID',
    `lookAheadSeconds must be a whole number from 0 to ${MAX_LOOK_AHEAD_SECONDS}, not ${quoted(text, 40)}`,
  );
}
