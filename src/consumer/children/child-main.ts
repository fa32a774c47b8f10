/** Entry point of a child process. Started by `child-process.ts` only; its first argument is the pid of its parent. */
import { systemClock } from '../../runtime/clock.ts';
import { TidemillError } from '../../runtime/errors.ts';
import { IdleMemory } from '../../runtime/idle-memory.ts';
import { ChildRunner, type Send } from './child-runner.ts';
import { endOwnGroup, watchParent } from './parent-watch.ts';
import { giveUpThreads, NO_THREADS } from './permissions.ts';
import { parseParentMessage } from './protocol.ts';

const parentPid = Number(process.argv[2]);
// First of all: a module that spins while it is imported must not outlive the parent either.
watchParent(parentPid);
process.title = 'tidemill-child';

// Kept, because tasks share this process and may replace what they find.
const post = process.send?.bind(process);
const exit = process.exit.bind(process);

const send: Send = (message) =>
  new Promise((resolve) => {
    if (post === undefined || !process.connected) resolve();
    else post(message, undefined, undefined, () => resolve());
  });

const runner = new ChildRunner(send, exit);
// Under the permission model it cannot be done, and the child stays as large as it is.
const memory = new IdleMemory({ clock: systemClock, failed: () => undefined });
const failed = (error: unknown): void => void runner.fail(error);

for (const stream of [process.stdout, process.stderr]) makeBlocking(stream);
process.on('uncaughtException', failed);
if (process.argv[3] === NO_THREADS) giveUpThreads();
// The parent's message and its SIGTERM arrive in any order; the message knows the reason, so it goes first.
process.on('SIGTERM', () => setImmediate(() => void runner.terminate().catch(failed)));
process.on('disconnect', () => {
  if (process.ppid !== parentPid) endOwnGroup();
});
process.on('message', (received) => {
  memory.worked();
  const parsed = parseParentMessage(received);
  if ('message' in parsed) void runner.handle(parsed.message).catch(failed);
  else failed(new TidemillError('INTERNAL', parsed.problem));
});

/**
 * Writes wait until the parent has read. By default Node keeps what does not fit into the pipe in memory: a body that
 * prints 1 GiB in a loop would die of it, and what it printed last before a crash would be lost.
 */
function makeBlocking(stream: NodeJS.WriteStream): void {
  const handle: unknown = Reflect.get(stream, '_handle');
  const setBlocking: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'setBlocking') : undefined;
  if (typeof setBlocking === 'function') Reflect.apply(setBlocking, handle, [true]);
}
