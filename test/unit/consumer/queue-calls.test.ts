import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConsumerPort, CycleReply, CycleRequest, SettleAnswer } from '../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { SILENT_OBSERVER } from '../../../src/consumer/observer.ts';
import { SETTLE_BATCH } from '../../../src/consumer/settle-batcher.ts';
import { QueueCalls } from '../../../src/consumer/queue-calls.ts';
import { QueueSession } from '../../../src/consumer/queue-session.ts';
import { handOutKey, RunTable } from '../../../src/consumer/run-table.ts';
import { TidemillError } from '../../../src/runtime/errors.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

const WANT = { io: 1, cpu: 0 };

/** Calls to a broker that answers each cycle as the test says. */
function createCalls(answer: (request: CycleRequest, nth: number) => SettleAnswer | Error) {
  const clock = new VirtualClock();
  const session = new QueueSession(clock);
  session.registered('me');
  const table = new RunTable();
  const requests: CycleRequest[] = [];
  const lost: string[] = [];
  const doubts: number[] = [];
  const cycle = async (request: CycleRequest): Promise<CycleReply> => {
    requests.push(request);
    const said = answer(request, requests.length);
    if (said instanceof Error) throw said;
    const settled = request.settle.map(() => said);
    return {
      lease: 'held',
      settled,
      claimed: [],
      cancellations: [],
      moreReady: false,
      wakeCursor: '',
      nowMs: 0,
    };
  };
  const memory = createMemoryBroker({ clock }).queue('default').work;
  let waits = 0;
  const claimWhenWoken: ConsumerPort['claimWhenWoken'] = async (...request) => {
    waits += 1;
    try {
      return await memory.claimWhenWoken(...request);
    } finally {
      waits -= 1;
    }
  };
  const work: ConsumerPort = { ...memory, cycle, claimWhenWoken };
  const calls = new QueueCalls({
    ...{ queue: 'default', work, session, table, clock, log: silentLog, random: () => 0.5 },
    observer: { ...SILENT_OBSERVER, leaseLost: ({ runId }) => lost.push(runId) },
    onLeaseGone: () => undefined,
    onCancellations: () => undefined,
    onReply: () => undefined,
    onDoubt: () => doubts.push(clock.now()),
  });
  const settle = (id: string) => {
    const record = {
      id,
      queue: 'default',
      task: 'task',
      priority: 'medium',
      state: 'running',
      params: '{}',
    } as const;
    const more = { options: { source: 'api' }, attempt: 1, deaths: 0, enqueuedAtMs: 0 } as const;
    const run = table.add(
      { record: { ...record, ...more }, token: `t-${id}`, suspect: false, early: false },
      'me',
    );
    calls.settlements.add(run, { kind: 'succeeded' });
    return run;
  };
  return { clock, calls, table, requests, lost, doubts, settle, claimsWaiting: () => waits };
}

const unavailable = new TidemillError('BROKER_UNAVAILABLE', 'planned');

test('a full batch of settlements is sent at once, fewer after 2 ms, and a second batch does not wait for the first', async () => {
  const { clock, requests, settle } = createCalls(() => 'settled');
  for (let index = 0; index < SETTLE_BATCH + 6; index += 1) settle(`r${index}`);
  await clock.advanceBy(0);
  assert.deepEqual(
    requests.map((request) => request.settle.length),
    [SETTLE_BATCH],
  );
  await clock.advanceBy(2);
  assert.deepEqual(
    requests.map((request) => request.settle.length),
    [SETTLE_BATCH, 6],
  );
});

test('a claim takes along what waits to be settled', async () => {
  const { calls, requests, settle } = createCalls(() => 'settled');
  settle('r1');
  await calls.claim(WANT, new AbortController().signal);
  assert.equal(requests.length, 1);
  assert.deepEqual([requests[0]?.settle.length, requests[0]?.claim], [1, WANT]);
});

test('a claim that waits for its turn when the signal aborts is not sent', async () => {
  const { calls, requests } = createCalls(() => 'settled');
  const stop = new AbortController();
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const busy = calls.exclusive(() => promise);
  const claim = calls.claim(WANT, stop.signal);
  stop.abort();
  resolve(undefined);
  await busy;
  assert.equal(await claim, undefined);
  assert.deepEqual(requests, []);
});

test('a claim that waits in the broker is called off for whoever needs the queue for itself, and settling goes on beside it', async () => {
  const { clock, calls, requests, settle, claimsWaiting } = createCalls(() => 'settled');
  const waiting = calls.claimWhenWoken(WANT, '0:me', 5_000, new AbortController().signal);
  settle('r1');
  await clock.advanceBy(1_000);
  assert.deepEqual([claimsWaiting(), requests.length], [1, 1]);
  await calls.exclusive(async () => assert.equal(claimsWaiting(), 0));
  assert.equal(await waiting, undefined);
});

test('a full batch that falls due while the books are compared is sent afterwards', async () => {
  const { clock, calls, requests, settle } = createCalls(() => 'settled');
  await calls.exclusive(async () => {
    for (let index = 0; index < 64; index += 1) settle(`r${index}`);
  });
  await clock.advanceBy(10);
  assert.equal(requests.flatMap((request) => request.settle).length, 64);
});

test('a settlement refused as unknown is a lost lease, and is not sent again', async () => {
  const { clock, requests, lost, table, settle } = createCalls(() => 'unknown');
  settle('r1');
  await clock.advanceBy(10_000);
  assert.deepEqual([requests.length, lost, table.size], [1, ['r1'], 0]);
});

test('an unknown to a settlement that was sent before is no lost lease: the first sending did its work', async () => {
  const { clock, calls, requests, lost, doubts, table, settle } = createCalls((_request, nth) =>
    nth === 1 ? unavailable : 'unknown',
  );
  const run = settle('r1');
  await clock.advanceBy(1_000);
  assert.deepEqual([requests.length, doubts.length, table.size], [1, 1, 1], 'it waits for the comparison');
  // Looked at before the late call took effect.
  calls.settlements.resolveDoubt(new Set([handOutKey(run)]));
  await clock.advanceBy(1_000);
  assert.deepEqual([requests.length, lost, table.size], [2, [], 0]);
});

test('refused calls are repeated with back-off, in ever smaller batches, so that one bad settlement stops no other', async () => {
  const { clock, requests, table, settle } = createCalls((request) =>
    request.settle.some(({ id }) => id === 'bad')
      ? new TidemillError('BROKER_REFUSED', 'planned')
      : 'settled',
  );
  settle('bad');
  for (let index = 0; index < 40; index += 1) settle(`r${index}`);
  await clock.advanceBy(60_000);
  assert.deepEqual(
    table.all().map(({ id }) => id),
    ['bad'],
  );
  assert.ok(requests.length < 100, `${requests.length} calls`);
});

test('how long settlements have had no answer is known, and forgotten once one comes', async () => {
  const { clock, calls, settle } = createCalls((_request, nth) => (nth === 1 ? unavailable : 'settled'));
  const run = settle('r1');
  assert.equal(calls.settlements.unansweredSinceMs, undefined);
  await clock.advanceBy(500);
  assert.equal(calls.settlements.unansweredSinceMs, 2);
  calls.settlements.resolveDoubt(new Set([handOutKey(run)]));
  await clock.advanceBy(500);
  assert.equal(calls.settlements.unansweredSinceMs, undefined);
});
