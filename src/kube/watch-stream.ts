/**
 * One watch, as a sequence of events: over when the server ends it, an error when anything else does. Unlike the library's
 * own, it tells a refusal with its `Retry-After`, does not drop a line that it cannot read, and is silent no longer than told.
 */
import { ApiException, type ResponseContext } from '@kubernetes/client-node';
import { z } from 'zod';
import type { Clock } from '../runtime/clock.ts';
import { type ApiStatus, statusOfEvent } from './api-error.ts';
import type { KubeConnection } from './connect.ts';

export type WatchEvent =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly object: unknown;
      readonly resourceVersion: string;
    }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly status: ApiStatus };

/** Nothing came for longer than a live server is silent. */
export class WatchSilentError extends Error {
  override readonly name = 'WatchSilentError';
}

/** What came is no event: only a list gets past it, since a watch from the same version would bring it again. */
export class UnreadableEventError extends Error {
  override readonly name = 'UnreadableEventError';
}

export interface WatchOptions {
  readonly connection: Pick<KubeConnection, 'stream' | 'heard'>;
  readonly clock: Clock;
  readonly path: string;
  /** Where to go on from. */
  readonly resourceVersion: string;
  /** After this the server ends the watch in good order. */
  readonly timeoutSeconds: number;
  readonly silenceMs: number;
  /** The server has accepted the watch. */
  readonly onOpen?: () => void;
}

const VersionedSchema = z.object({ metadata: z.object({ resourceVersion: z.string() }) });
const EventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: z.looseObject(VersionedSchema.shape) }),
  z.object({ type: z.literal('BOOKMARK'), object: VersionedSchema }),
  z.object({ type: z.literal('ERROR'), object: z.unknown() }),
]);

/** Ends when the signal aborts: by throwing its reason. @throws ApiException, WatchSilentError, UnreadableEventError, what `stream` throws */
export async function* watchEvents(options: WatchOptions, signal: AbortSignal): AsyncGenerator<WatchEvent> {
  const { connection, clock, path, resourceVersion, timeoutSeconds, silenceMs } = options;
  const silence = new AbortController();
  const query = {
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion,
    timeoutSeconds: String(timeoutSeconds),
  };
  // Aborted at the end whatever the end is, or the connection would be held open by a watch that nobody reads.
  const over = AbortSignal.any([signal, silence.signal]);
  const fallSilent = (): void => {
    silence.abort(new WatchSilentError(`no event and no bookmark came for ${silenceMs} ms`));
  };
  let timer = clock.after(silenceMs, fallSilent);
  try {
    const response = await connection.stream(path, query, over);
    if (response.httpStatusCode !== 200) throw await refusal(response);
    options.onOpen?.();
    const heard = (): void => {
      connection.heard();
      timer[Symbol.dispose]();
      timer = clock.after(silenceMs, fallSilent);
    };
    heard();
    for await (const line of lines(response, heard)) yield parseEvent(line);
  } finally {
    timer[Symbol.dispose]();
    silence.abort();
  }
}

async function refusal({ httpStatusCode, body, headers }: ResponseContext): Promise<ApiException<string>> {
  return new ApiException(httpStatusCode, 'the watch was refused', await body.text(), headers);
}

async function* lines({ body }: ResponseContext, heard: () => void): AsyncGenerator<string> {
  const stream = body.stream();
  if (stream === null) return;
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    heard();
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) if (line !== '') yield line;
  }
  if (rest !== '') throw new UnreadableEventError('the watch ended in the midst of an event');
}

function parseEvent(line: string): WatchEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new UnreadableEventError('an event of the watch is not JSON', { cause: error });
  }
  const { data: event, error } = EventSchema.safeParse(value);
  if (event === undefined)
    throw new UnreadableEventError(`an event of the watch is wrong: ${z.prettifyError(error)}`);
  if (event.type === 'ERROR') return { type: 'ERROR', status: statusOfEvent(event.object) };
  const { resourceVersion } = event.object.metadata;
  if (event.type === 'BOOKMARK') return { type: 'BOOKMARK', resourceVersion };
  return { type: event.type, object: rawObject(value), resourceVersion };
}

/** As it came: the schema of an event says nothing of what else is in it. */
const rawObject = (event: unknown): unknown =>
  typeof event === 'object' && event !== null && 'object' in event ? event.object : undefined;
