/** `tidemill doctor --run-noop`: sends the built-in noop through a queue and its consumers, and tells how far it came. */
import type { Broker, ConsumerInfo, Queue } from '../../broker/broker.ts';
import type { Clock } from '../../runtime/clock.ts';
import { NOOP } from '../../task/built-in-tasks.ts';
import { makeRequest } from '../../task/make-request.ts';
import type { RunRecord } from '../../task/run.ts';
import { plural, showDuration } from '../format.ts';
import { explained, type Finding } from './finding.ts';

const CHECK = 'noop';
/** For the run that gave no sign: nobody is to find it in the queue tomorrow. */
const GIVEN_UP = 'tidemill doctor did not wait any longer';

/** One finding for each queue; nothing is thrown. */
export async function noopFindings(
  broker: Broker,
  queues: readonly string[],
  timeoutMs: number,
  clock: Clock,
): Promise<readonly Finding[]> {
  return Promise.all(
    queues.map(async (name): Promise<Finding> => {
      try {
        return await runNoop(broker, broker.queue(name), timeoutMs, clock);
      } catch (error) {
        return failed(name, explained(error));
      }
    }),
  );
}

async function runNoop(broker: Broker, queue: Queue, timeoutMs: number, clock: Clock): Promise<Finding> {
  const { name, runs } = queue;
  const consumers = await queue.inspect.consumers();
  const obstacle = await obstacleIn(queue, consumers, await broker.now());
  if (obstacle !== undefined) return obstacle;
  const beganAtMs = clock.monotonic();
  const { request } = makeRequest(
    NOOP,
    {},
    // Ahead of what waits, and gone by itself should this process end before its answer.
    { priority: 'high', expiresIn: Math.max(1, timeoutMs) },
    { queue: name, source: 'cli' },
  );
  const [outcome] = await runs.enqueue([request]);
  if (outcome !== 'enqueued')
    return failed(name, 'the run was not enqueued: the queue holds as many pending runs as it may');
  const ended = await runs.waitForEnd(request.id, { timeoutMs });
  const tookMs = clock.monotonic() - beganAtMs;
  if (ended !== undefined && ended !== 'not-found' && ended.state !== 'expired')
    return endFinding(ended, tookMs, consumers);
  const record = ended === undefined ? await runs.get(request.id) : undefined;
  if (ended === undefined) await runs.cancel([request.id], GIVEN_UP);
  return missingHalf(name, record, timeoutMs, consumers);
}

/** What keeps a run from being tried at all. */
async function obstacleIn(
  { name, inspect }: Queue,
  consumers: readonly ConsumerInfo[],
  nowMs: number,
): Promise<Finding | undefined> {
  if (consumers.length === 0)
    return skipped(
      name,
      `no consumer is registered: install a release of the chart tidemill-worker for this queue, or start tidemill consumer --queue ${name}`,
    );
  const lastSignMs = Math.max(...consumers.map(({ leaseExpiresAtMs }) => leaseExpiresAtMs));
  // Those that left in order are not registered any more: these have died, and nobody is there to bury them.
  if (lastSignMs <= nowMs)
    return failed(
      name,
      `no consumer is alive: the leases of all ${consumers.length} registered ones are over, the last since ${showDuration(nowMs - lastSignMs)}`,
    );
  const known = (await inspect.manifests()).some(
    ({ live, manifest }) => live && manifest.tasks.some((task) => task.name === NOOP.name),
  );
  if (!known)
    return skipped(
      name,
      `its consumers (${versionsOf(consumers)}) do not know ${NOOP.name}: upgrade them to this version`,
    );
  if ((await inspect.stats()).paused)
    return skipped(name, `the queue is paused: tidemill queues resume ${name}`);
  return undefined;
}

function endFinding(record: RunRecord, tookMs: number, consumers: readonly ConsumerInfo[]): Finding {
  const { queue, state, error, cancelReason, startedAtMs, endedAtMs, enqueuedAtMs } = record;
  if (state !== 'succeeded' || startedAtMs === undefined || endedAtMs === undefined)
    return failed(
      queue,
      `the run ended as ${state}: ${error === undefined ? (cancelReason ?? 'no reason') : `${error.reason}: ${error.message}`}`,
    );
  const where = hostOf(record, consumers);
  const waited = showDuration(Math.max(0, startedAtMs - enqueuedAtMs));
  const ran = showDuration(Math.max(0, endedAtMs - startedAtMs));
  return {
    check: CHECK,
    result: 'ok',
    message: `queue ${queue}: ${NOOP.name} was enqueued, ran and gave its result in ${showDuration(tookMs)} (waited ${waited}, ran ${ran}${where})`,
  };
}

/** From enqueue to claim, or from claim to result: who looks for the fault wants to know in which of the two. */
function missingHalf(
  queue: string,
  record: RunRecord | undefined,
  timeoutMs: number,
  consumers: readonly ConsumerInfo[],
): Finding {
  const within = `within ${showDuration(timeoutMs)}`;
  if (record?.state === 'running')
    return failed(
      queue,
      `the run was claimed${hostOf(record, consumers)}, but gave no result ${within}: look at the log of that consumer`,
    );
  return failed(
    queue,
    `the run was enqueued, but ${plural(consumers.length, 'registered consumer')} did not claim it ${within}: ` +
      `are they alive, and have they room? tidemill queues ls and tidemill tasks ls --built-in --queue ${queue} show what waits and runs, and what is paused`,
  );
}

function hostOf({ incarnation }: RunRecord, consumers: readonly ConsumerInfo[]): string {
  const holder = consumers.find((consumer) => consumer.incarnation === incarnation);
  return holder === undefined ? '' : ` on ${holder.host}, process ${holder.pid}`;
}

const versionsOf = (consumers: readonly ConsumerInfo[]): string =>
  [...new Set(consumers.map(({ version }) => version))].sort().slice(0, 5).join(', ');

const failed = (queue: string, message: string): Finding => ({
  check: CHECK,
  result: 'failed',
  message: `queue ${queue}: ${message}`,
});

const skipped = (queue: string, message: string): Finding => ({
  check: CHECK,
  result: 'skipped',
  message: `queue ${queue}: ${message}`,
});
