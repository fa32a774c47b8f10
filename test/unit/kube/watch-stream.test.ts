/** One watch as a sequence of events: how bytes become events, and how it ends. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ResponseContext } from '@kubernetes/client-node';
import { type WatchEvent, watchEvents } from '../../../src/kube/watch-stream.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';

const encoder = new TextEncoder();

interface Served {
  readonly query: Readonly<Record<string, string>>;
  /** The client has given the body up. */
  readonly isCancelled: () => boolean;
}

/** A server that answers with these chunks, then ends the watch unless it is to stay open. */
function serve(chunks: readonly (string | Uint8Array)[], { code = 200, staysOpen = false } = {}) {
  const served: Served[] = [];
  const clock = new VirtualClock();
  const stop = new AbortController();
  const connection = {
    heard: () => undefined,
    stream: async (_path: string, query: Readonly<Record<string, string>>, signal: AbortSignal) => {
      let isCancelled = false;
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const chunk of chunks)
            controller.enqueue(typeof chunk === 'string' ? encoder.encode(chunk) : chunk);
          if (!staysOpen) controller.close();
          signal.addEventListener('abort', () => {
            if (staysOpen && !isCancelled) controller.error(signal.reason);
          });
        },
        cancel() {
          isCancelled = true;
        },
      });
      served.push({ query, isCancelled: () => isCancelled });
      const text = async (): Promise<string> => chunks.join('');
      const headers = { 'retry-after': '4' };
      return new ResponseContext(code, headers, {
        text,
        binary: async () => Buffer.alloc(0),
        stream: () => body,
      });
    },
  };
  const options = {
    connection,
    clock,
    path: '/x',
    resourceVersion: '5',
    timeoutSeconds: 290,
    silenceMs: 30_000,
  };
  return { served, clock, stop, events: watchEvents(options, stop.signal) };
}

const object = (version: number): object => ({
  kind: 'ScheduledTask',
  metadata: { resourceVersion: String(version) },
});
const line = (type: string, version: number): string =>
  `${JSON.stringify({ type, object: object(version) })}\n`;

async function all(events: AsyncIterable<WatchEvent>): Promise<readonly string[]> {
  const seen: string[] = [];
  for await (const event of events) {
    seen.push(
      event.type === 'ERROR' ? `ERROR ${event.status.code}` : `${event.type} ${event.resourceVersion}`,
    );
  }
  return seen;
}

describe('a watch', () => {
  test('asks for bookmarks and an end, from where it is told to go on', async () => {
    const { events, served } = serve([]);
    assert.deepEqual(await all(events), []);
    assert.deepEqual(served[0]?.query, {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '5',
      timeoutSeconds: '290',
    });
  });

  test('gives each line as an event, however the bytes are cut', async () => {
    const text = `${line('ADDED', 6)}${line('MODIFIED', 7)}${line('BOOKMARK', 8)}${line('DELETED', 9)}`;
    const bytes = encoder.encode(text.replace('ScheduledTask', 'Schedulé'));
    for (const size of [1, 7, bytes.length]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.slice(index * size, (index + 1) * size),
      );
      assert.deepEqual(await all(serve(chunks).events), ['ADDED 6', 'MODIFIED 7', 'BOOKMARK 8', 'DELETED 9']);
    }
  });

  test('hands objects on as they came', async () => {
    for await (const event of serve([line('ADDED', 6)]).events) {
      assert.ok(event.type === 'ADDED');
      assert.deepEqual(event.object, object(6));
    }
  });

  test('tells an error that the server sends as an event', async () => {
    const error = {
      type: 'ERROR',
      object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' },
    };
    assert.deepEqual(await all(serve([`${JSON.stringify(error)}\n`]).events), ['ERROR 410']);
  });

  test('tells a refusal with what the server said and asked for', async () => {
    const refused = serve(['{"code":429,"message":"busy"}'], { code: 429 });
    await assert.rejects(all(refused.events), (error: Error & { code?: number; headers?: object }) => {
      assert.equal(error.code, 429);
      assert.deepEqual(error.headers, { 'retry-after': '4' });
      return true;
    });
  });

  test('does not pass over a line that is no event, nor one that is cut off', async () => {
    const wrong = [
      'no json\n',
      '{}\n',
      '{"type":"ADDED"}\n',
      '{"type":"ADDED","object":{}}\n',
      '{"type":"X"}\n',
    ];
    for (const text of [...wrong, line('ADDED', 7).trimEnd()]) {
      await assert.rejects(
        all(serve([line('ADDED', 6), text]).events),
        { name: 'UnreadableEventError' },
        text,
      );
    }
  });

  test('ends when nothing was heard for too long', async () => {
    const { events, clock } = serve([line('ADDED', 6)], { staysOpen: true });
    const ended = assert.rejects(all(events), { name: 'WatchSilentError' });
    await clock.advanceBy(29_999);
    assert.notEqual(clock.nextDueMs, undefined);
    await clock.advanceBy(1);
    await ended;
    assert.equal(clock.nextDueMs, undefined);
  });

  test('ends by its signal, and lets go of the connection when its reader goes', async () => {
    const { events, clock, stop } = serve([], { staysOpen: true });
    const ended = assert.rejects(all(events), { name: 'AbortError' });
    await clock.advanceBy(1);
    stop.abort();
    await ended;

    const left = serve([line('ADDED', 6)], { staysOpen: true });
    for await (const _event of left.events) break;
    assert.equal(left.served[0]?.isCancelled(), true);
    assert.equal(left.clock.nextDueMs, undefined);
  });
});
