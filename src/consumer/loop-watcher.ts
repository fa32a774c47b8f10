/** The thread of `loop-lag.ts`: waits for the main thread's beats, and asks it for a name when they stop. */
import { type Debugger, Session, url } from 'node:inspector';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../runtime/clock.ts';

/** A wait that took this many times its length was not for want of a beat: the whole process stood still (SIGSTOP, a paused VM). */
const FROZEN_FACTOR = 3;

const { beats, blockedMs, blame } = checked(workerData);

function checked(data: unknown): { beats: Int32Array<SharedArrayBuffer>; blockedMs: number; blame: string } {
  if (
    typeof data === 'object' &&
    data !== null &&
    'beats' in data &&
    'blockedMs' in data &&
    'blame' in data
  ) {
    const { beats: buffer, blockedMs: ms, blame: name } = data;
    if (buffer instanceof SharedArrayBuffer && typeof ms === 'number' && typeof name === 'string') {
      return { beats: new Int32Array(buffer), blockedMs: ms, blame: name };
    }
  }
  throw new TypeError('loop-watcher must be started by loop-lag with { beats, blockedMs, blame }');
}

/** Asks once: interrupts the main thread, evaluates, lets it go on. Calls back when that is over. */
function ask(done: () => void): void {
  const session = new Session();
  session.connectToMainThread();
  // Call frames name their script by number only.
  const urls = new Map<string, string>();
  session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url));
  session.once('Debugger.paused', ({ params }) => {
    session.post('Debugger.evaluateOnCallFrame', question(params, urls), () => {
      session.post('Debugger.resume', () => {
        session.post('Debugger.disable', () => {
          session.disconnect();
          done();
        });
      });
    });
  });
  session.post('Debugger.enable', () => {
    session.post('Debugger.pause');
  });
}

function question(
  { callFrames }: Debugger.PausedEventDataType,
  urls: ReadonlyMap<string, string>,
): Debugger.EvaluateOnCallFrameParameterType {
  const urlOf = (frame: Debugger.CallFrame): string => urls.get(frame.location.scriptId) ?? frame.url;
  // Frames of Node and of packages say little: the first of the user's own files does.
  const isOwn = (frame: Debugger.CallFrame): boolean => /^file:(?!.*\/node_modules\/)/.test(urlOf(frame));
  const [top] = callFrames;
  const own = callFrames.find(isOwn) ?? top;
  const at = own === undefined ? '' : `${urlOf(own)}:${own.location.lineNumber + 1}`;
  const expression = `globalThis[Symbol.for(${JSON.stringify(blame)})]?.(${JSON.stringify(at)})`;
  return { callFrameId: top?.callFrameId ?? '', expression, silent: true };
}

/** Waits on this thread for the next beat; the inspector needs the thread's own loop, so each round is a turn of it. */
async function watch(): Promise<never> {
  while (true) {
    const seen = Atomics.load(beats, 0);
    const sinceMs = systemClock.monotonic();
    const next = Atomics.waitAsync(beats, 0, seen, blockedMs);
    const answer = next.async ? await next.value : next.value;
    const frozen = systemClock.monotonic() - sinceMs > FROZEN_FACTOR * blockedMs;
    // A debugger that is attached by hand stops the main thread too: that is no block, and it must not be disturbed.
    if (answer !== 'timed-out' || frozen || url() !== undefined) continue;
    await new Promise<void>((resolve) => {
      ask(resolve);
    });
    const resumed = Atomics.waitAsync(beats, 0, seen);
    if (resumed.async) await resumed.value;
  }
}

// Waiting on shared memory alone does not keep a thread alive.
parentPort?.on('message', () => undefined);
await watch();
