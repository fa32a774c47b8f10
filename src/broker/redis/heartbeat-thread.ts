/**
 * The heartbeat's thread: renews leases apart from the event loop, which a task may block. It stops when the loop itself is
 * stuck, or its settles have had no answer for long, and in the end kills the process: a hung process must not keep its runs
 * for ever, nor its place.
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../runtime/clock.ts';
import { IdleMemory } from '../../runtime/idle-memory.ts';
import { Connection } from './connection.ts';
import {
  BEATS,
  isAddedQueue,
  isHeartbeatSetup,
  UNANSWERED,
  type HeartbeatReport,
  type HeartbeatSetup,
} from './heartbeat-messages.ts';
import { DEFAULT_PREFIX, queueKeys } from './keys.ts';
import { decodeReason } from './reason-text.ts';
import { asList, asPairs, ScriptRunner } from './script-runner.ts';
import { StallWatch } from './stall-watch.ts';

/** How many looks at the loop fit between two renewals; more make the bound sharper, at no cost worth naming. */
const LOOKS_PER_RENEWAL = 5;

function report(message: HeartbeatReport): void {
  parentPort?.postMessage(message);
}

async function renew(
  runner: ScriptRunner,
  queue: string,
  setup: HeartbeatSetup,
  queues: Set<string>,
): Promise<void> {
  const { meta } = queueKeys(setup.address.prefix ?? DEFAULT_PREFIX, queue);
  try {
    const [lease, cancellations] = asList(await runner.run('renew', meta, [setup.incarnation]));
    if (lease !== 'held') {
      queues.delete(queue);
      report({ kind: 'gone', queue });
      return;
    }
    const asked = asPairs(cancellations).map(([id, reason]) => ({ id, reason: decodeReason(reason) }));
    report({ kind: 'renewed', queue, cancellations: asked });
  } catch {
    report({ kind: 'failed', queue });
  }
}

function killProcess(stalledMs: number, setup: HeartbeatSetup): void {
  // The main thread cannot write any more: its streams are fed by the loop that is stuck.
  const line = {
    level: 'fatal',
    time: new Date(systemClock.now()).toISOString(),
    msg: 'the event loop is stuck, its runs went back; killing this process',
    stalledMs: Math.round(stalledMs),
    stallMs: setup.stallMs,
    incarnation: setup.incarnation,
    pid: process.pid,
  };
  try {
    writeSync(2, `${JSON.stringify(line)}\n`);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}

async function main(): Promise<void> {
  const setup: unknown = workerData;
  if (!isHeartbeatSetup(setup))
    throw new TypeError('the heartbeat thread was started with other data than it needs');
  const shared = new Int32Array(setup.shared);
  const connection = new Connection(setup.address, { timeoutMs: Math.max(setup.renewEveryMs, 500) });
  const runner = new ScriptRunner(connection);
  const queues = new Set(setup.queues);
  // A thread without an inspector keeps its memory; there is nothing to tell anyone.
  using _memory = new IdleMemory({ clock: systemClock, failed: () => undefined });
  parentPort?.on('message', (message: unknown) => {
    if (isAddedQueue(message)) queues.add(message.queue);
  });
  const watch = new StallWatch(setup, systemClock.monotonic());
  let lastRenewalMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const nowMs = systemClock.monotonic();
    const verdict = watch.observe(Atomics.load(shared, BEATS), Atomics.load(shared, UNANSWERED), nowMs);
    if (verdict.kind === 'kill') killProcess(verdict.stalledMs, setup);
    if (verdict.kind === 'renew' && nowMs - lastRenewalMs >= setup.renewEveryMs) {
      lastRenewalMs = nowMs;
      for (const queue of queues) void renew(runner, queue, setup, queues);
    }
    await systemClock.sleep(setup.renewEveryMs / LOOKS_PER_RENEWAL);
  }
}

await main();
